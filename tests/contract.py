"""The one contract that every learner keeps, under every estimator it allows.

To add a learner: add a line to LEARNERS. Compiling is nearly all of the time here, so a case has two programs: the
update of all tasks, and the gradients of tasks one by one. Whatever is compared is padded to the same shapes.
"""

import ast
import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import MetaLearner
from jaxmeta.estimators import conjugate_gradients, evolution, first_order, implicit, mixed_mode, truncated, unrolled
from jaxmeta.learners.anil import anil
from jaxmeta.learners.averaging import averaging
from jaxmeta.learners.boil import boil
from jaxmeta.learners.bootstrapped import bootstrapped
from jaxmeta.learners.cavia import append_context, cavia
from jaxmeta.learners.enrolment import enrolment
from jaxmeta.learners.evolved import evolved
from jaxmeta.learners.imaml import imaml
from jaxmeta.learners.joint import joint
from jaxmeta.learners.maml import maml
from jaxmeta.learners.maml_plus_plus import maml_plus_plus
from jaxmeta.learners.matching import matching
from jaxmeta.learners.meta_curvature import meta_curvature
from jaxmeta.learners.meta_sgd import meta_sgd
from jaxmeta.learners.progressive import grow, progressive
from jaxmeta.learners.proto_maml import proto_maml
from jaxmeta.learners.protonet import protonet
from jaxmeta.learners.r2d2 import r2d2
from jaxmeta.learners.reptile import reptile
from jaxmeta.learners.unlabelled import unlabelled
from jaxmeta.losses import cross_entropy, weighted_mean
from jaxmeta.optimizers import adam
from jaxmeta.speaker_losses import margin_softmax
from jaxmeta.training import init_state, make_evaluate, make_update
from tests.problem import (
    STEPS,
    TASKS,
    WAYS,
    episodes,
    layers,
    network,
    one,
    pad,
    poisoned,
    repeated,
    shuffled,
    stack,
    stateful,
    weighted,
)
from tests.programs import as_type, assert_close, compiled, over_tasks, programs, ravel

LEARNER_FILES = sorted((Path(__file__).parents[1] / "jaxmeta" / "learners").glob("*.py"))
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
    learner = progressive(COLUMN, cross_entropy, SGD, STEPS, estimator)

    def init(key, inputs):
        params, state = learner.init(key, inputs)
        return grow(COLUMN, params, state, params["new"], inputs, key)

    return learner._replace(init=init)


def twice(estimator):
    """A joint learner of two objectives that meet the same task, and the predictions of the first one."""
    learner = joint({
        "one": maml(NETWORK, cross_entropy, SGD, STEPS, estimator),
        "two": anil(NETWORK, cross_entropy, SGD, STEPS, estimator),
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
    "maml": Entry(lambda e: maml(NETWORK, cross_entropy, adam(0.05), STEPS, e)),
    "anil": Entry(lambda e: anil(NETWORK, cross_entropy, SGD, STEPS, e)),
    "boil": Entry(lambda e: boil(NETWORK, cross_entropy, SGD, STEPS, e)),
    "meta_sgd": Entry(lambda e: meta_sgd(NETWORK, cross_entropy, 0.1, STEPS, e)),
    "meta_curvature": Entry(lambda e: meta_curvature(NETWORK, cross_entropy, 0.1, STEPS, e)),
    "cavia": Entry(
        lambda e: cavia(stateful(append_context(network(WAYS))), cross_entropy, optax.sgd(1.0), STEPS, 2, e)
    ),
    "proto_maml": Entry(lambda e: proto_maml(ENCODER, cross_entropy, optax.sgd(0.02), STEPS, WAYS, e)),
    "bootstrapped": Entry(lambda e: bootstrapped(NETWORK, cross_entropy, SGD, STEPS, 2, 0.1, e)),
    "progressive": Entry(grown),
    "joint": Entry(twice),
    "averaging": Entry(lambda e: averaging(maml(NETWORK, cross_entropy, SGD, STEPS, e), 2)),
    # It asks for each step alone, so truncation is to that one.
    "maml_plus_plus": Entry(lambda e: maml_plus_plus(NETWORK, cross_entropy, 0.1, STEPS, e, 10)),
    "unlabelled": Entry(lambda e: unlabelled(NETWORK, cross_entropy, unsure, SGD, STEPS, e), lowers=unsure),
    "imaml": Entry(lambda e: imaml(NETWORK, cross_entropy, SGD, STEPS, 1.0, e), tuple(ESTIMATORS)),
    # Their meta-gradient does not pass through inner steps.
    "reptile": Entry(lambda _: reptile(NETWORK, cross_entropy, SGD, STEPS), NONE),
    "evolved": Entry(lambda _: evolved(maml(NETWORK, cross_entropy, SGD, STEPS, first_order()), 0.3, 2), NONE),
    # They have no inner steps.
    "protonet": Entry(lambda _: protonet(ENCODER, cross_entropy, WAYS), NONE),
    "r2d2": Entry(lambda _: r2d2(ENCODER, cross_entropy, WAYS), NONE),
    "matching": Entry(lambda _: matching(ENCODER, cross_entropy, WAYS), NONE),
    "enrolment": Entry(lambda _: enrolment(ENCODER, margin_softmax(0.0), WAYS), NONE),
}
CLOSED_FORM = {"protonet", "r2d2", "matching", "enrolment"}
OUTER = optax.sgd(1.0)
KEY = jax.random.key(1)
SAME = jnp.stack([KEY] * TASKS)


def default(name):
    return LEARNERS[name].estimators[0]


def in_fast_tier(name, estimator):
    """Each learner under its own estimator, and MAML under all: most others use its loop."""
    return name == "maml" or estimator == default(name)


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


@pytest.fixture(scope="module")
def case(request):
    """Made once for all tests of a case, and let go after them: a hundred cases' programs are gigabytes."""
    return Case(*request.param)


@pytest.fixture(autouse=True, scope="module")
def environment():
    """Full precision where a device has less by default."""
    with jax.default_matmul_precision("highest"):
        yield


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


@every_learner_at_length
def test_jit_equals_eager(case):
    with jax.disable_jit():  # Only single operations are compiled, and learners see labels, so that they check them.
        loss, _ = case.learner.meta_loss(case.train.params, case.train.state, task(), KEY)
    assert_close(loss, case.of_variants[0][0])


@cases(
    lambda name, estimator: name == "maml" and estimator in ("unrolled", "mixed_mode", "first_order", "truncated"),
    lambda name, estimator: estimator == "unrolled",
)
def test_the_jitted_meta_gradient_equals_the_eager_one(case):
    with jax.disable_jit():
        gradient = jax.grad(lambda params: case.learner.meta_loss(params, case.train.state, task(), KEY)[0])(
            case.train.params
        )
    assert_close(gradient, case.of_variants[0][1])


@every_case
def test_the_update_is_the_mean_of_tasks_taken_one_by_one(case):
    (losses, states), gradients = case.of_tasks
    after, metrics = case.update(case.train, batch())
    assert int(metrics["masked"]) == 0
    assert_close(metrics["loss"], losses.mean())
    assert_close(after.params, jax.tree.map(lambda p, g: p - g.mean(0), case.train.params, gradients))
    assert_close(after.state, over_tasks(states))


@every_case
def test_one_trace_serves_many_updates_and_keeps_structure_and_types(case):
    after, _ = case.update(case.train, batch())
    first = len(case.traces)
    for seed in range(1, 10):
        after, _ = case.update(after, batch(seed))
    assert len(case.traces) == first
    chex.assert_trees_all_equal_shapes_and_dtypes(after, case.train)
    assert int(after.step) == 10


@every_case
def test_same_key_gives_the_same_result(case):
    chex.assert_trees_all_equal(case.update(case.train, batch()), case.update(case.train, batch()))


@every_case
def test_padding_examples_and_frames_change_nothing(case):
    zeros, garbage, _, _, _ = case.of_variants
    assert_close(garbage, zeros)


@every_case
def test_order_of_the_support_set_is_irrelevant(case):
    plain, _, shuffled, _, _ = case.of_variants
    assert_close(shuffled, plain)


@every_case
def test_an_example_of_weight_two_counts_as_two(case):
    _, _, _, weighted, repeated = case.of_variants
    assert_close(weighted, repeated)


def test_one_unit_of_the_network_is_dead():
    body, _ = layers(WAYS)
    params = NETWORK.init(jax.random.key(0), task().support.inputs)[0]
    hidden, _ = body.apply(params["body"], {}, task().support.inputs, KEY, True)
    np.testing.assert_array_equal((np.asarray(hidden.values) > 0).any((0, 1)), np.arange(8) > 0)


@every_case
def test_the_meta_gradient_is_finite_though_a_unit_is_dead(case):
    gradient = case.of_tasks[1]
    assert 1e-3 < np.linalg.norm(ravel(gradient)) < np.inf


@every_case
def test_bfloat16_params_stay_so_and_the_state_keeps_its_types(case):
    # The state stays float32, as statistics often are whatever the params.
    arguments = as_type(case.train.params, "bfloat16"), case.train.state, as_type(task(), "bfloat16"), KEY
    actual = jax.eval_shape(jax.grad(case.learner.meta_loss, has_aux=True), *arguments)
    chex.assert_trees_all_equal_shapes_and_dtypes(actual, arguments[:2])


# The noise of `evolved` differs with the type.
@cases(
    lambda name, estimator: estimator == default(name) and name != "evolved",
    lambda name, estimator: name in ("maml", "protonet"),
)
def test_bfloat16_gives_nearly_the_gradient_of_float32(case):
    narrow = case.train._replace(params=as_type(case.train.params, "bfloat16"))
    (losses, _), gradients = case.each(narrow, as_type(variants(), "bfloat16"), SAME)
    exact = case.of_variants[0]
    # Each of some twenty operations in a row rounds by up to 0.4 %, and reptile's gradient is a small difference.
    np.testing.assert_allclose(losses[0], exact[0], rtol=0.02)
    actual, expected = (ravel(gradient) for gradient in (one(gradients), exact[1]))
    assert np.linalg.norm(actual - expected) < 0.1 * np.linalg.norm(expected)


@every_learner
def test_adaptation_lowers_the_support_loss(case):
    info, logits, _ = case.adapted
    support = task().support
    after = weighted_mean(case.entry.lowers(logits, support.targets), support.weight)
    if case.name in CLOSED_FORM:
        assert after < np.log(WAYS)
    else:
        assert info["loss"].shape == (STEPS,)
        assert after < info["loss"][-1] < info["loss"][0]


@cases(lambda name, estimator: estimator != default(name))
def test_every_estimator_reaches_the_same_loss_and_state(case):
    assert_close(case.of_tasks[0], by_default(case.name))


@every_case
def test_a_poisoned_task_is_left_out(case):
    (losses, states), gradients = jax.tree.map(lambda leaf: leaf[np.array([0, 2, 3, 4])], case.of_tasks)
    params = jax.tree.map(lambda p, g: p - g.mean(0), case.train.params, gradients)
    for part, poison in itertools.product(("support", "query"), (np.nan, np.inf, 1e38)):
        after, metrics = case.update(case.train, poisoned(batch(), poison, index=1, part=part))
        assert int(metrics["masked"]) == 1, (part, poison)
        assert_close((after.params, after.state), (params, over_tasks(states)))
        assert_close(metrics["loss"], losses.mean())


@every_case
def test_all_tasks_poisoned_changes_only_the_step(case):
    after, metrics = case.update(case.train, poisoned(batch(), np.nan, index=slice(None)))
    assert int(metrics["masked"]) == TASKS and int(after.step) == 1
    chex.assert_trees_all_equal(after[2:], case.train[2:])


@every_learner
def test_evaluation_gives_one_row_per_episode(case):
    evaluate = compiled(make_evaluate(case.learner, {"loss": cross_entropy}, microbatch=2))
    rows = evaluate(case.train.params, case.train.state, batch(), KEY)
    assert rows["loss"].shape == (TASKS,)
    query, (_, _, logits) = task().query, case.adapted
    expected = weighted_mean(cross_entropy(logits, query.targets), query.weight)
    np.testing.assert_allclose(rows["loss"][0], expected, rtol=1e-5)


@pytest.mark.parametrize("microbatch", [1, 2])
@cases(lambda name, estimator: (name, estimator) == ("maml", "first_order"))
def test_tasks_in_chunks_equal_tasks_vmapped(case, microbatch):
    chunked = compiled(make_update(case.learner, OUTER, microbatch=microbatch))
    for tasks in (batch(), poisoned(batch(), np.nan)):
        actual, expected = chunked(case.train, tasks), case.update(case.train, tasks)
        assert_close((actual[0].params, actual[1]), (expected[0].params, expected[1]))


@pytest.mark.parametrize("name", [name for name, entry in LEARNERS.items() if entry.estimators == DESCENT])
def test_an_estimator_that_a_learner_does_not_allow_is_refused(name):
    with pytest.raises(ValueError, match="proximal"):
        LEARNERS[name].build(ESTIMATORS["implicit"])


def test_every_learner_is_held_to_the_contract():
    factories = {
        node.name
        for path in LEARNER_FILES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and getattr(node.returns, "id", "") == "MetaLearner"
    }
    assert factories == LEARNERS.keys()


@pytest.mark.parametrize("path", LEARNER_FILES, ids=lambda path: path.stem)
def test_a_learner_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 120
