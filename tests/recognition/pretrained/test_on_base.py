"""Recognisers on a public encoder: trained in two stages, kept in a folder that belongs to one base, adapted."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxmeta.bundle import BundleError
from jaxmeta.cli.main import main
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.features import extract, waveform_frames, whisper_features
from jaxmeta.files.cards import CardError
from jaxmeta.models.pretrained.wav2vec2 import normalised, wav2vec2, write_wav2vec2
from jaxmeta.recognition.pretrained import presets, training
from jaxmeta.recognition.pretrained.encoder import PublicEncoder, read_encoder
from jaxmeta.recognition.pretrained.on_base import load_any_recogniser, load_on_base, parts
from jaxmeta.recognition.pretrained.presets import BasePreset, Stage
from jaxmeta.recognition.transcription import transcribe
from jaxmeta.recognition.voice import read_voice
from jaxmeta.training.checkpoint import checkpoints
from jaxmeta.tree import named
from jaxmeta.types import Ragged
from tests.cli.test_cli import fails
from tests.models.pretrained.checkpoints import WAV2VEC2, random_wav2vec2, wav2vec2_config
from tests.programs import compiled
from tests.recognition.conftest import SAID, SPEAKERS, interrupted, run_interrupted, write_voice
from tests.recognition.pretrained.conftest import in_small, write_small_whisper

SMALL = BasePreset(Stage(2, 1e-3), Stage(6, 1e-3), 2, 1, "dnn", 16, 1, 0.1, 200, 100)


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Two small random public networks, of Whisper and of HuBERT."""
    root = tmp_path_factory.mktemp("bases")
    write_small_whisper(root / "whisper")
    config = WAV2VEC2 | {"model_type": "hubert", "conv_dim": [8, 8], "conv_kernel": [10, 40], "conv_stride": [10, 32]}
    write_wav2vec2(root / "hubert", config, random_wav2vec2(config))
    return root


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    return write_voice(tmp_path_factory.mktemp("speech") / "said", SAID, speaker=SPEAKERS)


@pytest.fixture(scope="module")
def trained(bases, speech, tmp_path_factory):
    """Folders of recognisers by the family of their base."""
    root = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        in_small(patch, presets.BASE_PRESETS, SMALL, tmp_path_factory.mktemp("cache"))
        for name in ("whisper", "hubert"):
            main(command(speech, bases / name, root / name))
    return root


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    in_small(monkeypatch, presets.BASE_PRESETS, SMALL, tmp_path / "cache")


def command(speech, base, out, *more):
    return ["train", "recogniser", str(speech), "--base", str(base), "--out", str(out), "--head", "ctc", *more]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whisper", "hubert"])
def test_the_folder_holds_what_learnt_and_transcribes(name, trained, bases, speech, capsys):
    recogniser, encoder = load_on_base(trained / name)
    # Six matrices of one layer, two factors each; nothing of the base.
    assert len(recogniser.params["adapters"]) == 6 and set(recogniser.params) == {"head", "adapters"}
    options = recogniser.card.options
    assert options["base"] == str(bases / name) and options["base_sha256"] == encoder.sha256
    assert (options["rank"], options["layers"], recogniser.card.features) == (2, 1, encoder.features)
    assert json.loads((trained / name / "results.json").read_bytes())["rows"][0]["speakers"] == 2
    main(["transcribe", str(trained / name), str(speech / "audio" / "0.wav"), str(speech / "audio" / "1.wav")])
    said = [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()]
    voice = read_voice(recogniser, speech)
    rows = zip(voice.batch.inputs.values, voice.batch.inputs.lengths, strict=True)
    assert said == transcribe(recogniser, [values[:length] for values, length in rows][:2])
    # The part that learns does on activations what the whole does on features.
    lower, upper = parts(recogniser)
    whole, above = (
        compiled(each.model.apply, static_argnums=4)(recogniser.params, {}, inputs, jax.random.key(0), False)[0]
        for each, inputs in ((recogniser, voice.batch.inputs), (upper, lower(voice.batch.inputs)))
    )
    np.testing.assert_array_equal(whole.lengths, above.lengths)
    np.testing.assert_allclose(whole.values, above.values, atol=1e-4)


@pytest.mark.slow
def test_only_what_learns_is_in_checkpoints(trained):
    path = checkpoints(trained / "whisper" / "training" / "adapters" / "checkpoints")[-1]
    held = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    learnt = sum(leaf.size for leaf in named(load_on_base(trained / "whisper")[0].params).values())
    # Weights and two moments of AdamW in float32, and what says where they are.
    assert held < 3 * 4 * learnt + 60_000


@pytest.mark.slow
def test_a_folder_belongs_to_one_base(trained, bases, tmp_path, capsys):
    mine = shutil.copytree(trained / "whisper", tmp_path / "mine")
    moved = shutil.copytree(bases / "whisper", tmp_path / "moved")
    assert load_any_recogniser(mine, moved).card.options["base"] == str(moved)
    with pytest.raises(BundleError, match="made with another network than that of"):
        load_on_base(mine, bases / "hubert")
    with pytest.raises(BundleError, match="which is not there; give its folder by --base"):
        load_on_base(mine, tmp_path / "nowhere")
    weights = mine / "weights.npz"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(BundleError, match="damaged"):
        load_on_base(mine)
    card = json.loads((mine / "card.json").read_bytes())
    card["options"]["rank"] = 3
    (mine / "card.json").write_text(json.dumps(card))
    with pytest.raises((CardError, BundleError)):
        load_on_base(mine)


@pytest.mark.slow
def test_an_interrupted_training_resumes_in_its_stage(trained, bases, speech, tmp_path, monkeypatch, capsys):
    from jaxmeta.recognition import training

    make, out = training.batch_sampler, tmp_path / "out"
    calls = []

    def second_stage(*arguments, **options):
        calls.append(1)
        return (interrupted(make, 1) if len(calls) == 2 else make)(*arguments, **options)

    run_interrupted(command(speech, bases / "whisper", out), out, monkeypatch, training, "batch_sampler", second_stage)
    resumed, whole = (named(load_on_base(folder)[0].params) for folder in (out, trained / "whisper"))
    for path, leaf in whole.items():
        np.testing.assert_array_equal(resumed[path], leaf)


@pytest.mark.slow
def test_a_recogniser_on_a_base_adapts_to_a_voice(trained, speech, tmp_path, capsys):
    before, _ = load_on_base(trained / "whisper")
    options = ["--steps", "3", "--rate", "0.1", "--always", "--json"]
    main(["adapt", str(trained / "whisper"), str(speech), "--out", str(tmp_path / "mine"), *options])
    assert json.loads(capsys.readouterr().out)["adapted"]
    after, _ = load_on_base(tmp_path / "mine")
    moved = [not np.array_equal(leaf, named(before.params)[path]) for path, leaf in named(after.params).items()]
    assert all(moved) and after.card.options == before.card.options
    assert sum(path.stat().st_size for path in (tmp_path / "mine").iterdir()) < 100_000


@pytest.mark.slow
def test_waveforms_in_frames_give_what_the_encoder_gives_for_the_waveform(bases):
    encoder = read_encoder(bases / "hubert")
    waveform = np.random.default_rng(0).normal(size=5 * 320).astype(np.float32)
    frames = extract(waveform, encoder.features)
    lower, _ = encoder.split(0)
    speech = Ragged(frames[None], np.array([5], np.int32))
    actual = compiled(lower.apply, static_argnums=4)(encoder.params, {}, speech, jax.random.key(0), False)[0]
    # The shortest waveform has 10 + 39 * 10 = 400 samples, 80 more than a frame.
    config = wav2vec2_config(json.loads((bases / "hubert" / "config.json").read_text()))
    whole = normalised(Ragged(waveform[None], np.array([1600], np.int32)))
    padded = Ragged(np.pad(whole.values, ((0, 0), (0, 80))), np.array([1680], np.int32))
    expected = compiled(wav2vec2(config).apply, static_argnums=4)(encoder.params, {}, padded, jax.random.key(0), False)
    assert actual.lengths.tolist() == [5]
    np.testing.assert_allclose(actual.values, expected[0].values[:, :5], atol=1e-4)


def test_recordings_longer_than_the_encoder_takes_are_left_out(monkeypatch):
    monkeypatch.setattr(training, "activations_below", lambda corpus, *_: corpus)
    corpus = Corpus(np.zeros((30, 1), np.float32), np.array([0, 11, 21]), np.array([11, 10, 9], np.int32), {})
    for longest, lengths in ((10, [10, 9]), (None, [11, 10, 9])):
        encoder = PublicEncoder(lambda first, last: None, {}, 2, 4, whisper_features(), 2, longest, "")
        assert training.activations(encoder, corpus, 1).length.tolist() == lengths


def test_samples_in_frames_are_the_samples():
    waveform = np.arange(7, dtype=np.float32)
    np.testing.assert_array_equal(extract(waveform, waveform_frames(3)), [[0, 1, 2], [3, 4, 5], [6, 0, 0]])
    assert waveform_frames(320).size == 320 and waveform_frames(320).frame_rate == 50


def test_options_that_do_not_fit_are_refused(bases, speech, tmp_path, capsys):
    out = tmp_path / "out"
    said = fails(["train", "recogniser", str(speech), "--out", str(out), "--adapters", "4"], capsys)
    assert "--language and --learner need a public network; give its folder by --base" in said
    said = fails(command(speech, bases / "whisper", out, "--size", "tiny"), capsys)
    assert "--size cannot be used with" in said
    assert "has 2" in fails(command(speech, bases / "whisper", out, "--layers", "3"), capsys)
    assert "config.json is missing" in fails(command(speech, Path(tmp_path), out), capsys)
    assert not out.exists()
