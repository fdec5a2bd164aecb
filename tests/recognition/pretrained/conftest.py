"""A folder with a small random Whisper, and recordings of one voice."""

import pytest

from jaxmeta.models.pretrained.whisper import write_whisper
from tests.data.pretrained.small_tokenizer import write as write_tokenizer
from tests.models.pretrained.checkpoints import WHISPER, random_whisper
from tests.recognition.conftest import write_voice


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory):
    """Sees five seconds at once and writes up to six tokens."""
    return write_small_whisper(tmp_path_factory.mktemp("whisper"))


def write_small_whisper(folder, **changes):
    """A folder of a random Whisper that sees five seconds at once, with the tokens of a few words."""
    for name in ("tokenizers", "safetensors"):
        pytest.importorskip(name, reason='needs the extra "pretrained"')
    config = WHISPER | {"vocab_size": 31, "max_source_positions": 250, "num_mel_bins": 16} | changes
    write_whisper(folder, config, random_whisper(config))
    write_tokenizer(folder)
    return folder


def in_small(patch, presets, small, cache):
    """Commands in a process whose settings stay, with a small preset "quick", and a cache of the test's own."""
    patch.setitem(presets, "quick", small)
    patch.setenv("JAXMETA_HOME", str(cache))
    patch.setattr("jaxmeta.training.runtime.prepare", lambda **options: None)


@pytest.fixture(scope="session")
def greetings(tmp_path_factory):
    """Six recordings in which somebody says the same."""
    return write_voice(tmp_path_factory.mktemp("greetings") / "mine", [f"hello{' ' * n}world" for n in range(1, 7)])
