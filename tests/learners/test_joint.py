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
from tests.programs import compiled, ravel

KEY = jax.random.key(0)
PARTS = {
    "words": protonet(network(6), cross_entropy, WAYS),
    "voices": maml(network(6), cross_entropy, optax.sgd(0.1), 2),
}


def tasks(seed=0, dtype=np.float32):
    return {"words": episodes(seed, dtype=dtype), "voices": episodes(seed + 1, dtype=dtype)}


def parts_of(task, params, state):
    """Loss and gradient of each part by itself, under the keys that the joint learner gives them."""

    @compiled
    def values_and_gradients(params):
        return [
            jax.value_and_grad(part.meta_loss, has_aux=True)(params, state, task[name], jax.random.fold_in(KEY, index))
            for index, (name, part) in enumerate(PARTS.items())
        ]

    return [(loss, gradient) for (loss, _), gradient in values_and_gradients(params)]


def value_and_gradient(learner, params, state, task):
    return compiled(jax.value_and_grad(lambda params: learner.meta_loss(params, state, task, KEY)[0]))(params)


def initial(learner, inputs, dtype=np.float32):
    params, state = jax.device_get(compiled(learner.init)(KEY, inputs))
    return jax.tree.map(lambda leaf: leaf.astype(dtype), params), state


def test_the_loss_is_the_sum_of_the_parts_and_its_gradient_that_of_gradients_of_one_norm():
    with jax.enable_x64(True):
        task, learner = one(tasks(dtype=np.float64)), joint(PARTS)
        params, state = initial(learner, task["words"].support.inputs, np.float64)
        actual, gradient = value_and_gradient(learner, params, state, task)
        losses, gradients = zip(*parts_of(task, params, state), strict=True)
        flat = [ravel(each) for each in gradients]
    np.testing.assert_allclose(actual, np.sum(losses), rtol=1e-12)
    norms = [np.linalg.norm(each) for each in flat]
    expected = sum(np.mean(norms) * each / norm for each, norm in zip(flat, norms, strict=True))
    np.testing.assert_allclose(ravel(gradient), expected, rtol=1e-9, atol=1e-12)


def test_the_gradients_that_are_balanced_are_those_of_finite_differences():
    with jax.enable_x64(True):
        task = one(tasks(dtype=np.float64))
        for name, part in PARTS.items():
            alone = joint({name: part})  # of one objective, whose norm is the mean
            params, state = initial(alone, task[name].support.inputs, np.float64)
            exact, differences = slopes(lambda p, a=alone, s=state: a.meta_loss(p, s, task, KEY)[0], params)
            np.testing.assert_allclose(exact, differences, rtol=1e-5)


def test_the_unit_of_a_loss_does_not_turn_the_gradient():
    def gradient(factor):
        scaled = PARTS["words"]._replace(
            meta_loss=lambda *arguments: (factor * (actual := PARTS["words"].meta_loss(*arguments))[0], actual[1])
        )
        learner, task = joint({"words": scaled, "voices": PARTS["voices"]}), one(tasks())
        actual = ravel(value_and_gradient(learner, *initial(learner, task["words"].support.inputs), task)[1])
        return actual / np.linalg.norm(actual)

    np.testing.assert_allclose(gradient(1.0), gradient(100.0), atol=1e-5)


def test_an_objective_that_is_done_leaves_the_other_its_gradient():
    flat = PARTS["words"]._replace(meta_loss=lambda params, state, episode, key: (jnp.zeros(()), state))
    learner, task = joint({"words": flat, "voices": PARTS["voices"]}), one(tasks())
    actual = ravel(value_and_gradient(learner, *initial(learner, task["words"].support.inputs), task)[1])
    assert np.isfinite(actual).all() and np.linalg.norm(actual) > 0


def test_one_support_set_adapts_all_and_predictions_come_by_name():
    learner, task = joint(PARTS), one(episodes())
    params, state = initial(learner, task.support.inputs)

    def run(learner, support):
        fast, info = learner.adapt(params, state, support, KEY)
        return learner.predict(params, state, fast, task.query.inputs, KEY, False)[0], info

    outputs, info = compiled(lambda: run(learner, dict.fromkeys(PARTS, task.support)))()
    for name, part in PARTS.items():
        expected, _ = compiled(lambda part=part: run(part, task.support))()
        np.testing.assert_allclose(outputs[name], expected, rtol=1e-6)
    assert info["voices"]["loss"].shape == (2,)


def test_training_lowers_both_losses():
    learner, outer, batch = joint(PARTS), optax.adam(3e-3), tasks()
    train = init_state(learner, outer, KEY, one(batch)["words"].support.inputs)
    update = compiled(make_update(learner, outer))
    before = train.params
    for _ in range(40):
        train, metrics = update(train, batch)
    assert int(metrics["masked"]) == 0

    @compiled
    def losses(params):
        return [part.meta_loss(params, {}, one(batch)[name], KEY)[0] for name, part in PARTS.items()]

    assert all(after < start for after, start in zip(losses(train.params), losses(before), strict=True))


def test_a_task_without_one_of_the_names_is_said():
    learner, task = joint(PARTS), one(tasks())
    params, state = initial(learner, task["words"].support.inputs)
    with pytest.raises(ValueError, match=r"\['voices', 'words'\] and needs a mapping of these names, got \['words'\]"):
        learner.meta_loss(params, state, {"words": task["words"]}, KEY)
    batch = Batch(jnp.ones(1), jnp.ones(1), jnp.ones(1))
    with pytest.raises(ValueError, match="got Episode"):
        learner.meta_loss(params, state, Episode(batch, batch), KEY)
    with pytest.raises(ValueError, match="one learner at least"):
        joint({})
