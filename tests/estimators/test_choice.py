"""The estimator that is chosen by the size of a network."""

import jax
import jax.numpy as jnp
import optax
import pytest

from jaxmeta import Batch, Episode, Model, exact, maml, mixed_mode, unrolled
from jaxmeta.estimators import choice
from jaxmeta.losses import squared_error


def gradient(estimator):
    """The jaxpr of a meta-gradient of six weights."""
    model = Model(lambda key, inputs: (jnp.ones(6), {}), lambda params, state, inputs, *_: (inputs @ params, state))
    learner = maml(model, squared_error, optax.sgd(0.1), 2, estimator)
    batch = Batch(jnp.ones((3, 6)), jnp.zeros(3), jnp.ones(3))
    meta_loss = lambda params: learner.meta_loss(params, {}, Episode(batch, batch), jax.random.key(0))[0]  # noqa: E731
    return str(jax.make_jaxpr(jax.grad(meta_loss))(jnp.ones(6)))


@pytest.mark.parametrize(("small", "chosen"), [(6, unrolled()), (5, mixed_mode())])
def test_a_small_network_is_unrolled_and_a_larger_one_is_not(small, chosen):
    assert gradient(exact(small)) == gradient(chosen)


def test_the_choice_and_its_reason_are_said_once(capsys, monkeypatch):
    monkeypatch.setattr(choice, "_said", set())
    for _ in range(2):
        gradient(exact())
    said = "meta-gradient by unrolled(), for 6 weights are at most 10,000; `estimator` overrides it\n"
    assert capsys.readouterr().err == said


def test_a_negative_size_is_refused():
    with pytest.raises(ValueError, match=r"exact\(small=-1\) must be 0 or more weights"):
        exact(-1)
