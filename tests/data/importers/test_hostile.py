"""Lists that would have a reader open what it should not, run what it must not, or fill the memory."""

import gzip
import json

import pytest

from jaxmeta.data.importers import audiofolder, elan, kaldi, lhotse, nemo, textgrid, texts
from jaxmeta.data.importers.rows import Rejection, SourceError
from jaxmeta.data.manifests.importing import import_rows

BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<ANNOTATION_DOCUMENT><TIME_ORDER/>&b;</ANNOTATION_DOCUMENT>"""
FILE = (
    """<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/passwd">]><ANNOTATION_DOCUMENT>&secret;</ANNOTATION_DOCUMENT>"""
)


def reasons(reader, source, folder, roots=()):
    result = import_rows(reader.read(source), folder, roots, progress=False)
    assert not result.utterances
    return [each.reason for each in result.rejections]


def put_nemo(folder, *paths):
    file = folder / "list.json"
    file.write_text("".join(json.dumps({"audio_filepath": str(path), "text": "x"}) + "\n" for path in paths))
    return file


def test_files_elsewhere_are_not_opened(audio, tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "link.wav").symlink_to(audio[0])
    paths = [audio[0], "../../etc/hosts", "/etc/hosts", "link.wav", f"x/../{audio[0]}"]
    said = reasons(nemo, put_nemo(tmp_path / "source", *paths), tmp_path / "source")
    assert ["outside" in each or "no such file" in each for each in said] == [True] * 5
    assert "lies outside of" in said[0] and "--root" in said[0] and "outside" in said[3]


def test_a_root_opens_its_own_folder_only(audio, tmp_path):
    source = put_nemo(tmp_path, audio[0], "/etc/hosts")
    result = import_rows(nemo.read(source), tmp_path, [audio[0].parent], progress=False)
    assert [each.name for each in result.utterances] == ["0.wav"]
    assert "lies outside of" in result.rejections[0].reason


def test_names_that_no_manifest_can_hold_are_rejected(audio, tmp_path):
    strange = tmp_path / "a\\..\\b.wav"
    strange.write_bytes(audio[0].read_bytes())
    said = reasons(nemo, put_nemo(tmp_path, strange.name, "nul\0.wav", "loop.wav", ""), tmp_path)
    assert "rename the file" in said[0] and "NUL" in said[1] and "no such file" in said[2] and "no audio" in said[3]


def test_links_that_lead_to_themselves_end(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    (tmp_path / "a.TextGrid").write_text("nothing")
    assert [each.split(": ")[1] for each in reasons(nemo, put_nemo(tmp_path, "loop.wav"), tmp_path)] == ["no such file"]
    assert len(list(textgrid.read(tmp_path))) == 1


@pytest.mark.parametrize("said", ["touch ran |", "|touch ran", "sox a.wav -t wav - |  ", "-", "", "x.ark:42"])
def test_a_pipe_of_kaldi_is_never_run(tmp_path, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wav.scp").write_text(f"utt {said}\n")
    (rejection,) = reasons(kaldi, tmp_path, tmp_path)
    assert rejection.startswith("utt: ") and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [BOMB, FILE])
def test_xml_with_a_document_type_is_refused(tmp_path, content):
    (tmp_path / "a.eaf").write_text(content)
    assert ["document type" in each for each in reasons(elan, tmp_path / "a.eaf", tmp_path)] == [True]


@pytest.mark.parametrize("content", ["", "<a>", "<a/>", "plain", "<ANNOTATION_DOCUMENT><TIER/></ANNOTATION_DOCUMENT>"])
def test_xml_that_is_no_whole_annotation_gives_no_row(tmp_path, content):
    (tmp_path / "a.eaf").write_text(content)
    assert all(isinstance(each, Rejection) for each in elan.read(tmp_path / "a.eaf"))


def test_a_gzip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "_HARMLESS", 1 << 16)
    (tmp_path / "cuts.jsonl.gz").write_bytes(gzip.compress((b" " * 1023 + b"\n") * (1 << 14)))
    with pytest.raises(SourceError, match=r"cuts.jsonl.gz: unpacks to more than"):
        list(lhotse.read(tmp_path / "cuts.jsonl.gz"))


def test_a_line_without_an_end_is_not_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "_LONGEST_LINE", 1 << 16)
    (tmp_path / "cuts.jsonl.gz").write_bytes(gzip.compress(b"x" * (1 << 20)))
    with pytest.raises(SourceError, match="line 1: longer than 65,536 bytes"):
        list(lhotse.read(tmp_path / "cuts.jsonl.gz"))


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"not gzip", lambda data: data[:9] + b"xxxx"])
def test_a_damaged_gzip_file_is_named(tmp_path, damage):
    path = tmp_path / "cuts.jsonl.gz"
    path.write_bytes(damage(gzip.compress(b'{"id": 1}\n')))
    with pytest.raises(SourceError, match=r"cuts.jsonl.gz: not a whole gzip file"):
        list(lhotse.read(path))


@pytest.mark.parametrize(
    "line",
    ["{", "[1]", "3", '"x"', '{"audio_filepath": 3}', '{"audio_filepath": "0.wav", "offset": NaN}', "[" * 100_000,
     '{"audio_filepath": "0.wav", "offset": "x"}', '{"audio_filepath": "0.wav", "offset": true}',
     '{"audio_filepath": "0.wav", "offset": -1}', '{"audio_filepath": "0.wav", "duration": 0}',
     '{"audio_filepath": "0.wav", "duration": 9}', '{"audio_filepath": "0.wav", "offset": 1e400}',
     '{"audio_filepath": "0.wav", "text": "\\ud800"}', '{"audio_filepath": "0.wav", "text": "a\\u0000b"}',
     '{"audio_filepath": "0.wav", "offset": 0.25}', '{"audio_filepath": "0.wav", "offset": 1%s}' % ("0" * 5000),
     '{"audio_filepath": "0.wav", "duration": 1%s}' % ("0" * 400), '{"audio_filepath": "0.wav", "duration": 1e-12}'],
)  # fmt: skip
def test_a_line_of_json_that_is_of_no_use_is_one_rejection(audio, tmp_path, line):
    (tmp_path / "list.json").write_text(f'\n{line}\n{{"audio_filepath": "1.wav"}}\n')
    result = import_rows(nemo.read(tmp_path / "list.json"), tmp_path, [audio[0].parent], progress=False)
    assert [each.name for each in result.utterances] == ["1.wav"]
    assert [(each.file.name, each.number) for each in result.rejections] == [("list.json", 2)]


@pytest.mark.parametrize("declared", ["UTF-8", "UTF-16"])
def test_an_eaf_in_utf_16_with_a_path_that_no_disk_can_hold_is_read(tmp_path, declared):
    tier = '<TIER TIER_ID="t"><ALIGNABLE_ANNOTATION ANNOTATION_ID="a" TIME_SLOT_REF1="1" TIME_SLOT_REF2="1"/></TIER>'
    media = f'<MEDIA_DESCRIPTOR MEDIA_URL="file://{"a" * 300}.wav"/>'
    content = f'<?xml version="1.0" encoding="{declared}"?><ANNOTATION_DOCUMENT>{media}{tier}</ANNOTATION_DOCUMENT>'
    (tmp_path / "a.eaf").write_text(content, encoding=declared)
    (rejection,) = elan.read(tmp_path / "a.eaf")
    assert rejection.reason == "is not aligned to the recording at both ends"


def test_text_in_another_encoding_is_named_with_its_line(tmp_path):
    (tmp_path / "list.json").write_bytes(b'{"audio_filepath": "a.wav"}\n{"audio_filepath": "caf\xe9.wav"}\n')
    bad = [each for each in nemo.read(tmp_path / "list.json") if isinstance(each, Rejection)]
    assert [(each.number, each.reason[:9]) for each in bad] == [(2, "not UTF-8")]
    (tmp_path / "list.json").write_bytes('{"audio_filepath": "a.wav"}'.encode("utf-16"))
    with pytest.raises(SourceError, match="is UTF-16; save the file as UTF-8"):
        list(nemo.read(tmp_path / "list.json"))
    (tmp_path / "metadata.csv").write_bytes(b"file_name\na.wav\ncaf\xe9.wav\n")
    with pytest.raises(SourceError, match=r"metadata.csv, line 3: not UTF-8"):
        list(audiofolder.read(tmp_path))


@pytest.mark.parametrize("size", ["-1", "1e30", "2.5e9", "999"])
def test_a_textgrid_that_promises_more_than_it_holds_is_rejected(tmp_path, size):
    head = f'File type = "ooTextFile"\nObject class = "TextGrid"\n0\n1\n<exists>\n{size}\n'
    (tmp_path / "a.TextGrid").write_text(head)
    (rejection,) = textgrid.read(tmp_path / "a.TextGrid")
    assert "not a whole TextGrid" in rejection.reason
