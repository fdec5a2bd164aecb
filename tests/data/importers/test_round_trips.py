"""What was written in another tool's format is what the manifest says, whatever is in the cells."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmeta.data.audio import read_audio
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
from jaxmeta.data.manifest import read_manifest
from jaxmeta.data.manifests.importing import import_rows, write_import
from jaxmeta.data.text import canonical
from tests.data.importers import writers
from tests.data.importers.writers import SECONDS, Said

FORMATS = {
    "nemo": (nemo, writers.nemo, str, "nemo"),
    "lhotse": (lhotse, writers.lhotse, str, "lhotse"),
    "kaldi": (kaldi, writers.kaldi, writers.one_line, "kaldi"),
    "common_voice": (common_voice, writers.common_voice, writers.without("\t"), "common-voice"),
    "audiofolder_csv": (audiofolder, writers.audiofolder_csv, writers.any_line_ends, "audiofolder"),
    "audiofolder_jsonl": (audiofolder, writers.audiofolder_jsonl, str, "audiofolder"),
    "ljspeech": (ljspeech, writers.ljspeech, writers.without("|"), "ljspeech"),
    "textgrid": (textgrid, writers.textgrid, writers.any_line_ends, "textgrid"),
    "audacity": (audacity, writers.audacity, writers.one_line, "audacity"),
    "elan": (elan, writers.elan, writers.xml, "elan"),
    "transcripts": (transcripts, writers.transcripts, writers.blanks_as_spaces, "transcripts"),
}
"""Reader, writer, what of a text the format can hold, and the name of the format."""
PIECES = {"textgrid", "audacity", "elan"}
NAMED = set(FORMATS) - {"ljspeech", "textgrid", "audacity", "transcripts"}
"""Formats that say who speaks, and which language."""
EMPTY = {"nemo", "lhotse", "kaldi", "common_voice", "audiofolder_csv", "audiofolder_jsonl", "ljspeech"}
"""Formats whose rows may say nothing."""
CELLS = [
    "x" * 20_000, '"quo""te"', "tab\tin it", "two\nlines", "a\r\nb\rc", "e\u0301", "\ufeffmark", "| pipe |", "a,b;c",
    "\\",     "<tag> & &amp; ]]>", "=1+1", "\u202egnirts", "\U0001f600", "  spaces  ", "\u2028", "NaN", "\x0b\x1c", "",
    "'", "\u00e9",
]  # fmt: skip
"""What tools stumble over."""
hostile = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30), st.sampled_from(CELLS)
)


def imported(reader, source, roots, folder):
    """The rows of a list after everything that a command does, and the rejections."""
    result = import_rows(reader.read(source), source if source.is_dir() else source.parent, roots, progress=False)
    if not result.utterances:
        return None, result
    (folder / "new").mkdir()
    write_import(result, folder / "new", progress=False)
    return read_manifest(folder / "new", result.roots), result


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("first", range(0, len(CELLS), 3))
def test_cells_that_tools_stumble_over_come_through(audio, tmp_path, name, first):
    check(audio, tmp_path, name, CELLS[first : first + 3])


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(texts=st.lists(hostile, min_size=3, max_size=3))
def test_any_cells_come_through(audio, name, texts):
    with tempfile.TemporaryDirectory() as scratch:
        check(audio, Path(scratch), name, texts)


def check(audio, folder, name, texts):
    """Texts that are written and imported are there, and belong to the same sounds."""
    reader, write, hold, form = FORMATS[name]
    said = [Said(hold(text), f"speaker {place}", "de") for place, text in enumerate(texts)]
    (folder / "source").mkdir()
    source = write(folder / "source", audio, said)
    manifest, result = imported(reader, source, [audio[0].parent], folder)
    expected = [canonical(each.text) for each in said]
    if name == "ljspeech":  # Without a normalised text it is the text as written.
        expected = [text if each.text else "as written" for text, each in zip(expected, said, strict=True)]
    used = [place for place, text in enumerate(expected) if text or name in EMPTY]
    assert result.read == len(result.utterances) + len(result.rejections)
    assert detect(source) == form
    if not used:
        assert manifest is None
        return
    assert manifest.columns["transcription"].tolist() == [expected[place] for place in used]
    if name in NAMED:
        assert manifest.columns["speaker"].tolist() == [said[place].speaker for place in used]
        assert set(manifest.columns["language"].tolist()) == {"de"}
    for place, clip in zip(used, manifest.clips(), strict=True):
        assert clip[1:] == ((SECONDS * place, SECONDS) if name in PIECES else (0.0, None))
        np.testing.assert_array_equal(read_audio(clip), read_audio(audio[place]))
