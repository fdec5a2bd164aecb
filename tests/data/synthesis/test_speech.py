"""Synthesised speech is reproducible bit for bit, and becomes a manifest corpus all at once or not at all."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from jaxmeta.data.audio import read_audio
from jaxmeta.data.manifest import read_manifest
from jaxmeta.data.synthesis import espeak, speech
from jaxmeta.data.synthesis.lexicon import Word, default_words
from jaxmeta.data.synthesis.speech import CARD, Voice, default_voices, plan, speak, synthesise

pytest.importorskip("espeakng_loader", reason='needs pip install "jaxmeta[synth]"')

# One variant for each of espeak's sources of hidden state: flutter, roughness, breath, echo, Klatt, SpeechPlayer.
SAYINGS = [
    ("seven", "en+m1", 40), ("sieben", "de+croak", 60), ("seven", "en+whisper", 50), ("سبعة", "ar+f2", 50),
    ("shu3 biao1", "cmn-latn-pinyin+klatt3", 45), ("seven", "en+Reed", 62), ("siete", "es+UniRobot", 50),
]  # fmt: skip
WORDS = [Word("rojo", "es", "red"), Word("rot", "de", "red_de"), Word("six", "en", "six", "test")]
VOICES = [Voice("anna", "f2"), Voice("ben", "m3", pitch=40), Voice("cleo", "f4", split="test")]


def _digest(sayings):
    waves = {saying: speak(saying[0], saying[1], pitch=saying[2], seed=5)[0].tobytes() for saying in sayings}
    return {json.dumps(saying): hashlib.sha256(wave).hexdigest() for saying, wave in waves.items()}


def test_speech_does_not_depend_on_what_was_said_before():
    forward = _digest(SAYINGS)
    assert _digest(SAYINGS[::-1]) == forward
    assert _digest([*SAYINGS[3:], *SAYINGS[:3]]) == forward


def test_speech_is_the_same_in_another_process():
    code = (
        "import hashlib, json, sys\nfrom jaxmeta.data.synthesis.espeak import speak\n"
        "said = [(s, speak(s[0], s[1], pitch=s[2], seed=5)[0].tobytes()) for s in json.loads(sys.argv[1])]\n"
        "print(json.dumps({json.dumps(s): hashlib.sha256(w).hexdigest() for s, w in said}))"
    )
    order = [SAYINGS[i] for i in (4, 0, 6, 2, 5, 1, 3)]
    output = subprocess.run([sys.executable, "-c", code, json.dumps(order)], capture_output=True, text=True, check=True)
    assert json.loads(output.stdout) == _digest(SAYINGS)


def test_every_variant_is_reproducible():
    def take(names):
        return {name: speak("six", f"en+{name}", seed=1)[0].tobytes() for name in names}

    assert take(espeak.variants()) == take(espeak.variants()[::-1])


@pytest.mark.parametrize("change", [{"pitch": 70}, {"rate": 220}, {"pitch_range": 90}, {"volume": 50}])
def test_each_parameter_changes_the_sound(change):
    plain, changed = speak("seven", "en+m1")[0], speak("seven", "en+m1", **change)[0]
    assert plain.tobytes() != changed.tobytes()


@pytest.mark.parametrize("voice", ["en+whisper", "en+Reed"])
def test_seed_changes_breath_noise(voice):
    first, second = speak("seven", voice, seed=1)[0], speak("seven", voice, seed=2)[0]
    assert first.shape == second.shape and (first != second).any()


def test_speech_is_float32_within_one_and_faster_is_shorter():
    slow, sample_rate = speak("seven", "en", rate=120)
    fast, _ = speak("seven", "en", rate=240)
    assert slow.dtype == np.float32 and 0.05 < np.abs(slow).max() <= 1 and sample_rate == 22050
    assert fast.size < 0.8 * slow.size


def test_pinyin_is_read_with_its_tones():
    waves = {speak(f"shu{tone} zi4", "cmn-latn-pinyin")[0].tobytes() for tone in "1234"}
    assert len(waves) == 4
    assert speak("shu4 zi4", "cmn-latn-pinyin")[0].tobytes() == speak("数字", "cmn")[0].tobytes()


def test_engine_leaves_the_locale_alone():
    import locale

    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C")
        speak("one", "en")
        assert locale.setlocale(locale.LC_CTYPE) == "C"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


@pytest.mark.parametrize(
    ("text", "voice", "more", "message"),
    [
        ("one", "en+f9", {}, "no variant 'f9'.*f5"),
        ("one", "en+", {}, "no variant ''"),
        ("one", "eng", {}, "no language 'eng'.*en"),
        ("one", "en", {"pitch": 101}, "pitch=101.*0 to 100"),
        ("one", "en", {"rate": 20}, "rate=20.*80 to 450"),
        ("one", "en", {"seed": -1}, "seed=-1"),
        (" ", "en", {}, "nothing to say"),
        ("one\0two", "en", {}, "NUL"),
        ("...", "en", {}, "pronounces nothing"),
    ],
)
def test_bad_arguments_are_named(text, voice, more, message):
    with pytest.raises(ValueError, match=message):
        speak(text, voice, **more)


def test_missing_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ImportError, match=r'pip install "jaxmeta\[synth\]"'):
        speak("one", "en")


def test_second_user_of_the_engine_is_refused():
    import ctypes

    import espeakng_loader

    other = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        with pytest.raises(RuntimeError, match="already in use in this process"):
            speak("one", "en")
    finally:
        espeak._unload(other)
    assert speak("one", "en")[0].size


def test_plan_pairs_words_with_voices_of_their_split():
    rows = plan(WORDS, VOICES, takes=2)
    pairs = {(row.label, row.speaker) for row in rows}
    assert pairs == {("red", "anna"), ("red", "ben"), ("red_de", "anna"), ("red_de", "ben"), ("six", "cleo")}
    assert len(rows) == 10 and all(row.split == row.word_split for row in rows)


def test_recordings_of_a_word_by_one_voice_differ():
    rows = plan(WORDS[:1], VOICES[:1], takes=8)
    assert len({speak(r.text, r.voice, pitch=r.pitch, rate=r.rate, seed=r.seed)[0].tobytes() for r in rows}) == 8


def test_adding_words_and_voices_changes_no_other_recording():
    assert set(plan(WORDS[:1], VOICES[:1])) <= set(plan(WORDS, VOICES, takes=3))


def test_accent_reads_the_word_as_another_language():
    row = plan([Word("taxi", "en", "taxi")], [Voice("pierre", "m1", language="fr")])[0]
    assert row.voice == "fr+m1" and row.language == "en"


@pytest.mark.parametrize(
    ("words", "voices", "more", "message"),
    [
        ([], VOICES, {}, "words is empty"),
        (WORDS[:1] * 2, VOICES, {}, "'rojo'.*twice"),
        ([Word("x", "xx", "x")], VOICES, {}, "no language 'xx'"),
        (WORDS, [Voice("a", "f9")], {}, "no variant 'f9'"),
        (WORDS, [Voice("a", "f1"), Voice("a", "f2")], {}, "'a' must be unique"),
        (WORDS, [Voice("../a", "f1")], {}, "must be unique, of letters"),
        (WORDS, VOICES[:2], {}, "'six' of split 'test' needs 1 voices of that split, got 0"),
        (WORDS, VOICES, {"voices_per_word": 3}, "needs 3 voices of that split, got 2"),
        (WORDS, VOICES, {"takes": 0}, "takes=0"),
        (WORDS, VOICES, {"exclude": ["Rójo"]}, "'rojo'.*exclude forbids"),
        (WORDS, VOICES, {"exclude": ["12"]}, "no letters"),
    ],
)
def test_bad_plans_are_named(words, voices, more, message):
    with pytest.raises(ValueError, match=message):
        plan(words, voices, **more)


def test_default_voices_are_diverse_and_in_one_split_each():
    voices = default_voices(12, 3, 5)
    splits = {name: {v.variant for v in voices if v.split == name} for name in ("train", "val", "test")}
    assert [len(splits[name]) for name in ("train", "val", "test")] == [12, 3, 5]
    assert len(set.union(*splits.values())) == 20
    assert voices == default_voices(12, 3, 5) and voices != default_voices(12, 3, 5, seed=1)


def test_corpus_is_a_manifest_with_every_column(tmp_path):
    seen = []
    folder = synthesise(tmp_path / "new" / "corpus", plan(WORDS, VOICES), progress=lambda *call: seen.append(call))
    columns = read_manifest(folder).columns
    assert set(columns) == {"file_name", "label", "transcription", "language", "speaker", "split", "word_split"}
    assert columns["label"].tolist() == ["red", "red", "red_de", "red_de", "six"]
    assert columns["transcription"].tolist() == ["rojo", "rojo", "rot", "rot", "six"]
    row = plan(WORDS, VOICES)[0]
    spoken, rate = speak(row.text, row.voice, pitch=row.pitch, rate=row.rate, pitch_range=row.pitch_range)
    assert read_audio(folder / row.file_name, 16000).size == pytest.approx(spoken.size * 16000 / rate, abs=1)
    assert seen == [(5, 5)]


def _contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_corpus_is_the_same_for_any_number_of_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(speech, "_CHUNK", 3)
    rows = plan(WORDS, VOICES, takes=2)
    one, two = synthesise(tmp_path / "one", rows, workers=1), synthesise(tmp_path / "two", rows, workers=2)
    assert _contents(one) == _contents(two) and len(_contents(one)) == 12


def test_identical_corpus_is_reused_and_another_refused(tmp_path, monkeypatch):
    rows = plan(WORDS, VOICES)
    folder = synthesise(tmp_path / "corpus", rows)
    before = _contents(folder)
    monkeypatch.setattr(speech, "_write_chunk", None)  # Synthesis would fail from here on.
    assert synthesise(tmp_path / "corpus", rows) == folder
    for other in (rows[1:], [rows[0]._replace(pitch=51), *rows[1:]]):
        with pytest.raises(ValueError, match="holds something else"):
            synthesise(folder, other)
    with pytest.raises(ValueError, match="holds something else"):
        synthesise(folder, rows, sample_rate=8000)
    assert _contents(folder) == before


def test_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / CARD).write_text("not json")
    with pytest.raises(ValueError, match="holds something else"):
        synthesise(tmp_path / "corpus", plan(WORDS, VOICES))
    assert [path.name for path in tmp_path.rglob("*")] == ["corpus", CARD]


@pytest.mark.parametrize("workers", [1, 2])
def test_failure_leaves_nothing_behind(tmp_path, workers):
    rows = plan(WORDS, VOICES)
    with pytest.raises(ValueError, match="pronounces nothing"):
        synthesise(tmp_path / "corpus", [*rows[:4], rows[4]._replace(text="...")], workers=workers)
    assert list(tmp_path.iterdir()) == []


def test_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(speech, "_CHUNK", 1)

    def interrupt(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesise(tmp_path / "corpus", plan(WORDS, VOICES), progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_race_for_the_same_corpus_has_no_loser(tmp_path):
    rows = plan(WORDS, VOICES)

    def other_process(done, total):
        synthesise(tmp_path / "corpus", rows)

    folder = synthesise(tmp_path / "corpus", rows, progress=other_process)
    assert read_manifest(folder).columns["file_name"].size == 5
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_repeated_and_empty_plans_are_refused(tmp_path):
    rows = plan(WORDS, VOICES)
    with pytest.raises(ValueError, match="twice"):
        synthesise(tmp_path / "corpus", [*rows, rows[2]])
    with pytest.raises(ValueError, match="utterances is empty"):
        synthesise(tmp_path / "corpus", [])


def test_default_words_split_by_meaning_in_every_language():
    words = default_words()
    split_of = {}
    for word in words:
        assert split_of.setdefault(word.label.split("_")[1], word.split) == word.split
    languages = {word.language for word in words}
    assert len(split_of) == 30 and len(languages) == 10 and languages <= set(espeak.languages())
    assert len({word.text for word in words}) == len({word.label for word in words}) == len(words)


def test_default_words_leave_out_texts_and_meanings():
    words = default_words(("es", "ar"), exclude=("seven", "موسيقى", "NOCHE"))
    assert {"es_seven", "ar_seven", "ar_music", "es_night"}.isdisjoint(word.label for word in words)
    assert {"es_music", "ar_night"} <= {word.label for word in words}
    with pytest.raises(ValueError, match="built in for"):
        default_words(("xx",))


def test_default_words_are_all_pronounced_in_their_own_language():
    voiced = {word.label: speak(word.text, word.language)[0].size / 22050 for word in default_words()}
    assert all(0.15 < seconds < 1.5 for seconds in voiced.values())
