"""Learners on the network itself have the same time, start from one classifier, and meet the same tests."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.word_corpora import Words
from jaxmeta.evaluation.comparison.search import Rung
from jaxmeta.models.layers import segment_pool
from jaxmeta.types import Model
from jaxmeta.words.embedded.stages import without_validation_words
from jaxmeta.words.network import comparison
from jaxmeta.words.network.comparison import START, Seconds, compare_networks
from jaxmeta.words.network.pooling import pooled
from jaxmeta.words.network.recipes import BASELINE, recipes, started


def recordings(words: range, takes: int, frames: int = 16, size: int = 8) -> Corpus:
    """Recordings of words around the word's own mean, with the columns of a training corpus."""
    means = np.random.default_rng(0).normal(size=(100, frames, size))
    labels = np.repeat(np.array(words), takes)
    values = means[labels] + 0.5 * np.random.default_rng(words.start + 1).normal(size=(len(labels), frames, size))
    columns = {"file_name": np.arange(len(labels)).astype(str), "label": labels.astype(str)}
    columns |= {name: np.full(len(labels), "made") for name in ("corpus", "pool")}
    length = np.full(len(labels), frames, np.int32)
    starts = np.arange(len(labels)) * frames
    return Corpus(values.reshape(-1, size).astype(np.float32), starts, length, columns, "made")


def linear(outputs=None):
    """A network of one matrix, and perhaps a head: its programs compile quickly."""

    def init(key, inputs):
        params = {"body": jax.random.normal(key, (32, 16)) / 32**0.5}
        return (params if outputs is None else params | {"head": jnp.zeros((16, outputs))}), {}

    def apply(params, state, inputs, key, train):
        features = segment_pool(inputs.values, inputs.lengths, 4).reshape(len(inputs.lengths), -1) @ params["body"]
        return (features if outputs is None else features @ params["head"]), state

    return Model(init, apply)


def test_a_recording_is_pooled_to_the_means_of_equal_parts_of_its_duration():
    lengths = np.array([4, 8], np.int32)
    frames = np.arange(12, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    corpus = Corpus(frames, np.array([0, 4]), lengths, {"label": np.array(["a", "b"])}, "made")
    expected = [[0.5, 2.5], [5.5, 9.5]]
    short = pooled(corpus, 2)
    np.testing.assert_allclose(short.frames[:, 0].reshape(2, 2), expected, rtol=1e-6)
    assert short.length.tolist() == [2, 2] and short.columns["label"].tolist() == ["a", "b"]


def test_equal_seconds_are_as_many_updates_as_fit_in_and_one_of_each_size_at_least():
    budget = Seconds(rungs=((4, 2.0), (1, 0.1)), training=10.0, seeds=2).updates(pace=3.0)
    assert budget.rungs == (Rung(4, 6), Rung(1, 2)) and budget.updates == 30 and budget.seeds == 2


def test_a_search_trains_on_no_word_that_validation_has():
    train, val = recordings(range(6), 2), recordings(range(4, 8), 2)
    rest = without_validation_words(Words(train, {}, {"made": val, "other": recordings(range(2), 2)}, {}, {}))
    assert sorted(set(rest.columns["label"])) == ["0", "1", "2", "3"]


def test_learners_start_from_the_classifiers_body_under_a_head_of_zeros():
    def network(outputs=None):
        head = {} if outputs is None else {"head": {"kernel": np.ones((3, outputs))}}
        return Model(lambda key, inputs: ({"body": np.zeros(2)} | head, {}), lambda *arguments: None)

    begun = started(network, {"body": np.ones(2), "head": {"kernel": np.ones((3, 40))}})
    params, _ = begun(5).init(jax.random.key(0), None)
    np.testing.assert_array_equal(params["body"], np.ones(2))
    np.testing.assert_array_equal(params["head"]["kernel"], np.zeros((3, 5)))
    assert set(begun().init(jax.random.key(0), None)[0]) == {"body"}


def test_the_main_learners_and_the_baseline_are_compared_on_the_network():
    seven = {"protonet", "r2d2", "maml", "anil", "meta_sgd", "maml_plus_plus", "proto_maml"}
    assert next(iter(recipes())) == BASELINE and set(recipes()) == seven | {BASELINE}


@pytest.mark.slow
def test_a_comparison_beats_chance_and_computes_nothing_twice(tmp_path, monkeypatch):
    train, val, test = recordings(range(13), 12), recordings(range(7, 12), 24), recordings(range(20, 28), 24)
    words = Words(train, {"made": test}, {"made": val}, {"made": "made"}, {})
    options = {"seconds": Seconds(((2, 0.1), (1, 0.1)), 0.2, 2, 4, 25), "shots": (1,), "episodes": 25}
    options |= {"learners": ("protonet",), "network": linear}
    text, rows = compare_networks(words, lambda key, episode: episode, tmp_path, **options)
    assert [row["method"] for row in rows] == [BASELINE, "protonet", START]
    assert all(row["made, 1-shot"][0] > 40 for row in rows)
    assert (tmp_path / "comparison.md").read_text(encoding="utf-8") == text

    def untrained(*arguments):
        raise AssertionError("a result is computed twice")

    made = comparison.programs
    monkeypatch.setattr(comparison, "programs", lambda *each: made(*each)._replace(train=untrained, pace=untrained))
    assert compare_networks(words, lambda key, episode: episode, tmp_path, **options) == (text, rows)
