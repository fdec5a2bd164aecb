"""Losses of embeddings against numpy, and their gradients against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta.speaker_losses import angular_prototypical, generalised_end_to_end, margin_softmax, prototypical
from tests.derivatives import slopes
from tests.programs import compiled

RNG = np.random.default_rng(0)
EMBEDDINGS, TARGETS = RNG.normal(size=(7, 4)), np.array([0, 1, 2, 1, 0, 2, 2])
LOSSES = {
    "prototypical": prototypical(3), "angular": angular_prototypical(3, 7.0), "ge2e": generalised_end_to_end(3),
    "margin": margin_softmax(0.3, 12.0),
}  # fmt: skip


def centroids(row):
    """The mean of each class, without one example."""
    others = np.arange(len(TARGETS)) != row
    return np.stack([EMBEDDINGS[others & (c == TARGETS)].mean(0) for c in range(3)])


def cosine(one, other):
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


def by_hand(name, row):
    x, y, c = EMBEDDINGS[row], TARGETS[row], centroids(row)
    cosines = np.array([cosine(x, each) for each in c])
    logits = -np.square(c - x).sum(1) if name == "prototypical" else cosines
    if name == "ge2e":
        chances = 1 / (1 + np.exp(-(10 * logits - 5)))
        return 1 - chances[y] + np.delete(chances, y).max()
    logits = logits * (7 if name == "angular" else 1)
    return np.log(np.exp(logits).sum()) - logits[y]


@pytest.mark.parametrize("name", ["prototypical", "angular", "ge2e"])
def test_each_example_meets_the_centroids_of_the_others(name):
    with jax.enable_x64(True):
        actual = compiled(LOSSES[name])(EMBEDDINGS, TARGETS)
    np.testing.assert_allclose(actual, [by_hand(name, row) for row in range(7)], rtol=1e-12)


def test_the_margin_is_an_angle_and_nothing_at_zero():
    angles, targets = np.array([[0.4, 1.2], [2.0, 0.9]]), np.array([0, 1])
    moved = angles.copy()
    moved[[0, 1], targets] += 0.3
    with jax.enable_x64(True):
        actual, plain = (
            compiled(loss)(np.cos(angles), targets) for loss in (LOSSES["margin"], margin_softmax(0.0, 12.0))
        )
    for got, each in ((actual, moved), (plain, angles)):
        logits = 12 * np.cos(each)
        np.testing.assert_allclose(got, np.log(np.exp(logits).sum(1)) - logits[[0, 1], targets], rtol=1e-10)


def test_the_loss_falls_as_the_cosine_rises_over_all_of_its_range_and_has_slopes_at_its_ends():
    cosines, targets = np.stack([np.linspace(-1, 1, 201), np.zeros(201)], axis=1).astype(np.float32), np.zeros(201, int)
    loss = margin_softmax(0.5, 5.0)
    assert (np.diff(compiled(loss)(cosines, targets)) < 0).all()
    slope = compiled(jax.grad(lambda c: loss(c, targets).sum()))(cosines)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_finite_differences(name):
    with jax.enable_x64(True):
        points = EMBEDDINGS[:, :3] / 4 if name == "margin" else EMBEDDINGS
        exact, differences = slopes(lambda x: LOSSES[name](x, jnp.asarray(TARGETS)).sum(), jnp.asarray(points), 1)
    np.testing.assert_allclose(exact, differences, rtol=1e-6)


def test_who_is_alone_in_a_batch_cannot_be_vouched_for():
    targets = np.array([0, 0, 1])
    assert np.isnan(compiled(prototypical(2))(np.eye(3), targets)).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: margin_softmax(4.0), r"margin in \[0, pi\)"),
        (lambda: margin_softmax(scale=0.0), "scale must be above 0"),
        (lambda: prototypical(2)(jnp.ones(3), jnp.zeros(3, int)), r"embeddings \[N, E\]"),
        (lambda: prototypical(2)(jnp.ones((3, 2)), jnp.zeros(3)), "integer classes"),
    ],
)
def test_bad_arguments_are_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()
