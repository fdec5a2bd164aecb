"""Words as means of the frames that are aligned with them, on frames that say which word they are of."""

import jax
import numpy as np
import optax
import pytest

from jaxmeta.decoding.greedy import greedy
from jaxmeta.recognition.shifts.word_prototypes import word_prototypes
from jaxmeta.types import Batch, Episode, Model, Ragged
from tests.programs import compiled

KEY = jax.random.key(0)
WORDS, FEATURES = 3, 4
IDENTITY = Model(lambda key, inputs: ({}, {}), lambda params, state, inputs, key, train: (inputs, state))


def utterances(*said, seed=0):
    """Each word is one frame, with a one and a little noise in its place; between words are frames of the blank."""
    rng = np.random.default_rng(seed)
    values = np.zeros((len(said), 9, FEATURES + 1), np.float32)
    values[..., -1] = 6
    labels = np.zeros((len(said), 3), np.int32)
    for row, words in enumerate(said):
        for index, word in enumerate(words):
            values[row, 1 + 3 * index] = np.r_[rng.normal(0, 0.05, FEATURES), -6]
            values[row, 1 + 3 * index, word - 1] += 2
            labels[row, index] = word
    lengths = np.array([3 * len(words) for words in said], np.int32)
    values[np.arange(9) >= lengths[:, None]] = 99
    return Batch(Ragged(values, lengths), Ragged(labels, np.array([*map(len, said)], np.int32)), np.ones(len(said)))


@pytest.fixture(scope="module")
def learner():
    return word_prototypes(IDENTITY, WORDS)


@pytest.fixture(scope="module")
def adapt(learner):
    return compiled(learner.adapt)


SUPPORT = utterances((1, 2), (2, 1, 2), (1,), (2,))


@pytest.mark.slow
def test_a_word_is_the_mean_of_its_frames_though_nobody_says_where_it_is(adapt):
    fast, _ = adapt({}, {}, SUPPORT, KEY)
    frames, labels = SUPPORT.inputs.values, SUPPORT.targets.values
    own = {
        word: [frames[row, 1 + 3 * index, :-1] for row, index in np.argwhere(labels == word).tolist()]
        for word in (1, 2)
    }
    for word, values in own.items():
        # Frames of the blank have a share of 1e-3 or less.
        np.testing.assert_allclose(fast["means"][word - 1], np.mean(values, axis=0), atol=0.02)
    assert fast["known"].tolist() == [True, True, False]


@pytest.mark.slow
def test_sequences_are_recognised_but_no_word_that_was_not_taught(adapt, learner):
    fast, _ = adapt({}, {}, SUPPORT, KEY)
    query = utterances((2, 1), (1, 2, 1), (3, 2), seed=1)
    labels = greedy(learner.predict({}, {}, fast, query.inputs, KEY, False)[0])
    assert [row[:length].tolist() for row, length in zip(*map(np.asarray, labels), strict=True)][:2] == [
        [2, 1], [1, 2, 1]
    ]  # fmt: skip
    assert not np.any(np.asarray(labels.values) == 3)


@pytest.mark.slow
def test_utterances_without_weight_teach_nothing(adapt):
    weight = np.array([1.0, 1, 1, 1, 0])
    wrong = utterances((1, 2), (2, 1, 2), (1,), (2,), (3, 1))
    fast, _ = adapt({}, {}, SUPPORT, KEY)
    again, _ = compiled(word_prototypes(IDENTITY, WORDS).adapt)({}, {}, wrong._replace(weight=weight), KEY)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5), fast, again)


@pytest.mark.slow
def test_gradient_steps_lower_the_loss_of_the_support_set(learner):
    def loss_after(steps):
        tuned = word_prototypes(IDENTITY, WORDS, 2, optax.sgd(0.1), steps)

        @jax.jit
        def loss(batch):
            fast, _ = tuned.adapt({}, {}, batch, KEY)
            frozen = learner._replace(adapt=lambda *_: (fast, {}))
            logits, _ = frozen.predict({}, {}, fast, batch.inputs, KEY, False)
            from jaxmeta.recognition.adaptation import LOSS

            return LOSS(logits, batch.targets).mean()

        return float(loss(SUPPORT))

    assert loss_after(5) < loss_after(0)


@pytest.mark.slow
def test_queries_with_words_that_were_not_taught_count_nothing(learner):
    query = utterances((1, 2), (3,))
    loss = compiled(learner.meta_loss)
    both, _ = loss({}, {}, Episode(SUPPORT, query), KEY)
    first, _ = loss({}, {}, Episode(SUPPORT, query._replace(weight=np.array([1.0, 0.0]))), KEY)
    np.testing.assert_allclose(both, first, rtol=1e-5)
