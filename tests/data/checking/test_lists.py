"""Findings about lists: texts, spellings, copies, outliers, and rows that cannot be read."""

import unicodedata

import numpy as np
import pytest
import soundfile

from jaxmeta.data.audio import AudioError
from jaxmeta.data.checking.copies import copies
from jaxmeta.data.checking.listing import read_listing
from jaxmeta.data.checking.outliers import FEWEST, robust_scores
from jaxmeta.data.checking.reading import mono, read_channels, read_clips
from jaxmeta.data.checking.spellings import unlike_spellings
from jaxmeta.data.checking.transcripts import characters_once, empty_texts, frames_needed, infeasible_texts, odd_lengths
from jaxmeta.data.manifest import ManifestError
from jaxmeta.data.manifests.clips import Clip


def kinds(cases):
    return [(case.kind, case.row) for case in cases]


def test_scores_are_distances_from_the_median_in_median_deviations():
    values = np.array([*range(11), 100.0, np.nan])
    # Median 5.5, absolute deviations 5.5 .. 0.5 and 94.5: their median is 3.
    assert robust_scores(values, least=0.1)[[5, 11, 12]] == pytest.approx([-0.6745 * 0.5 / 3, 0.6745 * 94.5 / 3, 0])
    assert not robust_scores(values[: FEWEST - 1], least=0.1).any()
    same = np.array([1.0] * 20 + [2.0])
    assert robust_scores(same, least=0.5)[-1] == pytest.approx(2)
    groups = ["a"] * 20 + ["b"]
    assert not robust_scores(same, groups, least=0.5).any()


def test_labels_that_look_alike_are_reported_where_they_are_rarer():
    composed = unicodedata.normalize("NFC", "é")
    cells = [composed, composed, unicodedata.normalize("NFD", "é"), "on", "ON", "on", "o n", "off", "\uff4fff", "off"]
    cases = unlike_spellings({"label": cells, "other": ["x", "X"] * 5})
    assert kinds(cases) == [("spelling", row) for row in (2, 4, 6, 8)]
    assert "'e\\u0301' is elsewhere written 'é'" in cases[0].message


def test_copies_contradict_each_other_where_the_list_says_different_things():
    digests = [b"1", b"2", b"1", b"1", None, None]
    said = {"label": ["a", "b", "a", "c", "d", "e"], "note": list("uvwxyz")}
    cases = copies(digests, list("012345"), said)
    assert kinds(cases) == [("copy", 2), ("contradicting-copy", 3)]
    assert cases[1].message == "the same recording as 0 (row 2), with label 'c' and 'a'"


def test_a_transcript_needs_a_frame_for_each_character_and_between_equal_ones():
    assert [frames_needed(text) for text in ("", "a", "aa", "aab b", " a ")] == [0, 1, 3, 6, 1]
    seconds = np.array([0.04, 0.12, 0.08, np.nan])
    assert kinds(infeasible_texts(["a", "aa", "aa", "a" * 99], seconds)) == [("ctc-infeasible", 2)]
    assert not infeasible_texts(["aa"], np.array([0.08]), frame_rate=50)


def test_transcripts_are_compared_with_those_of_their_language():
    texts = ["x" * 10] * 20 + ["y" * 50] * 20 + ["x" * 50]
    seconds = np.ones(41)
    languages = ["one"] * 20 + ["two"] * 20 + ["one"]
    assert kinds(odd_lengths(texts, seconds, seconds, languages)) == [("odd-transcript", 40)]
    assert 40 not in [case.row for case in odd_lengths(texts, seconds, seconds)]


def test_empty_texts_and_characters_that_stand_once():
    texts = ["ab", "ab", " ", "aé", unicodedata.normalize("NFD", "bç")]
    assert kinds(empty_texts(texts)) == [("no-transcript", 2)]
    assert kinds(characters_once(texts)) == [("character-once", 3), ("character-once", 4)]


def listing(folder, text):
    (folder / "metadata.csv").write_text(text, encoding="utf-8")
    return read_listing(folder)


def test_rows_that_cannot_be_read_are_findings_and_the_others_are_read(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.ones(1600) / 10, 16_000)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder").mkdir()
    rows = ["a.wav,x", "../a.wav,x", "none.wav,x", "empty.wav,x", "a.wav,x", "folder,x", "a.wav", "/a.wav,x"]
    actual = listing(tmp_path, "file_name,label\n" + "\n".join(rows) + "\n\n")
    expected = [("unreadable-row", 6)] + [("missing", row) for row in (1, 2, 3, 4, 5, 7)]
    assert sorted(kinds(actual.cases)) == sorted(expected)
    assert [clip is not None for clip in actual.clips] == [True] + [False] * 7
    assert actual.columns["label"] == ["x"] * 6 + ["", "x"]


def test_pieces_of_one_recording_are_rows(tmp_path):
    values = np.arange(16_000, dtype=np.float32) / 32_768
    soundfile.write(tmp_path / "a.wav", values, 16_000, subtype="PCM_16")
    rows = ["a.wav,0,0.5", "a.wav,0.5,", "a.wav,0.5,0.75", "a.wav,x,1", "a.wav,0,0.5", "a.wav,1,0"]
    actual = listing(tmp_path, "file_name,start,duration\n" + "\n".join(rows))
    assert kinds(actual.cases) == [("missing", row) for row in (3, 4, 5)]
    first, second, third = read_clips([clip for clip in actual.clips if clip is not None])
    assert (first.samples[:, 0] == values[:8_000]).all() and (second.samples[:, 0] == values[8_000:]).all()
    assert isinstance(third, AudioError) and "lie outside of its 1.00 s" in str(third)


def test_a_list_that_is_none_is_refused(tmp_path):
    for text, said in (
        ("", "distinct"),
        ("a,b\n1,2", "file_name"),
        ("file_name\n", "no rows"),
        ('file_name\n"a', "CSV"),
    ):
        with pytest.raises(ManifestError, match=said):
            listing(tmp_path, text)
    (tmp_path / "metadata.csv").write_bytes(b"file_name\n\xff")
    with pytest.raises(ManifestError, match="UTF-8"):
        read_listing(tmp_path)
    with pytest.raises(ManifestError, match="no such file"):
        read_listing(tmp_path / "none")


def test_channels_and_rates_stay_until_a_network_wants_others(tmp_path):
    tone = np.sin(np.arange(8_000) / 8)
    soundfile.write(tmp_path / "a.wav", np.stack([tone, 0.5 * tone], 1) / 2, 8_000, subtype="PCM_16")
    recording = read_channels(tmp_path / "a.wav")
    assert recording.samples.shape == (8_000, 2) and recording.sample_rate == 8_000
    assert mono(recording, 8_000) == pytest.approx(0.375 * tone, abs=1e-4)
    assert mono(recording, 16_000).shape == (16_000,) and mono(recording, 16_000).dtype == np.float32
    (tmp_path / "b.wav").write_text("no audio")
    bad, good = read_clips([Clip(str(tmp_path / "b.wav")), Clip(str(tmp_path / "a.wav"))])
    assert isinstance(bad, AudioError) and good.sample_rate == 8_000
