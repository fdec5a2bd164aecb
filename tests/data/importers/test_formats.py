"""What is particular to each format."""

import json

import pytest

from jaxmeta.data.importers import (
    audacity,
    audiofolder,
    common_voice,
    elan,
    kaldi,
    lhotse,
    ljspeech,
    nemo,
    textgrid,
    transcripts,
)  # fmt: skip
from jaxmeta.data.importers.detection import detect
from jaxmeta.data.importers.rows import Rejection, Row, SourceError


def rows(reader, source):
    return [(each.audio, each.start, each.duration, each.columns) for each in reader.read(source)
            if isinstance(each, Row)]  # fmt: skip


def rejected(reader, source):
    return [(each.file.name, each.number, each.reason) for each in reader.read(source) if isinstance(each, Rejection)]


def put(folder, **files):
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


def test_nemo_keeps_pieces_and_further_keys(tmp_path):
    line = {"audio_filepath": "a.wav", "offset": 1.5, "duration": 2, "text": "hi", "gender": "f", "n": 3, "x": None}
    put(tmp_path, a__json=json.dumps(line))
    said = {"transcription": "hi", "gender": "f", "n": "3", "x": ""}
    assert rows(nemo, tmp_path / "a.json") == [("a.wav", 1.5, 2.0, said)]


def cut(**changes):
    source = {"type": "file", "channels": [0], "source": "a.wav"}
    first = {"start": 0.5, "duration": 1, "text": "one", "speaker": "s", "gender": "f", "id": "1", "channel": 0}
    second = {"start": 2, "duration": 1.5, "text": "two", "language": "en", "id": "2", "channel": 0}
    return {"id": "c", "start": 10, "duration": 5, "type": "MonoCut", "supervisions": [first, second],
            "recording": {"sources": [source]}} | changes  # fmt: skip


def test_supervisions_of_a_cut_count_from_its_start(tmp_path):
    put(tmp_path, a__jsonl=json.dumps(cut()))
    assert rows(lhotse, tmp_path / "a.jsonl") == [
        ("a.wav", 10.5, 1.0, {"transcription": "one", "speaker": "s", "gender": "f", "id": "1"}),
        ("a.wav", 12.0, 1.5, {"transcription": "two", "language": "en", "id": "2"}),
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"type": "MixedCut"}, "MixedCut"), ({"recording": {}}, "sources"), ({"start": None}, "no number"),
     ({"recording": None}, "NoneType"),
     ({"recording": {"sources": [{"type": "command", "channels": [0], "source": "cat x"}]}}, "comes from a command"),
     ({"recording": {"sources": [{"type": "file", "channels": [0, 1], "source": "a"}]}}, "several channels")],
)  # fmt: skip
def test_cuts_that_are_no_piece_of_a_file_are_rejected(tmp_path, changes, reason):
    put(tmp_path, a__jsonl=json.dumps(cut(**changes)))
    ((_, number, said),) = rejected(lhotse, tmp_path / "a.jsonl")
    assert number == 1 and reason in said


def test_kaldi_segments_are_pieces_of_recordings(tmp_path):
    put(
        tmp_path, wav__scp="rec1  a b.wav\nrec2\tb.wav\nbad cat x |\n",
        segments="u1 rec1 0.5 1.25\nu2 rec2 2 -1\nu3 rec1 3 2\nu4 bad 0 1\nu5 rec1 0\nu6 rec1 0 1\n",
        text="u1 Ja  gut\nu2\nu3 x\nu9 y\n", utt2spk="u1 s1\nu2 s2\n", spk2gender="s1 f\n", utt2lang="u1 de\n",
    )  # fmt: skip
    about = {"transcription": "Ja  gut", "speaker": "s1", "language": "de", "gender": "f", "utterance": "u1"}
    assert rows(kaldi, tmp_path) == [
        ("a b.wav", 0.5, 0.75, about),
        ("b.wav", 2.0, None, {"transcription": "", "speaker": "s2", "language": "", "gender": "", "utterance": "u2"}),
    ]
    assert [(file, number) for file, number, _ in rejected(kaldi, tmp_path)] == [
        ("wav.scp", 3), ("text", 4), ("segments", 3), ("segments", 4), ("segments", 5), ("segments", 6),
    ]  # fmt: skip


def test_common_voice_takes_train_dev_and_test_of_a_folder(tmp_path):
    head = "client_id\tpath\tsentence\tage\tlocale\n"
    put(tmp_path, train__tsv=head + 's1\ta.mp3\tSay "hi\ttwenties\tcy\n', dev__tsv=head + "s2\tb.mp3\tb\t\tcy\nx\ty\n")
    (tmp_path / "clips").mkdir()
    said = {"transcription": 'Say "hi', "speaker": "s1", "language": "cy", "age": "twenties", "split": "train"}
    assert rows(common_voice, tmp_path)[0][3] == said
    assert [each[3]["split"] for each in rows(common_voice, tmp_path)] == ["train", "val"]
    assert rejected(common_voice, tmp_path) == [("dev.tsv", 3, "2 fields where the header has 5")]
    assert detect(tmp_path) == "common-voice"


def test_folders_of_an_audiofolder_are_splits(tmp_path):
    for name in ("train", "validation"):
        (tmp_path / name).mkdir()
        put(tmp_path / name, metadata__csv="file_name,transcription,age\na.wav,x,3\nb.wav,y\n")
    assert [each[3]["split"] for each in rows(audiofolder, tmp_path)] == ["train", "val"]
    assert [each[1] for each in rejected(audiofolder, tmp_path)] == [3, 3]
    assert detect(tmp_path) == "audiofolder"


def test_ljspeech_prefers_the_normalised_text(tmp_path):
    put(tmp_path, metadata__csv='LJ1|In 1900 "x|in nineteen hundred x\nLJ2|as it is\nLJ3\n')
    assert rows(ljspeech, tmp_path) == [
        ("LJ1.wav", 0.0, None, {"transcription": "in nineteen hundred x", "written": 'In 1900 "x'}),
        ("LJ2.wav", 0.0, None, {"transcription": "as it is"}),
    ]
    assert [each[1] for each in rejected(ljspeech, tmp_path)] == [3]


SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
2.5
<exists>
2
"IntervalTier"
"words"
0
2.5
3
0
1.5
"sag ""ja"" 12"
1.5
2
""
2
2.5
"gut"
"TextTier"
"bells"
0
2.5
1
0.7
"ding"
"""


def test_a_short_textgrid_has_intervals_and_points(tmp_path):
    put(tmp_path, a__TextGrid=SHORT, a__wav="sound")
    assert [each[1:] for each in rows(textgrid, tmp_path)] == [
        (0.0, 1.5, {"transcription": 'sag "ja" 12', "tier": "words"}),
        (2.0, 0.5, {"transcription": "gut", "tier": "words"}),
    ]
    assert rejected(textgrid, tmp_path) == [("a.TextGrid", 4, "ends at 0.7 s, which is not after its start at 0.7 s")]


def test_labels_without_text_time_or_recording_are_rejected(tmp_path):
    put(tmp_path, a__txt="0\t1\tyes\n\\\t10\t20\n1\t1\tpoint\n2\t3\t\nx\t2\ty\n", a__wav="sound", b__txt="0\t1\tyes\n")
    assert [each[3] for each in rows(audacity, tmp_path)] == [{"transcription": "yes"}]
    assert [each[:2] for each in rejected(audacity, tmp_path)] == [
        ("a.txt", 3), ("a.txt", 4), ("a.txt", 5), ("b.txt", 1)]  # fmt: skip


EAF = """<ANNOTATION_DOCUMENT><HEADER>
<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/talk.mp4" RELATIVE_MEDIA_URL="talk.mp4"/>
<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/talk.wav"/></HEADER>
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="1" TIME_VALUE="500"/><TIME_SLOT TIME_SLOT_ID="2" TIME_VALUE="1750"/>
<TIME_SLOT TIME_SLOT_ID="3"/></TIME_ORDER>
<TIER TIER_ID="A" PARTICIPANT="Ana" LINGUISTIC_TYPE_REF="utterance"><ANNOTATION><ALIGNABLE_ANNOTATION
ANNOTATION_ID="a1" TIME_SLOT_REF1="1" TIME_SLOT_REF2="2"><ANNOTATION_VALUE>si</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>
</ANNOTATION><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="2" TIME_SLOT_REF2="3">
<ANNOTATION_VALUE>no</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
<TIER TIER_ID="A-en" PARENT_REF="A" LINGUISTIC_TYPE_REF="translation"><ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a3"
ANNOTATION_REF="a1"><ANNOTATION_VALUE>yes</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"""


def test_translations_of_elan_are_columns(tmp_path):
    put(tmp_path, talk__eaf=EAF, talk__wav="sound")
    said = {"transcription": "si", "speaker": "Ana", "tier": "A", "translation": "yes"}
    assert rows(elan, tmp_path) == [("talk.wav", 0.5, 1.25, said)]
    assert rejected(elan, tmp_path) == [("talk.eaf", 2, "is not aligned to the recording at both ends")]


def test_recordings_and_transcripts_without_partners_are_rejected(tmp_path):
    put(tmp_path, a__wav="x", a__txt=" two\n  words ", b__wav="x", c__txt="alone", d__wav="x", d__txt=" ")
    assert [each[3] for each in rows(transcripts, tmp_path)] == [{"transcription": "two words"}]
    assert sorted(each[0] for each in rejected(transcripts, tmp_path)) == ["b.wav", "c.txt", "d.txt"]


def test_what_fits_several_formats_or_none_asks_for_one(tmp_path):
    put(tmp_path, wav__scp="a a.wav\n", a__eaf="<a/>")
    with pytest.raises(SourceError, match=r"may be kaldi or elan; say which by --from"):
        detect(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="not known; say which by --from: nemo, lhotse, kaldi"):
        detect(tmp_path / "empty")
    with pytest.raises(SourceError, match="no such file or folder"):
        detect(tmp_path / "gone")
