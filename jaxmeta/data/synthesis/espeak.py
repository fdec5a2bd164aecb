"""espeak-ng as a pure function: (text, voice, pitch, rate, seed) -> waveform.

espeak-ng keeps hidden state between calls (the phase of its pitch flutter, its gain control, the taps of its
filters) that no call resets, espeak_Terminate included. The shared library is therefore loaded, used once and
unloaded for every utterance; measured at about 0.3 ms of the 1.3 ms that a word takes.

espeak-ng is GPL-3 software and optional: `pip install "jaxmeta[synth]"`.
"""

import contextlib
import ctypes
import difflib
import functools
import importlib
import locale
import os
import re
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

_RETRIEVAL = 1  # AUDIO_OUTPUT_RETRIEVAL: hand the samples to the callback, play nothing.
_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: the same, and return only when all of them were handed over.
_DONT_EXIT = 0x8000  # Without it a missing data folder ends the process.
_UTF8 = 1
_SEPARATED = ord("_") << 8  # In phonemes: what stands between them.
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4  # espeak_PARAMETER.
_NO_DICTIONARY = frozenset({"fo", "kaa", "xex"})  # Listed by espeak-ng 1.52, but their dictionaries are not shipped.
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_LOCK = threading.Lock()  # espeak-ng is not thread-safe.


class _Voice(ctypes.Structure):
    """espeak_VOICE of speak_lib.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


def speak(
    text: str,
    voice: str = "en",
    *,
    pitch: int = 50,
    rate: int = 175,
    pitch_range: int = 50,
    volume: int = 100,
    seed: int = 0,
) -> tuple[np.ndarray, int]:
    """Return speech for a text; the same arguments give the same samples, bit for bit, whatever was said before.

    Args:
      text: plain text in the script of the voice's language; not empty.
      voice: "language" or "language+variant", such as "en", "ar+f2"; see `languages()` and `variants()`.
      pitch: 0 to 100, 50 is the voice's own.
      rate: words per minute, 80 to 450.
      pitch_range: liveliness of the intonation, 0 (flat) to 100.
      volume: 0 to 200, 100 is normal.
      seed: of espeak's noise (breath, whisper), 0 to 2**31 - 1.
    Returns:
      (waveform float32 [T] in [-1, 1), sample rate in Hz).
    Raises:
      ValueError: unknown language or variant, number out of range, or nothing to pronounce.
      ImportError: the extra "synth" is not installed.
    """
    _check_numbers(pitch=pitch, rate=rate, pitch_range=pitch_range, volume=volume, seed=seed)
    if not text.strip() or "\0" in text:
        raise ValueError(f"text={text!r} has nothing to say; give at least one word, without NUL characters.")
    name = voice_name(voice)  # Outside the lock, which it takes itself.
    settings = {_RATE: rate, _VOLUME: volume, _PITCH: pitch, _RANGE: pitch_range}
    with _LOCK:
        samples, sample_rate = _say(text.encode(), name.encode(), settings, seed)
    if not samples.any() and volume > 0:
        raise ValueError(f"text={text!r}: voice {voice!r} pronounces nothing; write it in that language's script.")
    return samples.astype(np.float32) / 32768.0, sample_rate


def phonemes(text: str, language: str = "en") -> tuple[str, ...]:
    """The sounds of a text in espeak-ng's own notation, without stress and tones.

    Raises:
      ValueError: unknown language, or nothing to pronounce. ImportError: the extra "synth" is not installed.
    """
    if not text.strip() or "\0" in text:
        raise ValueError(f"text={text!r} has nothing to say; give at least one word, without NUL characters.")
    name, spoken = voice_name(language), ctypes.create_string_buffer(text.encode())
    place, parts = ctypes.c_void_p(ctypes.addressof(spoken)), []
    with _LOCK, _engine() as lib:
        lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        _check(lib.espeak_SetVoiceByName(name.encode()), f"voice {language!r}")
        while place.value:  # a clause at a time
            parts.append((lib.espeak_TextToPhonemes(ctypes.byref(place), _UTF8, _SEPARATED) or b"").decode())
    sounds = re.sub(r"[',|%=#\d]", "", "_".join(parts)).replace(" ", "_").split("_")
    return tuple(sound for sound in sounds if sound)


def _check_numbers(**numbers: int) -> None:
    bounds = {"pitch": (0, 100), "rate": (80, 450), "pitch_range": (0, 100), "volume": (0, 200), "seed": (0, 2**31 - 1)}
    for argument, value in numbers.items():
        low, high = bounds[argument]
        if not low <= value <= high:
            raise ValueError(f"{argument}={value} is out of range; give a number from {low} to {high}.")


def voice_name(voice: str) -> str:
    """Return espeak's file name for "language" or "language+variant", after checking both.

    Raises:
      ValueError: either is unknown (espeak itself ignores an unknown variant without a word).
    """
    language, plus, variant = voice.partition("+")
    if language not in languages():
        raise ValueError(f"voice={voice!r}: {_unknown('language', language, list(languages()))}")
    if plus and variant not in variants():
        raise ValueError(f"voice={voice!r}: {_unknown('variant', variant, list(variants()))}")
    # The file's path loads five times faster than the language's code, and gives the same samples.
    return languages()[language] + plus + variant


@functools.lru_cache(maxsize=1)
def languages() -> dict[str, str]:
    """Return espeak's language codes, each with the voice file that espeak prefers for it."""
    best: dict[str, tuple[int, str]] = {}
    with _LOCK, _engine() as lib:
        for codes, identifier in _voices(lib, None):
            for priority, code in codes:
                if code not in _NO_DICTIONARY and (code not in best or priority < best[code][0]):
                    best[code] = (priority, identifier)
    return {code: best[code][1] for code in sorted(best)}


@functools.lru_cache(maxsize=1)
def variants() -> tuple[str, ...]:
    """Return the names of espeak's voice variants, usable with any language."""
    wanted = ctypes.create_string_buffer(b"variant")
    pattern = _Voice(languages=ctypes.cast(wanted, ctypes.c_void_p))
    with _LOCK, _engine() as lib:
        return tuple(sorted(identifier.removeprefix("!v/") for _, identifier in _voices(lib, ctypes.byref(pattern))))


@functools.lru_cache(maxsize=1)
def engine_version() -> str:
    """Return the version of the espeak-ng library, such as "1.52.0"."""
    with _LOCK, _engine() as lib:
        lib.espeak_Info.restype = ctypes.c_char_p
        return lib.espeak_Info(None).decode()


def _unknown(kind: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=4, cutoff=0.4) or known[:6]
    meant, names = ", ".join(close), f"jaxmeta.data.synthesis.espeak.{kind}s()"
    return f"espeak-ng has no {kind} {name!r}; did you mean {meant}? All: {names}."


def _say(text: bytes, voice: bytes, settings: dict[int, int], seed: int) -> tuple[np.ndarray, int]:
    chunks: list[bytes] = []

    def receive(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = _Callback(receive)  # Must outlive the engine, which keeps a bare pointer to it.
    with _engine() as lib:
        lib.espeak_SetSynthCallback(callback)
        _check(lib.espeak_SetVoiceByName(voice), f"voice {voice.decode()!r}")
        for parameter, value in settings.items():
            _check(lib.espeak_SetParameter(parameter, value, 0), f"parameter {parameter}={value}")
        lib.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        # The variants with "klatt 6" (Reed, caleb) take their breath noise from the C library instead.
        lib.srand(ctypes.c_uint(seed))
        size = ctypes.c_size_t(len(text) + 1)
        _check(lib.espeak_Synth(text, size, 0, _RETRIEVAL, 0, _UTF8, None, None), f"text {text.decode()!r}")
        sample_rate = lib.espeak_ng_GetSampleRate()
    return np.frombuffer(b"".join(chunks), np.int16), sample_rate


def _check(status: int, what: str) -> None:
    if status != 0:
        raise ValueError(f"espeak-ng refused {what} with status {status}.")


def _loader() -> Any:
    try:
        return importlib.import_module("espeakng_loader")
    except ImportError as error:
        raise ImportError('speech synthesis needs espeak-ng: pip install "jaxmeta[synth]".') from error


def _unload(lib: ctypes.CDLL) -> None:
    module = importlib.import_module("_ctypes")
    unload = getattr(module, "dlclose", None) or module.FreeLibrary
    unload(lib._handle)


def _refuse_shared_engine(path: str) -> None:
    """Raise if the library is loaded already: then closing it would not reset it, and its other user would suffer."""
    if not hasattr(os, "RTLD_NOLOAD"):
        return
    try:
        present = ctypes.CDLL(path, mode=os.RTLD_NOLOAD)
    except OSError:
        return
    _unload(present)
    raise RuntimeError(
        f"{path} is already in use in this process, so its output would depend on what was said before; "
        "synthesise in a process of its own, before any other package loads espeak-ng."
    )


@contextlib.contextmanager
def _engine() -> Iterator[ctypes.CDLL]:
    """Load a fresh espeak-ng, and unload it again at the end."""
    loader = _loader()
    path, data = loader.get_library_path(), loader.get_data_path()
    _refuse_shared_engine(path)
    kept_locale = locale.setlocale(locale.LC_CTYPE)  # espeak_Initialize sets its own for the whole process.
    lib = ctypes.CDLL(path)
    try:
        if lib.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _DONT_EXIT) <= 0:
            raise RuntimeError(f"espeak-ng finds no data in {data}; reinstall espeakng-loader.")
        try:
            yield lib
        finally:
            lib.espeak_Terminate()
    finally:
        _unload(lib)
        locale.setlocale(locale.LC_CTYPE, kept_locale)


def _voices(lib: ctypes.CDLL, pattern: Any) -> list[tuple[list[tuple[int, str]], str]]:
    """Return ([(priority, language code)], identifier) of every voice that espeak lists for a pattern."""
    lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    listed = lib.espeak_ListVoices(pattern)
    voices = []
    index = 0
    while listed[index]:
        voice = listed[index].contents
        voices.append((_codes(voice.languages), voice.identifier.decode()))
        index += 1
    return voices


def _codes(address: int) -> list[tuple[int, str]]:
    """Decode espeak's list of languages: a priority byte, a NUL-terminated code, ..., a zero byte."""
    codes = []
    while priority := ctypes.string_at(address, 1)[0]:
        code = ctypes.string_at(address + 1)
        codes.append((priority, code.decode()))
        address += len(code) + 2
    return codes
