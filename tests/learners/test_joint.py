"""Several objectives over one network."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, maml, protonet
from jaxmeta.learners.joint import joint
from jaxmeta.losses import cross_entropy
from jaxmeta.training import init_state, make_update
from tests.derivatives import slopes
from tests.problem import WAYS, episodes, network, one

KEY = jax.random.key(0)
PARTS = {
    "words": protonet(network(6), cross_entropy, WAYS),
    "voices": maml(network(6), cross_entropy, optax.sgd(0.1), 2),
}


def tasks(seed=0, dtype=np.float32):
    return {"words": episodes(seed, dtype=dtype), "voices": episodes(seed + 1, dtype=dtype)}


def test_the_loss_is_the_sum_of_the_parts_each_over_its_learned_variance():
    learner, task = joint(PARTS), one(tasks())
    params, state = learner.init(KEY, task["words"].support.inputs)
    balance = {"words": jnp.array(0.4), "voices": jnp.array(-0.7)}
    found, _ = learner.meta_loss(params | {"balance": balance}, state, task, KEY)
    losses = [part.meta_loss(params["network"], state, task[name], KEY)[0] for name, part in PARTS.items()]
    np.testing.assert_allclose(found, sum(np.exp(-s) * x + s / 2 for s, x in zip((0.4, -0.7), losses)), rtol=1e-6)


def test_the_meta_gradient_is_that_of_finite_differences():
    with jax.enable_x64(True):
        task = one(tasks(dtype=np.float64))
        learner = joint(PARTS)
        params, state = learner.init(KEY, task["words"].support.inputs)
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), params)
        exact, differences = slopes(lambda params: learner.meta_loss(params, state, task, KEY)[0], params)
    np.testing.assert_allclose(exact, differences, rtol=1e-5)


def test_losses_of_any_unit_pull_at_the_network_alike_in_the_end():
    """Where the variances are at their optimum a loss times a hundred has the gradient of the loss itself."""
    def gradient(factor):
        scaled = PARTS["words"]._replace(
            meta_loss=lambda *arguments: (factor * (found := PARTS["words"].meta_loss(*arguments))[0], found[1])
        )  # fmt: skip
        learner, task = joint({"words": scaled, "voices": PARTS["voices"]}), one(tasks())
        params, state = learner.init(KEY, task["words"].support.inputs)
        loss = scaled.meta_loss(params["network"], state, task["words"], KEY)[0]
        params["balance"]["words"] = jnp.log(2 * loss)
        found = jax.grad(lambda params: learner.meta_loss(params, state, task, KEY)[0])(params)
        np.testing.assert_allclose(found["balance"]["words"], 0, atol=1e-6)
        return found["network"]

    for first, second in zip(*map(jax.tree.leaves, (gradient(1.0), gradient(100.0))), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-7)


def test_one_support_set_adapts_all_and_predictions_come_by_name():
    learner, task = joint(PARTS), one(episodes())
    params, state = learner.init(KEY, task.support.inputs)
    fast, info = learner.adapt(params, state, dict.fromkeys(PARTS, task.support), KEY)
    outputs, _ = learner.predict(params, state, fast, task.query.inputs, KEY, False)
    for name, part in PARTS.items():
        alone, _ = part.adapt(params["network"], state, task.support, KEY)
        expected, _ = part.predict(params["network"], state, alone, task.query.inputs, KEY, False)
        np.testing.assert_allclose(outputs[name], expected, rtol=1e-6)
    assert info["voices"]["loss"].shape == (2,)


def test_training_lowers_both_losses():
    learner, outer, batch = joint(PARTS), optax.adam(3e-3), tasks()
    train = init_state(learner, outer, KEY, one(batch)["words"].support.inputs)
    update = jax.jit(make_update(learner, outer))
    before = train.params
    for _ in range(40):
        train, metrics = update(train, batch)
    assert int(metrics["masked"]) == 0

    def losses(params):
        return [part.meta_loss(params["network"], {}, one(batch)[name], KEY)[0] for name, part in PARTS.items()]

    assert all(after < start for after, start in zip(losses(train.params), losses(before), strict=True))


def test_a_task_without_one_of_the_names_is_said():
    learner, task = joint(PARTS), one(tasks())
    params, state = learner.init(KEY, task["words"].support.inputs)
    with pytest.raises(ValueError, match=r"\['voices', 'words'\] and needs a mapping of these names, got \['words'\]"):
        learner.meta_loss(params, state, {"words": task["words"]}, KEY)
    batch = Batch(jnp.ones(1), jnp.ones(1), jnp.ones(1))
    with pytest.raises(ValueError, match="got Episode"):
        learner.meta_loss(params, state, Episode(batch, batch), KEY)
    with pytest.raises(ValueError, match="one learner at least"):
        joint({})
