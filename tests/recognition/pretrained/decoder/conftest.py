"""A small random Whisper, recordings of five people, and a folder whose decoder was trained on them."""

import json

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from jaxmeta.cli.main import main
from jaxmeta.recognition.presets import MetaTraining
from jaxmeta.recognition.pretrained import presets
from jaxmeta.recognition.pretrained.presets import DecoderPreset, Stage
from tests.recognition.conftest import SPEAKERS, write_voice
from tests.recognition.pretrained.conftest import in_small, write_small_whisper

# All of one length, for which one program is compiled.
SAID = ["HELLO WORLD", "WORLD HELLO", "HELLO HELLO", "WORLD WORLD", "HELLO WORLD", "WORLD HELLO"]
# Three calls of eight updates, so that training can be interrupted once the program is compiled.
META = MetaTraining(24, 1e-2, tasks=1, support=1, query=1, steps=2, inner_rate=0.02, longest=150)
SMALL = DecoderPreset(Stage(2, 1e-2), Stage(3, 1e-2), 2, 1, 400, 2.5, silence=0.5, meta=META)


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    return write_small_whisper(tmp_path_factory.mktemp("base") / "whisper", decoder_layers=1)


@pytest.fixture(scope="session")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech") / "said"
    sounds = [f"{'a' * count}{'b' * (11 - count)}" for count in range(len(SAID))]
    return write_voice(folder, sounds, transcription=SAID, speaker=SPEAKERS)


@pytest.fixture(scope="package", autouse=True)
def compiled_once(tmp_path_factory):
    """Programs that several commands run are compiled for the first of them."""
    options = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: getattr(jax.config, name) for name in options}
    for name, value in options.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture(scope="session")
def trained(base, speech, tmp_path_factory):
    """By both stages."""
    with pytest.MonkeyPatch.context() as patch:
        in_small(patch, presets.DECODER_PRESETS, SMALL, tmp_path_factory.mktemp("cache"))
        folder = tmp_path_factory.mktemp("trained") / "recogniser"
        main(command(speech, base, folder))
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    in_small(monkeypatch, presets.DECODER_PRESETS, SMALL, tmp_path / "cache")


def command(speech, base, out, *more):
    return [
        "train", "recogniser", str(speech), "--base", str(base), "--out", str(out), "--head", "decoder", *more
    ]  # fmt: skip


def planned(arguments, capsys):
    """What a command says that it would train."""
    main([*map(str, arguments), "--dry-run", "--json"])
    return json.loads(capsys.readouterr().out)["trains"]
