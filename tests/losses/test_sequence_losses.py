"""Sequence losses against sums over all alignments, numpy and finite differences."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Model, Ragged, maml, mixed_mode, unrolled
from jaxmeta.losses import cross_entropy
from jaxmeta.sequence_losses import confidence, ctc, ctc_feasible, per_label, sequence_cross_entropy
from tests.programs import compiled, ravel

RNG = np.random.default_rng(0)
CLASSES = 4
FRAMES = [5, 5, 3, 4, 2, 0]
compiled_ctc = compiled(ctc)
LABELS = [[1, 2, 2], [3], [1, 3, 2], [], [2, 1], []]


def ragged(rows, width, fill=0):
    values = np.full((len(rows), width), fill, np.int32)
    for row, labels in zip(values, rows, strict=True):
        row[: len(labels)] = labels
    return Ragged(jnp.asarray(values), jnp.asarray([len(row) for row in rows], jnp.int32))


def logits(dtype=np.float32):
    return RNG.normal(size=(len(FRAMES), 5, CLASSES)).astype(dtype)


def collapse(path):
    """An alignment's labels: repetitions merged, then blanks dropped."""
    return [label for label, _ in itertools.groupby(path) if label]


def by_enumeration(values, frames, labels):
    log_p = np.asarray(values, np.float64)[:frames]
    log_p = log_p - np.log(np.exp(log_p).sum(-1, keepdims=True))
    paths = [path for path in itertools.product(range(CLASSES), repeat=frames) if collapse(path) == labels]
    return -np.log(sum(np.exp(sum(log_p[t, label] for t, label in enumerate(path))) for path in paths))


def test_ctc_sums_over_every_alignment():
    values = logits()
    outputs = Ragged(values, jnp.asarray(FRAMES, jnp.int32))
    expected = [by_enumeration(*row) for row in zip(values, FRAMES, LABELS, strict=True)]
    # float32 sums of logs, each of size 10 at most, over 5 frames
    np.testing.assert_allclose(compiled_ctc(outputs, ragged(LABELS, 3)), expected, rtol=1e-5, atol=1e-6)


@compiled
def ctc_and_gradient(values, frames, targets):
    return jax.value_and_grad(lambda values: ctc(Ragged(values, frames), targets).sum())(values)


def test_padding_of_ctc_is_inert_even_if_nan():
    values, frames = logits(), np.asarray(FRAMES, np.int32)
    beyond = np.arange(5)[:, None] >= frames[:, None, None]
    expected = ctc_and_gradient(np.where(beyond, np.float32(0), values), frames, ragged(LABELS, 3))
    for fill, label in ((jnp.nan, 99), (jnp.inf, 2)):
        value, gradient = ctc_and_gradient(np.where(beyond, np.float32(fill), values), frames, ragged(LABELS, 3, label))
        np.testing.assert_array_equal(value, expected[0])
        np.testing.assert_array_equal(gradient, expected[1])
        assert not np.asarray(gradient)[np.broadcast_to(beyond, values.shape)].any()


def test_a_label_that_ctc_cannot_emit_makes_its_row_nan():
    rows = [[1, 0], [CLASSES], [2, -1, 1], [1], [], [1, 2]]
    value = compiled_ctc(Ragged(logits(), jnp.full(6, 5, jnp.int32)), ragged(rows, 3))
    np.testing.assert_array_equal(np.isnan(value), [True, True, True, False, False, False])


def test_ctc_is_float32_or_better():
    outputs = Ragged(logits()[:1].astype(jnp.bfloat16), jnp.array([5]))
    value = compiled_ctc(outputs, ragged([[1, 2]], 2))
    assert value.dtype == jnp.float32
    # The logits are rounded; what follows is not.
    expected = by_enumeration(outputs.values[0], 5, [1, 2])
    np.testing.assert_allclose(value, [expected], rtol=1e-5)


def test_feasible_is_exactly_where_an_alignment_exists():
    rows = [[], [1], [1, 1], [1, 2], [1, 1, 1], [1, 1, 2], [1, 2, 1]]
    feasible = compiled(ctc_feasible)
    for frames in range(6):
        reached = [collapse(path) for path in itertools.product(range(3), repeat=frames)]
        # Padding of 1 repeats the last label of [1, 2, 1], but is no label.
        actual = feasible(np.full(len(rows), frames), ragged(rows, 4, fill=1))
        np.testing.assert_array_equal(actual, [row in reached for row in rows])


def test_an_infeasible_row_is_finite_and_therefore_must_be_weighted_away():
    frames = jnp.array([2, 5, 5, 5, 5, 5], jnp.int32)
    value, gradient = ctc_and_gradient(logits(), frames, ragged([[1, 1], [], [], [], [], []], 3))
    gradient = np.asarray(gradient)
    assert 9e4 < value < 2e5 and np.isfinite(gradient).all() and gradient[0].any()


def shift(tree, direction, step):
    return jax.tree.map(lambda leaf, d: leaf + step * d, tree, direction)


def recogniser():
    """A frame-wise linear model with one hidden layer."""

    def apply(params, state, inputs, key, train):
        hidden = jnp.tanh(inputs.values @ params["hidden"])
        return Ragged(hidden @ params["head"], inputs.lengths), state

    return Model(None, apply)


def spoken_batch(rng, rows=2):
    lengths = jnp.asarray(rng.integers(4, 7, rows), jnp.int32)
    labels = ragged([list(rng.integers(1, CLASSES, 2)) for _ in range(rows)], 2)
    return Batch(Ragged(jnp.asarray(rng.normal(size=(rows, 6, 3))), lengths), labels, jnp.ones(rows))


def test_second_order_meta_gradients_through_ctc_match_finite_differences():
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        episode = Episode(spoken_batch(rng), spoken_batch(rng))
        shapes = {"hidden": (3, 5), "head": (5, CLASSES)}
        params, direction = ({k: rng.normal(size=s) for k, s in shapes.items()} for _ in range(2))

        def loss(estimator, params):
            learner = maml(recogniser(), ctc, optax.sgd(0.3), 2, estimator)
            return learner.meta_loss(params, {}, episode, jax.random.key(0))[0]

        step = 1e-5  # rounding leaves about 1e-10 of the difference, the third derivative about 1e-9
        for estimator in (unrolled(), mixed_mode()):
            program = compiled(jax.value_and_grad(functools.partial(loss, estimator)))
            ahead, behind = (float(program(shift(params, direction, each))[0]) for each in (step, -step))
            slope = ravel(program(params)[1]) @ ravel(direction)
            np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-7)


def test_gradient_and_hessian_vector_product_of_ctc_match_finite_differences():
    # Rows of no frames, of no labels and of a repetition among them; the repeated one needs its blank.
    with jax.enable_x64(True):
        values, direction = logits(np.float64), logits(np.float64)
        frames, targets, step = jnp.asarray(FRAMES, jnp.int32), ragged(LABELS, 3), 1e-5

        def total(values):
            return ctc(Ragged(values, frames), targets).sum()

        @compiled
        def program(values):
            """Value, gradient, and the gradient's derivative along the direction."""
            (value, gradient), (_, product) = jax.jvp(jax.value_and_grad(total), (values,), (direction,))
            return value, gradient, product

        here, ahead, behind = (jax.device_get(program(values + each * direction)) for each in (0, step, -step))
        np.testing.assert_allclose(np.vdot(here[1], direction), (ahead[0] - behind[0]) / (2 * step), rtol=1e-7)
        np.testing.assert_allclose(here[2], (ahead[1] - behind[1]) / (2 * step), rtol=1e-6, atol=1e-8)


def test_per_label_divides_a_row_by_its_labels():
    outputs, targets = Ragged(logits(), jnp.asarray(FRAMES, jnp.int32)), ragged(LABELS, 3)
    expected = np.asarray(compiled_ctc(outputs, targets)) / [3, 1, 3, 1, 2, 1]
    np.testing.assert_allclose(compiled(per_label(ctc))(outputs, targets), expected, rtol=1e-6)


def test_confidence_is_entropy_of_spoken_frames_and_confusion_of_classes():
    values = RNG.normal(size=(2, 4, 3)) * 3
    values[0, :, 0] = [9, -9, -9, 9]  # two frames of blank
    values[1] = np.nan
    actual = compiled(confidence(0.25, temperature=2.0))(Ragged(values, np.array([4, 0])), None)
    p = np.exp(values[0] / 2) / np.exp(values[0] / 2).sum(1, keepdims=True)
    entropy = -(p[1:3] * np.log(p[1:3])).sum(1).mean()
    together = p.T @ p
    confusion = np.mean([together[c].sum() - together[c, c] for c in range(3)] / p.sum(0))
    np.testing.assert_allclose(actual, [0.25 * entropy + 0.75 * confusion, 0.0], rtol=1e-5)


def test_confidence_falls_as_a_recogniser_grows_sure():
    values, loss = np.eye(4)[[[0, 1, 2, 3, 0]]], compiled(confidence())
    unsure, sure = (float(loss(Ragged(scale * values, np.array([5])), None)[0]) for scale in (1.0, 20.0))
    assert sure < 0.2 * unsure
    with pytest.raises(ValueError, match=r"temperature above 0, got 0\.3 and 0"):
        confidence(temperature=0)


def test_sequence_cross_entropy_is_the_sum_over_a_row():
    values, targets = RNG.normal(size=(3, 4, CLASSES)), ragged([[0, 2, 1, 3], [1], []], 4, fill=CLASSES + 5)
    log_p = values - np.log(np.exp(values).sum(-1, keepdims=True))
    expected = [-log_p[0, range(4), [0, 2, 1, 3]].sum(), -log_p[1, 0, 1], 0.0]
    values[1, 1:], values[2] = np.nan, np.inf

    @compiled
    def loss_and_gradient(values):
        actual, pull = jax.vjp(lambda v: sequence_cross_entropy(v, targets), values)
        return actual, *pull(jnp.ones(3))

    actual, gradient = loss_and_gradient(values)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    assert np.isfinite(gradient).all() and not np.asarray(gradient)[1, 1:].any()


def test_sequence_cross_entropy_of_one_label_is_cross_entropy():
    values, labels = RNG.normal(size=(4, CLASSES)), np.array([3, 0, 1, 1])
    actual = compiled(sequence_cross_entropy)(values[:, None], Ragged(labels[:, None], np.ones(4, np.int32)))
    np.testing.assert_allclose(actual, compiled(cross_entropy)(values, labels), rtol=1e-6)


F32, I32 = jnp.float32, jnp.int32
ROWS = Ragged(jnp.zeros((2, 3), I32), jnp.zeros(2, I32))
SHORT = Ragged(jnp.zeros((2, 3), I32), jnp.zeros(1, I32))
REAL = Ragged(jnp.zeros((2, 3), F32), jnp.zeros(2, I32))


@pytest.mark.parametrize(
    ("loss", "outputs", "targets", "message"),
    [
        (ctc, Ragged(jnp.zeros((1, 5, 4)), jnp.zeros(1, I32)), ROWS, r"logits \[N, T, C\]"),
        (ctc, Ragged(jnp.zeros((2, 5)), jnp.zeros(2, I32)), ROWS, r"logits \[N, T, C\]"),
        (ctc, Ragged(jnp.zeros((2, 0, 4)), jnp.zeros(2, I32)), ROWS, r"logits \[N, T, C\]"),
        (ctc, Ragged(jnp.zeros((2, 5, 4)), jnp.zeros(1, I32)), ROWS, r"lengths \[N\]"),
        (ctc, Ragged(jnp.zeros((2, 5, 4)), jnp.zeros(2, I32)), SHORT, r"lengths \[N\]"),
        (ctc, Ragged(jnp.zeros((2, 5, 4)), jnp.zeros(2, I32)), REAL, "integer labels"),
        (ctc_feasible, jnp.zeros(1, I32), ROWS, "needs frames"),
        (ctc_feasible, jnp.zeros((2, 1), I32), ROWS, "needs frames"),
        (sequence_cross_entropy, jnp.zeros((2, 1, 4)), ROWS, "needs outputs"),
        (sequence_cross_entropy, jnp.zeros((2, 3)), ROWS, "needs outputs"),
        (sequence_cross_entropy, jnp.zeros((2, 3, 4)), SHORT, r"lengths \[N\]"),
        (sequence_cross_entropy, jnp.zeros((2, 3, 4)), REAL, "integer labels"),
    ],
)
def test_shapes_that_would_broadcast_are_errors(loss, outputs, targets, message):
    with pytest.raises(ValueError, match=message):
        loss(outputs, targets)
