"""The one contract that every learner keeps, under every estimator it allows (tests/learner_cases.py)."""

import ast
import itertools
from pathlib import Path

import chex
import jax
import numpy as np
import pytest

import jaxmeta
from jaxmeta.losses import cross_entropy, weighted_mean
from jaxmeta.training import make_evaluate, make_update
from tests.learner_cases import (
    CLOSED_FORM,
    DESCENT,
    ESTIMATORS,
    KEY,
    LEARNERS,
    NETWORK,
    OUTER,
    SAME,
    Case,
    batch,
    by_default,
    cases,
    default,
    every_case,
    every_learner,
    every_learner_at_length,
    task,
    variants,
)
from tests.problem import STEPS, TASKS, WAYS, layers, one, poisoned
from tests.programs import as_type, assert_close, compiled, over_tasks, ravel

LEARNER_FILES = sorted((Path(__file__).parents[1] / "jaxmeta" / "learners").glob("*.py"))


@pytest.fixture(scope="module")
def case(request):
    """Made once for all tests of a case, and let go after them: a hundred cases' programs are gigabytes."""
    return Case(*request.param)


@pytest.fixture(autouse=True, scope="module")
def environment():
    """Full precision where a device has less by default."""
    with jax.default_matmul_precision("highest"):
        yield


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
    # A head whose classes start alike stays small, so that large inputs leave a task of this learner finite.
    poisons = (np.nan, np.inf) if case.name == "unicorn_maml" else (np.nan, np.inf, 1e38)
    for part, poison in itertools.product(("support", "query"), poisons):
        after, metrics = case.update(case.train, poisoned(batch(), poison, index=1, part=part))
        assert int(metrics["masked"]) == 1, (part, poison)
        assert_close((after.params, after.state), (params, over_tasks(states)))
        assert_close(metrics["loss"], losses.mean())


@every_case
def test_all_tasks_poisoned_changes_only_the_step(case):
    after, metrics = case.update(case.train, poisoned(batch(), np.nan, index=slice(None)))
    assert int(metrics["masked"]) == TASKS and int(after.step) == 1 and np.isnan(metrics["loss"])
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
        # A learner has the name of its file; other functions there change a learner that they are given.
        if node.name == path.stem
    }
    # `newest_column` is supervised training, which adapts to nothing.
    assert factories - {"newest_column"} == LEARNERS.keys() <= set(jaxmeta.__all__)


@pytest.mark.parametrize("path", LEARNER_FILES, ids=lambda path: path.stem)
def test_a_learner_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 120
