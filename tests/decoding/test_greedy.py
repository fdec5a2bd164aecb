"""The best path against itertools, and padding that must not matter."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import Ragged
from jaxmeta.decoding.greedy import greedy

compiled = jax.jit(greedy)


def collapse(path):
    return [label for label, _ in itertools.groupby(path) if label]


def random_logits(rng, rows=40, frames=9, classes=3):
    lengths = rng.integers(0, frames + 1, rows).astype(np.int32)
    lengths[0] = frames
    return rng.normal(size=(rows, frames, classes)).astype(np.float32), lengths


def test_repetitions_merge_and_blanks_part():
    paths = [[1, 1, 0, 1, 2, 2], [0, 0, 0, 0, 0, 0], [2, 0, 2, 2, 1, 2]]
    logits = jax.nn.one_hot(jnp.array(paths), 3)
    labels, lengths = compiled(Ragged(logits, jnp.full(3, 6)))
    np.testing.assert_array_equal(labels, [[1, 1, 2, 0, 0, 0], [0] * 6, [2, 2, 1, 2, 0, 0]])
    np.testing.assert_array_equal(lengths, [3, 0, 4])
    assert labels.dtype == lengths.dtype == jnp.int32


def test_greedy_is_the_collapsed_best_path():
    logits, lengths = random_logits(np.random.default_rng(0))
    labels, sizes = compiled(Ragged(jnp.asarray(logits), jnp.asarray(lengths)))
    for row, size, values, length in zip(np.asarray(labels), np.asarray(sizes), logits, lengths, strict=True):
        expected = collapse(values[:length].argmax(-1).tolist())
        assert row.tolist() == expected + [0] * (len(row) - len(expected)) and size == len(expected)


@pytest.mark.parametrize("fill", [np.nan, np.inf, 7.0])
def test_padding_is_inert(fill):
    logits, lengths = random_logits(np.random.default_rng(1))
    expected = compiled(Ragged(jnp.asarray(logits), jnp.asarray(lengths)))
    beyond = np.arange(9)[:, None] >= lengths[:, None, None]
    actual = compiled(Ragged(jnp.asarray(np.where(beyond, fill, logits)), jnp.asarray(lengths)))
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def test_greedy_maps_over_tasks():
    logits, lengths = random_logits(np.random.default_rng(2))
    rows = Ragged(jnp.asarray(logits), jnp.asarray(lengths))
    tasks = jax.tree.map(lambda leaf: leaf.reshape(4, 10, *leaf.shape[1:]), rows)
    actual = jax.tree.map(lambda leaf: leaf.reshape(40, *leaf.shape[2:]), jax.jit(jax.vmap(greedy))(tasks))
    jax.tree.map(np.testing.assert_array_equal, actual, compiled(rows))


@pytest.mark.parametrize(("shape", "lengths"), [((2, 5), 2), ((2, 5, 3), 1), ((2, 5, 0), 2)])
def test_other_shapes_are_errors(shape, lengths):
    with pytest.raises(ValueError, match=r"greedy needs logits \[N, T, C\]"):
        greedy(Ragged(jnp.zeros(shape), jnp.zeros(lengths, jnp.int32)))
