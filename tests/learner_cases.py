"""The learners that the contract holds, each under the estimators that it allows, and what its tests share.

To add a learner: add a line to LEARNERS, and one to jaxmeta/__init__.pyi. Compiling is nearly all of the time here, so
a case has two programs: the update of all tasks, and the gradients of tasks one by one. Whatever is compared is padded
to the same shapes.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
import pytest

import jaxmeta as jm
from jaxmeta import MetaLearner
from jaxmeta.estimators import conjugate_gradients, evolution, first_order, implicit, mixed_mode, truncated, unrolled
from jaxmeta.learners.cavia import append_context
from jaxmeta.losses import cross_entropy
from jaxmeta.optimizers import adam
from jaxmeta.speaker_losses import margin_softmax
from jaxmeta.training import init_state
from tests.problem import (
    STEPS,
    TASKS,
    WAYS,
    episodes,
    layers,
    network,
    one,
    pad,
    repeated,
    shuffled,
    stack,
    stateful,
    weighted,
)
from tests.programs import compiled, programs

ESTIMATORS = {
    "unrolled": unrolled(),
    "remat": unrolled(remat=2),
    "mixed_mode": mixed_mode(),
    "first_order": first_order(),
    "truncated": truncated(last=1),
    "evolution": evolution(sigma=0.3, pairs=2),
    "implicit": implicit(conjugate_gradients(5)),
}
# The implicit one needs an inner problem with a pull to the start, which only iMAML has.
DESCENT = tuple(name for name in ESTIMATORS if name != "implicit")
NONE = ("none",)


class Entry(NamedTuple):
    build: Callable[..., MetaLearner]
    """estimator -> learner; called with None if it has none to choose."""
    estimators: tuple[str, ...] = DESCENT
    """Those that it allows."""
    lowers: Callable = cross_entropy
    """What adaptation lowers on the support set."""


NETWORK, ENCODER, SGD = stateful(network(WAYS)), stateful(network(6)), optax.sgd(0.1)
COLUMN = [stateful(layer, count=jnp.float32) for layer in layers(WAYS)]


def grown(estimator):
    """Progressive networks with one frozen column beside the new one; with the new one alone it is MAML."""
    learner = jm.progressive(COLUMN, cross_entropy, SGD, STEPS, estimator)

    def init(key, inputs):
        params, state = learner.init(key, inputs)
        return jm.grow(COLUMN, params, state, params["new"], inputs, key)

    return learner._replace(init=init)


def twice(estimator):
    """A joint learner of two objectives that meet the same task, and the predictions of the first one."""
    learner = jm.joint({
        "one": jm.maml(NETWORK, cross_entropy, SGD, STEPS, estimator),
        "two": jm.anil(NETWORK, cross_entropy, SGD, STEPS, estimator),
    })  # fmt: skip

    def adapt(params, state, support, key):
        fast, info = learner.adapt(params, state, {"one": support, "two": support}, key)
        return fast, info["one"]

    def predict(*arguments):
        outputs, state = learner.predict(*arguments)
        return outputs["one"], state

    def meta_loss(params, state, episode, key):
        return learner.meta_loss(params, state, {"one": episode, "two": episode}, key)

    return MetaLearner(learner.init, adapt, predict, meta_loss)


def unsure(outputs, targets):
    """Entropy of each example's prediction."""
    logs = jax.nn.log_softmax(outputs)
    return -jnp.sum(jnp.exp(logs) * logs, axis=-1)


LEARNERS = {
    "maml": Entry(lambda e: jm.maml(NETWORK, cross_entropy, adam(0.05), STEPS, e)),
    "anil": Entry(lambda e: jm.anil(NETWORK, cross_entropy, SGD, STEPS, e)),
    "boil": Entry(lambda e: jm.boil(NETWORK, cross_entropy, SGD, STEPS, e)),
    "meta_sgd": Entry(lambda e: jm.meta_sgd(NETWORK, cross_entropy, 0.1, STEPS, e)),
    "meta_curvature": Entry(lambda e: jm.meta_curvature(NETWORK, cross_entropy, 0.1, STEPS, e)),
    "cavia": Entry(
        lambda e: jm.cavia(stateful(append_context(network(WAYS))), cross_entropy, optax.sgd(1.0), STEPS, 2, e)
    ),
    "proto_maml": Entry(lambda e: jm.proto_maml(ENCODER, cross_entropy, optax.sgd(0.02), STEPS, WAYS, e)),
    "unicorn_maml": Entry(lambda e: jm.unicorn_maml(ENCODER, cross_entropy, SGD, STEPS, WAYS, e)),
    "bootstrapped": Entry(lambda e: jm.bootstrapped(NETWORK, cross_entropy, SGD, STEPS, 2, 0.1, e)),
    "progressive": Entry(grown),
    "joint": Entry(twice),
    "averaging": Entry(lambda e: jm.averaging(jm.maml(NETWORK, cross_entropy, SGD, STEPS, e), 2)),
    # It asks for each step alone, so truncation is to that one.
    "maml_plus_plus": Entry(lambda e: jm.maml_plus_plus(NETWORK, cross_entropy, 0.1, STEPS, e, 10)),
    "unlabelled": Entry(lambda e: jm.unlabelled(NETWORK, cross_entropy, unsure, SGD, STEPS, e), lowers=unsure),
    "imaml": Entry(lambda e: jm.imaml(NETWORK, cross_entropy, SGD, STEPS, 1.0, e), tuple(ESTIMATORS)),
    # Their meta-gradient does not pass through inner steps.
    "reptile": Entry(lambda _: jm.reptile(NETWORK, cross_entropy, SGD, STEPS), NONE),
    "evolved": Entry(lambda _: jm.evolved(jm.maml(NETWORK, cross_entropy, SGD, STEPS, first_order()), 0.3, 2), NONE),
    # They have no inner steps.
    "protonet": Entry(lambda _: jm.protonet(ENCODER, cross_entropy, WAYS), NONE),
    "r2d2": Entry(lambda _: jm.r2d2(ENCODER, cross_entropy, WAYS), NONE),
    "matching": Entry(lambda _: jm.matching(ENCODER, cross_entropy, WAYS), NONE),
    "enrolment": Entry(lambda _: jm.enrolment(ENCODER, margin_softmax(0.0), WAYS), NONE),
}
CLOSED_FORM = {"protonet", "r2d2", "matching", "enrolment"}
OUTER = optax.sgd(1.0)
KEY = jax.random.key(1)
SAME = jnp.stack([KEY] * TASKS)


def default(name):
    return LEARNERS[name].estimators[0]


def in_fast_tier(name, estimator):
    """Each learner under its own estimator, and MAML under three: most others use its loop."""
    return estimator == default(name) or (name == "maml" and estimator in ("mixed_mode", "first_order"))


CASES = [(name, estimator) for name, entry in LEARNERS.items() for estimator in entry.estimators]


def cases(chosen, fast=in_fast_tier):
    """Parametrises a test over the cases that are chosen; pytest runs all tests of a case one after the other."""
    params = [
        pytest.param(each, marks=() if fast(*each) else pytest.mark.slow, id="-".join(each))
        for each in CASES
        if chosen(*each)
    ]
    return pytest.mark.parametrize("case", params, indirect=True)


every_case = cases(lambda name, estimator: True)
every_learner = cases(lambda name, estimator: estimator == default(name))
# Where everything is compiled anew, operation by operation: an inner loop and a closed form in the fast tier.
every_learner_at_length = cases(
    lambda name, estimator: estimator == default(name), lambda name, estimator: name in ("maml", "protonet")
)


class Case:
    """A learner under one estimator: its programs, and what more than one test wants of them."""

    def __init__(self, name, estimator):
        self.name, self.entry = name, LEARNERS[name]
        self.learner = self.entry.build(ESTIMATORS.get(estimator))
        self.train = init_state(self.learner, OUTER, jax.random.key(0), task().support.inputs)
        self.update, self.each, self.traces = programs(self.learner, OUTER)

    @functools.cached_property
    def of_variants(self):
        """Losses and gradients of `variants`, under one key."""
        (losses, _), gradients = jax.device_get(self.each(self.train, variants(), SAME))
        return [one((losses, gradients), i) for i in range(TASKS)]

    @functools.cached_property
    def of_tasks(self):
        """Losses, states and gradients of the tasks of `batch`, under the keys that the update gives them."""
        return jax.device_get(self.each(self.train, batch(), keys_of(self.train)))

    @functools.cached_property
    def adapted(self):
        """What adaptation to a task reports, and the logits of its support and query set after it."""
        learner = self.learner

        @compiled
        def adapt(params, state, episode):
            fast, info = learner.adapt(params, state, episode.support, KEY)
            return info, *(learner.predict(params, state, fast, part.inputs, KEY, False)[0] for part in episode)

        return jax.device_get(adapt(self.train.params, self.train.state, task()))


def keys_of(train):
    """The keys that an update gives to its tasks."""
    return jax.random.split(jax.random.fold_in(train.key, train.step), TASKS)


@functools.cache
def by_default(name):
    """Losses and states of the tasks of `batch` under the learner's own estimator: nothing is differentiated."""
    learner = LEARNERS[name].build(ESTIMATORS.get(default(name)))
    train = init_state(learner, OUTER, jax.random.key(0), task().support.inputs)

    @compiled
    def losses(train, episodes, keys):
        return jax.lax.map(lambda each: learner.meta_loss(train.params, train.state, *each), (episodes, keys))

    return jax.device_get(losses(train, batch(), keys_of(train)))


@functools.cache
def batch(seed=0):
    tasks = jax.device_get(episodes(seed))
    return stack([pad(one(tasks, i)) for i in range(TASKS)])


def task():
    return one(batch())


@functools.cache
def variants():
    """Forms of one task that must give one result: two at a time."""
    plain = one(jax.device_get(episodes()))
    return stack(
        [pad(plain), pad(plain, garbage=True), shuffled(pad(plain)), weighted(pad(plain)), repeated(pad(plain))]
    )
