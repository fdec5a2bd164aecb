"""`jaxmeta listen WAKEWORD`"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from jaxmeta.cli.output import show
from jaxmeta.cli.ranges import Certainty, Probability

if TYPE_CHECKING:
    import numpy as np

    from jaxmeta.words.wake.wakeword import Detection

VOICE_SECONDS = 2
"""Of sound before a detection, by which the speaker is judged."""


def listen(
    wakeword: Positional[Path],
    wav: tuple[Path, ...] = (),
    microphone: bool = False,
    wyoming: str | None = None,
    prior: Probability = 0.5,
    sure: Certainty = 0.9,
    json: bool = False,
) -> None:
    """Listen for a wake word in recordings, at a microphone, or for Home Assistant.

    Where the wake word was trained with --voice, it counts only where that voice is accepted.

    Args:
        wakeword: Folder that `jaxmeta train wakeword` wrote.
        wav: Audio files of any length, at any sample rate; each detection is a line of FILE, seconds and score.
        microphone: Listen to the default microphone until Ctrl-C (the extra "listen").
        wyoming: PORT to serve Home Assistant at (the extra "wyoming"), such as 10400, for programs of this machine
            alone; 0.0.0.0:PORT lets every machine connect that can reach this one.
        prior: Probability that it is the enrolled voice that speaks, before anything is heard.
        sure: Probability afterwards from which the voice is accepted.
        json: Write JSON lines with the keys file, seconds and score.
    """
    from jaxmeta.words.wake.wakeword import load_wakeword

    if (len(wav) > 0) + microphone + (wyoming is not None) != 1:
        raise ValueError(
            "nothing to listen to, or too much: give one of --wav FILE..., --microphone, --wyoming HOST:PORT."
        )
    address = None if wyoming is None else _address(wyoming)
    loaded = load_wakeword(wakeword)
    begin = _listeners(loaded, wakeword, prior, sure)
    if address is not None:
        _serve(loaded.card.word, begin, *address)
    elif microphone:
        _at_microphone(loaded.card.word, begin(), json)
    else:
        for file in wav:
            _in_file(file, begin(), json)


class _GatedDetector:
    """A detector whose words count only where the voice of the last 2 s is accepted."""

    def __init__(self, detector: Any, accepts: Callable[[np.ndarray], bool]):
        import numpy as np

        self._detector, self._accepts, self._recent = detector, accepts, np.zeros(0, np.float32)

    def push(self, samples: np.ndarray) -> list[Detection]:
        import numpy as np

        from jaxmeta.words.wake.stream import RATE

        accepted = []
        for start in range(0, len(samples), RATE // 4):  # so that "the last 2 s" are those before the detection
            piece = samples[start : start + RATE // 4]
            self._recent = np.concatenate([self._recent, piece])[-VOICE_SECONDS * RATE :]
            # A network decides, so that it is asked once for a piece.
            accepted += self._detector.push(piece, cache(partial(self._accepts, self._recent)))
        return accepted


def _listeners(loaded: Any, folder: Path, prior: float, sure: float) -> Callable[[], Any]:
    """Begins a stream, gated where there is a voice."""
    from jaxmeta.cli.training.wakeword import VOICE
    from jaxmeta.words.wake.wakeword import Detector

    if not (folder / VOICE).is_dir():
        return lambda: Detector(loaded)
    from jaxmeta.data.features import extract
    from jaxmeta.verification.assistant import embed_voices
    from jaxmeta.verification.gate import make_gate
    from jaxmeta.verification.user import load_user

    gate = make_gate(prior, sure)
    assistant, user = load_user(folder / VOICE)

    def accepts(sound: np.ndarray) -> bool:
        voice = embed_voices(assistant, [extract(sound, assistant.card.features)])
        return gate.decide(float(assistant.voice_ratios(user.prototype, voice)[0])) == "accept"

    return lambda: _GatedDetector(Detector(loaded), accepts)


def _in_file(file: Path, detector: Any, as_json: bool) -> None:
    from jaxmeta.data.audio import read_audio
    from jaxmeta.words.wake.stream import RATE

    detections = detector.push(read_audio(file, RATE))
    for each in detections:
        _say(str(file), each, as_json)
    if not detections:
        show("listen", {"file": str(file), "seconds": None}, f"{file}\t-", as_json=as_json)


def _say(source: str, detection: Detection, as_json: bool) -> None:
    seconds, score = round(detection.seconds, 2), round(detection.score, 3)
    row = {"file": source, "seconds": seconds, "score": score}
    show("listen", row, f"{source}\t{seconds:.2f}\t{score:.3f}", as_json=as_json)


def _at_microphone(word: str, detector: Any, as_json: bool) -> None:
    try:
        import sounddevice
    except ImportError as error:
        raise ImportError("a microphone needs sounddevice; install the extra: pip install 'jaxmeta[listen]'") from error
    except OSError as error:
        raise ValueError(f"--microphone: {error}; install it, on Debian by: apt install libportaudio2.") from error
    from jaxmeta.words.wake.stream import RATE, STEP_SAMPLES, STEP_SECONDS

    try:
        with sounddevice.InputStream(RATE, STEP_SAMPLES, channels=1, dtype="float32") as stream:
            print(
                f"listening for {word}; a word is noticed within {1000 * (stream.latency + STEP_SECONDS):.0f} ms: "
                f"{1000 * stream.latency:.0f} of the device, {1000 * STEP_SECONDS:.0f} of a step. Ctrl-C ends.",
                file=sys.stderr,
            )
            while True:
                samples, _ = stream.read(STEP_SAMPLES)
                for each in detector.push(samples[:, 0]):
                    _say("microphone", each, as_json)
    except sounddevice.PortAudioError as error:
        raise ValueError(f"--microphone: there is none that can be used ({error}); give --wav FILE instead.") from error


def _address(given: str) -> tuple[str, int]:
    host, _, port = given.rpartition(":")
    if not (port.isdecimal() and int(port) < 65_536):
        raise ValueError(f"--wyoming {given}: give HOST:PORT, or PORT for this machine alone, such as 10400.")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


def _serve(word: str, begin: Callable[[], Any], host: str, port: int) -> None:
    import asyncio

    from jaxmeta.words.wake.wyoming_server import make_server

    server, handler = make_server(word, begin, host, port)
    print(f"listening for {word}, for Home Assistant at {host}:{port}. Ctrl-C ends.", file=sys.stderr)
    asyncio.run(server.run(handler))
