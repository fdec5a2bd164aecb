"""A folder with a small random Whisper, and recordings of one voice."""

import pytest

from jaxmeta.models.pretrained.whisper import write_whisper
from tests.data.pretrained.small_tokenizer import write as write_tokenizer
from tests.models.pretrained.checkpoints import WHISPER, random_whisper
from tests.recognition.conftest import write_voice


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory):
    """Sees five seconds at once and writes up to six tokens."""
    for name in ("tokenizers", "safetensors"):
        pytest.importorskip(name, reason='needs the extra "pretrained"')
    folder = tmp_path_factory.mktemp("whisper")
    config = WHISPER | {"vocab_size": 31, "max_source_positions": 250, "num_mel_bins": 16}
    write_whisper(folder, config, random_whisper(config))
    write_tokenizer(folder)
    return folder


@pytest.fixture(scope="session")
def greetings(tmp_path_factory):
    """Six recordings in which somebody says the same."""
    return write_voice(tmp_path_factory.mktemp("greetings") / "mine", [f"hello{' ' * n}world" for n in range(1, 7)])
