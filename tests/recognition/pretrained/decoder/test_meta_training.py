"""A start for voices that is meta-learned for a decoder: exact gradients, what moves, what is resumed and refused."""

import shutil
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import Batch, Episode, Ragged, check_estimator, forward_only
from jaxmeta.cli.main import main
from jaxmeta.models.pretrained.whisper import teacher_forced
from jaxmeta.models.pretrained.whispers.taught import taught_whisper
from jaxmeta.padding import pad_rows
from jaxmeta.recognition.pretrained import meta_training, presets
from jaxmeta.recognition.pretrained.adaptation import AdaptationOptions, learn
from jaxmeta.recognition.pretrained.adapter import AdapterCard, is_adapted, read_adapted, with_whisper_adapters
from jaxmeta.recognition.pretrained.decoder.meta_training import start_learner
from jaxmeta.recognition.pretrained.decoder.start import LearnedStart, adapting, of_leaf, with_start_rates
from jaxmeta.recognition.pretrained.voice import read_whisper_voice
from jaxmeta.tree import named
from tests.cli.test_cli import fails
from tests.models.pretrained import checkpoints
from tests.programs import compiled
from tests.recognition.conftest import interrupted, run_interrupted
from tests.recognition.pretrained.conftest import in_small
from tests.recognition.pretrained.decoder.conftest import META, SMALL, command, planned


def started(speech, base, out, learner="layer_rates", *more):
    return command(speech, base, out, "--learner", learner, *more)


@pytest.fixture(scope="module")
def start(trained, base, speech, tmp_path_factory):
    """A folder with a start for voices."""
    with pytest.MonkeyPatch.context() as patch:
        in_small(patch, presets.DECODER_PRESETS, SMALL, tmp_path_factory.mktemp("cache"))
        folder = tmp_path_factory.mktemp("started") / "recogniser"
        # Both stages are done, and only loaded.
        shutil.copytree(trained / "training", folder / "training")
        main(started(speech, base, folder))
    return folder


@pytest.mark.slow
def test_mixed_mode_is_exact_through_the_cross_entropy_of_what_is_taught_and_only_what_adapts_is_fast():
    config = checkpoints.WHISPER | {"encoder_layers": 1, "decoder_layers": 1, "d_model": 8}
    weights = checkpoints.random_whisper(config)
    model = taught_whisper(checkpoints.whisper_config(config), weights, 2, 0).model
    rng = np.random.default_rng(2)
    memory = Ragged(rng.normal(size=(2, 6, 8)).astype(np.float32), np.array([6, 4]))
    labels = Ragged(jnp.array([[5, 6], [7, 0]]), jnp.array([2, 1]))
    inputs, targets = teacher_forced(memory, labels, [3, 4], 2)
    batch = Batch(inputs, targets, np.ones(2, np.float32))
    start = LearnedStart("layer_rates", 2, 0.1)
    adapters = compiled(model.init)(jax.random.key(0), inputs)[0]
    moved = jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape), adapters)
    params = with_start_rates(moved, start.rates, 0.1, is_adapted)
    build = partial(start_learner, model, start, 2, 1)
    assert check_estimator(build, Episode(batch, batch), params=params, state={}) == {}
    fast, _ = compiled(build(forward_only()).adapt)(params, {}, batch, jax.random.key(0))
    assert {path.rsplit("/", 1)[0] for path in named(fast)} == set(filter(is_adapted, adapters))
    rates = {path for path in named(params) if path.startswith("rate/")}
    assert rates == {f"rate/{path}/{part}" for path in filter(is_adapted, adapters) for part in ("down", "up")}


@pytest.mark.slow
def test_the_folder_has_a_start_from_which_adapt_goes_on_at_its_rates(start, trained, base, speech, tmp_path, capsys):
    read = read_adapted(start)
    assert read.card.start == LearnedStart("layer_rates", 2, 0.02)
    rates = named(read.adapters["rate"])
    # Four matrices of the decoder's one layer, two factors each.
    assert len(rates) == 8 and all(leaf.shape == () and leaf != 0.02 for leaf in rates.values())
    before = read_adapted(trained).adapters
    moved = {path for path in before if np.any(before[path]["up"] != read.adapters[path]["up"])}
    assert moved == {path for path in before if path.startswith("decoder/")}
    main(["transcribe", str(start), str(speech / "audio" / "0.wav")])
    mine = tmp_path / "mine"
    main(["adapt", str(start), str(speech), "--out", str(mine), "--folds", "2", "--always"])
    after = read_adapted(mine)
    assert after.card.start == read.card.start
    jax.tree.map(np.testing.assert_array_equal, after.adapters["rate"], read.adapters["rate"])
    options = AdaptationOptions(rank=2, steps=2, rate=0.02, learner="layer_rates")
    whisper = with_whisper_adapters(read.recogniser, read.adapters)
    voice = read_whisper_voice(whisper, speech)
    expected = learn(read.recogniser, voice, np.arange(6), options, read.adapters)
    jax.tree.map(np.testing.assert_array_equal, after.adapters, expected)
    refused = ["adapt", str(start), str(speech), "--out", str(tmp_path / "other"), "--rate", "0.1"]
    assert "cannot be used with meta-learned rates" in fails(refused, capsys)
    # What is planned: two updates and three, 24 of the start; and of adaptation what adapts.
    assert planned(started(speech, base, tmp_path / "out"), capsys)["updates"] == 2 + 3 + 24
    adaptation = planned(["adapt", start, speech, "--out", tmp_path / "out"], capsys)
    assert (adaptation["updates"], adaptation["weights"]) == (2 * 6, 4 * 2 * 2 * checkpoints.WHISPER["d_model"])
    main(["export", str(start), "--to", "huggingface", "--out", str(tmp_path / "merged"), "--bits", "32"])
    assert "16 matrices adapted" in capsys.readouterr().out


def without_encoder(adapters):
    return {path: each for path, each in adapters.items() if not path.startswith("encoder/")}


@pytest.mark.slow
def test_steps_of_adaptation_are_those_of_the_learner(start, speech):
    read = read_adapted(start)
    recogniser = with_whisper_adapters(read.recogniser, {p: a for p, a in read.adapters.items() if p[0] == "e"})
    voice = read_whisper_voice(recogniser, speech)
    prompt = recogniser.tokenizer.whisper_prompt("en")
    memory = pad_rows([row.astype(np.float32) for row in voice.memory])
    labels = pad_rows(voice.labels)
    inputs, targets = teacher_forced(memory, labels, prompt, recogniser.tokenizer.end)
    batch = Batch(inputs, targets, np.ones(6, np.float32))
    model = taught_whisper(recogniser.config, {"decoder": recogniser.params["decoder"]}, 2, 0).model
    params = without_encoder(read.adapters) | {"rate": without_encoder(read.adapters["rate"])}
    learner = start_learner(model, read.card.start, len(prompt), 1, forward_only())
    fast, _ = compiled(learner.adapt)(params, {}, batch, jax.random.key(0))
    options = AdaptationOptions(rank=2, steps=2, learner="layer_rates")
    learnt = named(learn(read.recogniser, voice, np.arange(6), options, read.adapters))
    for path, leaf in named(fast).items():
        np.testing.assert_allclose(leaf, learnt[path], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_an_interrupted_start_is_resumed_exactly(start, trained, base, speech, tmp_path, monkeypatch, capsys):
    out, sampler = tmp_path / "out", interrupted(meta_training.utterance_sampler, 8)
    shutil.copytree(trained / "training", out / "training")
    run_interrupted(started(speech, base, out), out, monkeypatch, meta_training, "utterance_sampler", sampler)
    jax.tree.map(np.testing.assert_array_equal, read_adapted(out).adapters, read_adapted(start).adapters)


def test_too_few_recordings_of_each_speaker_are_refused_before_training(base, speech, tmp_path, capsys, monkeypatch):
    many = SMALL._replace(meta=META._replace(support=5, query=5))
    monkeypatch.setitem(presets.DECODER_PRESETS, "quick", many)
    said = fails([*started(speech, base, tmp_path / "out", "maml"), "--dry-run"], capsys)
    assert "a learner with support + query = 5 + 5" in said and not (tmp_path / "out").exists()


def test_what_adapts_and_what_a_card_cannot_say():
    paths = [f"decoder/layers_{layer}/{name}/kernel" for layer in (0, 1) for name in ("self_attn/q_proj", "fc1")]
    assert [path for path in paths if adapting("reptile", 2)(path)] == [paths[0], paths[2]]
    assert [path for path in paths if adapting("anil", 2)(path)] == paths[2:]
    assert of_leaf(is_adapted)(f"{paths[0]}/down") and not of_leaf(is_adapted)(f"{paths[1]}/up")
    with pytest.raises(ValueError, match="steps=-1 must lie between"):
        LearnedStart("maml", -1, 0.1)
    with pytest.raises(ValueError, match="needs adapters in all layers"):
        AdapterCard("base", "0", 2, "en", True, start=LearnedStart("maml", 1, 0.1))
