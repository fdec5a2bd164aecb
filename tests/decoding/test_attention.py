"""Decoding of a small autoregressive model against enumeration and a plain loop."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import Ragged
from jaxmeta.decoding.attention import NBest, attention_beam, attention_greedy, best, joint_scores
from tests.programs import compiled

CLASSES, LONGEST, ROWS = 3, 3, 50
EVERY = sum((CLASSES - 1) ** size for size in range(LONGEST + 1))
WIDE = EVERY + 5  # hypotheses: more than there are sentences


def table(seed, scale=1.0):
    """Log-probabilities [N, P, C, C, C] of what follows at each position, given the last two labels."""
    logits = np.random.default_rng(seed).normal(scale=scale, size=(ROWS, LONGEST + 1, CLASSES, CLASSES, CLASSES))
    return (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32)


def score_of(tables):
    """Row m's score reads tables[m], at each position the label there and the one before."""

    def score(prefix):
        before = jnp.pad(prefix, ((0, 0), (1, 0)))[:, :-1]
        rows, positions = jnp.arange(prefix.shape[0])[:, None], jnp.arange(prefix.shape[1])
        return tables[rows, positions, before, prefix]

    return score


def beam_search(tables, beam, length_bonus=0.0):
    score = score_of(jnp.repeat(tables, beam, axis=0))
    return attention_beam(score, tables.shape[0], LONGEST, beam, length_bonus)


compiled_beam = compiled(beam_search, static_argnums=1)


def enumerated(tables, bonus=0.0):
    """For each row, (score, labels) of every sentence of at most LONGEST labels, best first."""
    tables = np.asarray(tables, np.float64)
    ranked = []
    for row in tables:
        sentences = []
        for size in range(LONGEST + 1):
            for labels in itertools.product(range(1, CLASSES), repeat=size):
                read = (0, 0, *labels, 0)
                total = sum(row[p, read[p], read[p + 1], read[p + 2]] for p in range(size + 1))
                sentences.append((total + bonus * size, labels))
        ranked.append(sorted(sentences, reverse=True))
    return ranked


@pytest.mark.parametrize("bonus", [0.0, 0.9])
def test_a_beam_as_wide_as_the_search_space_is_exhaustive(bonus):
    tables = table(0)
    actual = jax.tree.map(np.asarray, compiled_beam(tables, WIDE, bonus))
    for row, sentences in enumerate(enumerated(tables, bonus)):
        read = [tuple(labels[:size]) for labels, size in zip(actual.labels[row], actual.lengths[row], strict=True)]
        assert read[:EVERY] == [labels for _, labels in sentences]
        # four float32 logarithms
        np.testing.assert_allclose(actual.scores[row, :EVERY], [total for total, _ in sentences], rtol=1e-5)
    assert np.all(actual.scores[:, EVERY:] == -np.inf)
    assert not actual.labels[:, EVERY:].any() and not actual.lengths[:, EVERY:].any()


def greedily(row):
    row, labels, total = np.asarray(row, np.float64), [0, 0], 0.0
    for position in range(LONGEST + 1):
        log_p = row[position, labels[-2], labels[-1]]
        label = int(log_p.argmax()) if position < LONGEST else 0
        total += log_p[label]
        if label == 0:
            break
        labels.append(label)
    return labels[2:], total


def test_greedy_takes_the_likeliest_class_until_the_end():
    tables = table(2)
    labels, scores = compiled(lambda tables: attention_greedy(score_of(tables), ROWS, LONGEST))(tables)
    expected = [greedily(row) for row in tables]
    assert {len(read) for read, _ in expected} == {0, 1, 2, 3}
    for row, (read, total) in enumerate(expected):
        assert labels.values[row].tolist() == read + [0] * (LONGEST - len(read)) and labels.lengths[row] == len(read)
        assert scores[row] == pytest.approx(total, rel=1e-5)


def test_a_wide_beam_finds_what_greedy_misses():
    tables = table(3, scale=2.0)
    narrow, wide = (np.asarray(best(compiled_beam(tables, beam, 0.0))[1]) for beam in (1, WIDE))
    assert (wide >= narrow - 1e-5).all() and (wide > narrow + 1e-3).any()


def test_what_follows_the_end_is_zero():
    actual = compiled_beam(table(4), 3, 0.0)
    beyond = np.arange(LONGEST) >= np.asarray(actual.lengths)[..., None]
    assert beyond.any() and not np.asarray(actual.labels)[beyond].any()
    assert (np.asarray(actual.labels)[~beyond] > 0).all()
    assert (np.diff(actual.scores, axis=1) <= 0).all()


def test_a_bonus_lengthens():
    actual = (best(compiled_beam(table(5), WIDE, bonus))[0] for bonus in (0.0, 3.0))
    short, long = (np.asarray(each.lengths).sum() for each in actual)
    assert long > short + ROWS


def test_one_compilation_serves_many_inputs():
    traced = []

    @compiled
    def decode(tables):
        traced.append(tables.shape)
        return attention_greedy(score_of(tables), ROWS, LONGEST)[1]

    results = [decode(table(seed)) for seed in range(3)]
    assert len(traced) == 1 and not np.array_equal(results[0], results[1])


def test_rows_do_not_depend_on_each_other():
    tables, others = table(6), table(7)
    others[::2] = tables[::2]
    expected, actual = (jax.device_get(compiled_beam(t, 3, 0.0)) for t in (tables, others))
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a[::2], b[::2])
    assert not np.array_equal(actual.scores[1::2], expected.scores[1::2])


def test_joint_scores_order_anew():
    nbest = NBest(
        jnp.array([[[1, 2], [2, 0], [0, 0]], [[1, 0], [2, 2], [0, 0]]]),
        jnp.array([[2, 1, 0], [1, 2, 0]]),
        jnp.array([[-1.0, -2.0, -3.0], [-1.0, -1.5, -jnp.inf]]),
    )

    def ctc(labels):
        np.testing.assert_array_equal(labels.values, [[1, 2], [2, 0], [0, 0], [1, 0], [2, 2], [0, 0]])
        np.testing.assert_array_equal(labels.lengths, [2, 1, 0, 1, 2, 0])
        return jnp.array([-9.0, -1.0, -4.0, -1.0, -2.0, 0.0])

    actual = joint_scores(nbest, ctc, 0.5)
    np.testing.assert_allclose(actual.scores, [[-1.5, -3.5, -5.0], [-1.0, -1.75, -np.inf]])
    np.testing.assert_array_equal(actual.labels[0], [[2, 0], [0, 0], [1, 2]])
    np.testing.assert_array_equal(actual.lengths, [[1, 0, 2], [1, 2, 0]])
    jax.tree.map(np.testing.assert_array_equal, joint_scores(nbest, ctc, 0.0), nbest)
    np.testing.assert_allclose(joint_scores(nbest, ctc, 1.0).scores, [[-1.0, -4.0, -9.0], [-1.0, -2.0, -np.inf]])


def test_an_alignment_that_does_not_exist_puts_a_hypothesis_last():
    nbest = NBest(jnp.array([[[1], [2]]]), jnp.array([[1, 1]]), jnp.array([[-1.0, -2.0]]))
    impossible = jnp.array([-jnp.inf, -1.0])
    assert joint_scores(nbest, lambda labels: impossible, 0.3).labels[0, 0] == 2
    jax.tree.map(np.testing.assert_array_equal, joint_scores(nbest, lambda labels: impossible, 0.0), nbest)


def test_shapes_and_numbers_that_cannot_be_are_errors():
    tables = table(0)
    with pytest.raises(ValueError, match="longest=0"):
        attention_greedy(score_of(tables), ROWS, 0)
    with pytest.raises(ValueError, match=r"score must map prefixes \[100, 4\].*2 hypotheses"):
        attention_beam(lambda prefix: jnp.zeros((ROWS, LONGEST + 1, CLASSES)), ROWS, LONGEST, 2)
    with pytest.raises(ValueError, match="C of 2 or more"):
        attention_greedy(lambda prefix: jnp.zeros((*prefix.shape, 1)), ROWS, LONGEST)
    nbest = NBest(jnp.zeros((1, 2, 1), jnp.int32), jnp.zeros((1, 2), jnp.int32), jnp.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"weight=1\.5"):
        joint_scores(nbest, lambda labels: jnp.zeros(2), 1.5)
    with pytest.raises(ValueError, match=r"\[2\], got \(1, 2\)"):
        joint_scores(nbest, lambda labels: jnp.zeros((1, 2)), 0.5)
    assert isinstance(best(nbest)[0], Ragged)
