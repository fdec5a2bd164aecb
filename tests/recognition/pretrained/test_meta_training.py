"""Meta-learned starts of what adapts on a frozen encoder: what has gradients, what adapts, and what is resumed."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import Batch, Episode, Ragged, check_estimator, maml, tree
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.word_sets import word_set_tasks
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.models.acoustic import Size
from jaxmeta.models.pretrained.adapted import adapted
from jaxmeta.models.pretrained.head_parts import frames_to_logits, narrowing, on_frozen, stacked
from jaxmeta.models.pretrained.whisper import whisper_encoder
from jaxmeta.optimizers import adam
from jaxmeta.recognition.adaptation import LOSS
from jaxmeta.recognition.presets import MetaTraining
from jaxmeta.recognition.pretrained.meta_training import adapter_methods, meta_train
from jaxmeta.recognition.shifts.frozen_head import train_upper_part
from tests.models.pretrained import checkpoints
from tests.programs import compiled, jitted

KEY, WIDTH = jax.random.key(0), 6
META = MetaTraining(2, 1e-2, tasks=1, support=3, query=3, steps=2, inner_rate=0.1, longest=0)
MODEL = frames_to_logits(3, "dnn", Size(8, 1))


def random_corpus():
    rng = np.random.default_rng(0)
    texts = np.array(["red", "blue", "green"] * 8)
    frames = rng.normal(size=(24 * 6, WIDTH)).astype(np.float32)
    columns = {"transcription": texts, "recording": np.arange(24).astype(str), "speaker": np.repeat(["a", "b"], 12)}
    return Corpus(frames, 6 * np.arange(24), np.full(24, 6, np.int32), columns, "random")


CORPUS = random_corpus()
WORDS = build_vocabulary(CORPUS.columns["transcription"], level="word")
TASKS = word_set_tasks(CORPUS, WORDS, ways=2, tasks=1, support=3, query=3, seed=0)


@pytest.fixture(scope="module")
def start():
    return compiled(MODEL.init)(KEY, Ragged(jnp.zeros((1, 8, WIDTH)), jnp.full(1, 8)))[0]


def test_padding_is_inert_and_the_two_parts_of_a_head_are_one_on_the_other():
    whole = jitted(stacked(narrowing(8), MODEL))
    rng = np.random.default_rng(1)
    frames, lengths = rng.normal(size=(2, 12, WIDTH)).astype(np.float32), np.array([12, 7])
    params, _ = whole.init(KEY, Ragged(frames, lengths))
    assert set(params) == {"lower", "upper"}
    logits, _ = whole.apply(params, {}, Ragged(frames, lengths), KEY, False)
    assert logits.values.shape == (2, 6, 3) and logits.lengths.tolist() == [6, 4]
    alone = on_frozen(narrowing(8), params["lower"], MODEL)
    given = jitted(alone).apply(params["upper"], {}, Ragged(frames, lengths), KEY, False)[0]
    np.testing.assert_allclose(given.values[1, :4], logits.values[1, :4], atol=1e-6)
    other = frames.copy()
    other[1, 7:] = 9.0
    again, _ = whole.apply(params, {}, Ragged(other, lengths), KEY, False)
    np.testing.assert_allclose(again.values[1, :4], logits.values[1, :4], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["maml", "fomaml", "reptile", "anil", "meta_sgd", "layer_rates", "cavia"])
def test_every_start_is_meta_learned_and_then_adapts(name, start, tmp_path):
    method = adapter_methods(MODEL, WIDTH)[name]
    train = partial(meta_train, method, start, TASKS, META, tmp_path, width=WIDTH, seed=0, config={"method": name})
    params, before = train(), method.start(start, META.inner_rate)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, before)
    moved = {path for path, leaf in tree.named(params).items() if not np.array_equal(leaf, tree.named(before)[path])}
    if name in ("meta_sgd", "layer_rates"):
        assert {path for path in moved if path.startswith("rate/")} and params["rate"].keys() == start.keys()
        kernel = params["rate"]["output"]["kernel"]
        assert kernel.shape == (start["output"]["kernel"].shape if name == "meta_sgd" else ())
    jax.tree.map(np.testing.assert_array_equal, train(), params)  # What is done is loaded.
    episode = jax.tree.map(lambda leaf: leaf[0], TASKS(7))
    learner = method.build(0.1, 3)
    fast, _ = compiled(learner.adapt)(params, {}, episode.support, KEY)
    adapts = {path for path, leaf in tree.named(fast).items()} if name != "cavia" else {"a vector"}
    assert adapts == {
        "cavia": {"a vector"}, "anil": {"output/bias", "output/kernel"}
    }.get(name, set(tree.paths(start)))  # fmt: skip
    if name == "cavia":
        assert fast.shape == (WIDTH,) and np.any(fast)


def test_what_is_not_meta_trained_starts_as_it_is(start, tmp_path):
    method = adapter_methods(MODEL, WIDTH)["fine-tune"]
    same = meta_train(method, start, TASKS, META, tmp_path / "none", width=WIDTH, seed=0, config={})
    assert same is start and not (tmp_path / "none").exists()


@pytest.mark.slow
def test_only_the_upper_part_is_left_to_adapt(tmp_path):
    upper = train_upper_part(
        lambda corpus: corpus, CORPUS, WORDS, Size(8, 1), tmp_path, updates=2, batch=4, seed=0, config={}
    )
    assert set(upper.params) == {"encoder", "output"} and upper.width == 8
    frames = upper.encode(CORPUS)
    assert frames.length.tolist() == [3] * 24 and frames.frames.shape[1] == 8
    whole = train_upper_part(
        lambda corpus: corpus, CORPUS, WORDS, Size(8, 1), tmp_path / "own", updates=1, batch=4, seed=0, config={},
        narrow=False,
    )  # fmt: skip
    assert whole.width == WIDTH and whole.encode(CORPUS) is CORPUS


@pytest.mark.slow
def test_mixed_mode_is_exact_through_adapters_and_a_head_and_only_they_have_gradients():
    config = checkpoints.WHISPER | {"encoder_layers": 2, "d_model": 8}
    base = checkpoints.random_whisper(config)["encoder"]
    upper = whisper_encoder(checkpoints.whisper_config(config), first=1)
    model = adapted(upper, base, frames_to_logits(3, "dnn", Size(8, 1)), rank=2)
    rng = np.random.default_rng(2)
    inputs = Ragged(rng.normal(size=(2, 8, 8)).astype(np.float32), np.array([8, 6]))
    batch = Batch(inputs, Ragged(np.array([[1, 2], [2, 0]]), np.array([2, 1])), np.ones(2, np.float32))
    params, state = compiled(model.init)(KEY, inputs)
    params["adapters"] = jax.tree.map(lambda leaf: leaf + 0.1, params["adapters"])
    learner = partial(maml, model, LOSS, adam(0.05), 2)
    assert check_estimator(learner, Episode(batch, batch), params=params, state=state) == {}
    assert set(params) == {"head", "adapters"} and all(path.startswith("layers_1/") for path in params["adapters"])
