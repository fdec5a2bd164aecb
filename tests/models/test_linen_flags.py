"""The flag by which a network trains is passed under whatever name it has, or the network is refused."""

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from jaxmeta.models.linen import from_linen
from tests.programs import compiled

KEY, X = jax.random.key(0), jnp.linspace(-3, 3, 20)[:, None]


def network(flag, when):
    """A class of network that drops out and keeps statistics where its flag says so."""

    def call(self, x, **flags):
        training = flags[flag] == when
        x = nn.BatchNorm(use_running_average=not training)(nn.Dense(16)(x))
        return nn.Dense(1)(nn.Dropout(0.5, deterministic=not training)(x))

    source = f"lambda self, x, {flag}={not when}: call(self, x, {flag}={flag})"
    return type("Net", (nn.Module,), {"__call__": nn.compact(eval(source, {"call": call}))})


@pytest.mark.parametrize(
    ("flag", "when"),
    [("train", True), ("training", True), ("is_training", True), ("deterministic", False),
     ("use_running_average", False), ("eval_mode", False), ("inference", False)],
)  # fmt: skip
def test_a_network_trains_whatever_its_flag_is_called(flag, when):
    model = from_linen(network(flag, when)())
    params, state = compiled(model.init)(KEY, X)
    apply = compiled(model.apply, static_argnums=4)
    (first, moved), (second, _) = (apply(params, state, X, jax.random.key(seed), True) for seed in (1, 2))
    assert (first != second).any() and any(
        (a != b).any() for a, b in zip(*map(jax.tree.leaves, (moved, state)), strict=True)
    )
    (first, still), (second, _) = (apply(params, state, X, jax.random.key(seed), False) for seed in (1, 2))
    assert (first == second).all() and all(
        (a == b).all() for a, b in zip(*map(jax.tree.leaves, (still, state)), strict=True)
    )


def test_an_argument_that_nobody_knows_is_refused_by_name():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, phase):
            return nn.Dense(1)(x)

    with pytest.raises(ValueError, match=r"Net\.__call__ needs 'phase'.*call it `train`"):
        from_linen(Net())


@pytest.mark.parametrize("module", [nn.Dropout(0.5, deterministic=True), nn.BatchNorm(use_running_average=False)])
def test_a_flag_that_is_set_in_the_network_is_refused(module):
    with pytest.raises(
        ValueError, match=r"is the same in training and in prediction; take '(deterministic|use_running)"
    ):
        from_linen(module)


def test_layers_that_take_their_flag_when_called_are_networks_too():
    model = from_linen(nn.Dropout(0.5))
    outputs, _ = model.apply({}, {}, jnp.ones((50, 2)), KEY, True)
    assert (outputs == 0).any() and (model.apply({}, {}, jnp.ones((50, 2)), KEY, False)[0] == 1).all()


def test_a_network_that_traces_its_flag_is_refused_with_the_remedy():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            return nn.Dense(1)(nn.Dropout(0.5, deterministic=not train)(x))

    with pytest.raises(ValueError, match=r"traces train.*wrap blocks inside"):
        from_linen(nn.remat(Net)()).init(KEY, X)
