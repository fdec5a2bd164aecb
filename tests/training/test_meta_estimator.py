"""The scikit-learn estimator against the functions that it wraps, and against scikit-learn's conventions."""

import copy
import pickle

import chex
import jax
import numpy as np
import optax
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from jaxmeta import Batch, Episode, Model, maml
from jaxmeta.losses import cross_entropy, squared_error
from jaxmeta.training import init_state, make_update
from jaxmeta.training.meta_estimator import MetaEstimator
from tests.programs import compiled

WAYS, TASKS, FEATURES, UPDATES = 3, 2, 4, 3
OPTIMIZER = optax.adam(1e-2)


def linear(outputs):
    def init(key, inputs):
        return {"kernel": jax.random.normal(key, (inputs.shape[-1], outputs))}, {}

    return Model(init, lambda params, state, inputs, key, train: (inputs @ params["kernel"], state))


def learner(steps=2):
    return maml(linear(WAYS), cross_entropy, optax.sgd(0.1), steps)


LEARNER = learner()


def sampler(index):
    """Tasks of one Gaussian class each way, as numpy arrays."""
    rng = np.random.default_rng(index)
    centres = rng.normal(size=(TASKS, WAYS, FEATURES))

    def batch(n):
        targets = np.tile(np.arange(n) % WAYS, (TASKS, 1))
        inputs = np.take_along_axis(centres, targets[..., None], 1) + 0.1 * rng.normal(size=(TASKS, n, FEATURES))
        return Batch(inputs.astype(np.float32), targets.astype(np.int32), np.ones((TASKS, n), np.float32))

    return Episode(batch(6), batch(9))


def task(index=99):
    return jax.tree.map(lambda leaf: leaf[0], sampler(index))


def estimator(**changes):
    return MetaEstimator(LEARNER, OPTIMIZER, **({"updates": UPDATES, "seed": 7} | changes))


@pytest.fixture(scope="module")
def fitted():
    return estimator().fit(sampler)


def test_fit_makes_the_updates_of_make_update(fitted):
    train = init_state(LEARNER, OPTIMIZER, jax.random.key(7), task().support.inputs)
    update, losses = compiled(make_update(LEARNER, OPTIMIZER)), []
    for step in range(UPDATES):
        train, metrics = update(train, sampler(step))
        losses.append(metrics["loss"])
    chex.assert_trees_all_close(fitted.params_, train.params, rtol=1e-6)
    np.testing.assert_allclose(fitted.loss_curve_, losses, rtol=1e-5)
    assert fitted.n_updates_ == UPDATES and fitted.state_ == {}


def test_fitting_again_starts_anew_and_gives_the_same_result(fitted):
    again = estimator()
    assert again.fit(sampler) is again
    adapted = again.adapt(task().support)
    adapted.fit(sampler)
    for other in (again, adapted):
        chex.assert_trees_all_equal(other.params_, fitted.params_)
        np.testing.assert_array_equal(other.loss_curve_, fitted.loss_curve_)
        assert not hasattr(other, "fast_")


def test_adapt_gives_a_new_estimator_and_leaves_the_old_one(fitted):
    before = dict(vars(fitted))
    adapted = fitted.adapt(task().support)
    assert adapted is not fitted and type(adapted) is MetaEstimator
    assert vars(fitted) == before and not hasattr(fitted, "fast_")
    fast, _ = compiled(LEARNER.adapt)(fitted.params_, {}, task().support, jax.random.key(0))  # draws no random numbers
    chex.assert_trees_all_close(adapted.fast_, fast, rtol=1e-5)


def test_an_adapted_estimator_adapts_from_what_was_meta_learned(fitted):
    elsewhere = fitted.adapt(task(50).support)
    held = elsewhere.fast_
    chex.assert_trees_all_equal(elsewhere.adapt(task().support).fast_, fitted.adapt(task().support).fast_)
    assert elsewhere.fast_ is held


def test_a_support_set_that_cannot_be_adapted_to_is_an_error(fitted):
    support = task().support
    with pytest.raises(ValueError, match=r"labels in \[0, ways\)"):
        fitted.adapt(support._replace(targets=support.targets + WAYS))


def test_predictions_and_score_are_those_of_the_adapted_weights(fitted):
    query, adapted = task().query, fitted.adapt(task().support)
    logits = query.inputs @ np.asarray(adapted.fast_["kernel"])
    actual = adapted.decision_function(query.inputs)
    assert type(actual) is np.ndarray
    np.testing.assert_allclose(actual, logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(adapted.predict(query.inputs), logits.argmax(1))
    assert adapted.score(query.inputs, query.targets) == pytest.approx(np.mean(logits.argmax(1) == query.targets))


def test_decide_and_metric_serve_regression():
    batch = task().support
    batch = batch._replace(targets=batch.inputs[..., :1])
    regression = MetaEstimator(
        maml(linear(1), squared_error, optax.sgd(0.1), 1),
        OPTIMIZER,
        metric=lambda outputs, targets: -squared_error(outputs, targets),
        decide=lambda outputs: outputs,
        updates=0,
    )
    adapted = regression.fit(sampler).adapt(batch)  # no updates: the sampler gives shapes only
    predicted = adapted.predict(batch.inputs)
    assert predicted.shape == (6, 1) and predicted.dtype == np.float32
    expected = -np.mean((predicted - batch.targets) ** 2)
    assert adapted.score(batch.inputs, batch.targets) == pytest.approx(expected, rel=1e-6)


def test_predicting_needs_a_fit_and_a_task(fitted):
    with pytest.raises(NotFittedError, match="not fitted"):
        estimator().adapt(task().support)
    for method in ("predict", "decision_function"):
        with pytest.raises(NotFittedError, match="adapt"):
            getattr(fitted, method)(task().query.inputs)
    with pytest.raises(NotFittedError, match="adapt"):
        fitted.score(task().query.inputs, task().query.targets)


def test_clone_copies_the_arguments_and_nothing_learned(fitted):
    adapted = fitted.adapt(task().support)
    copied = clone(adapted.set_params(microbatch=1))
    assert copied.get_params().keys() == adapted.get_params().keys()
    assert (copied.updates, copied.seed, copied.microbatch, copied.metric) == (UPDATES, 7, 1, adapted.metric)
    assert not [name for name in vars(copied) if name.endswith("_")]
    # One task at a time gives the sums another order.
    chex.assert_trees_all_close(copied.fit(sampler).params_, fitted.params_, rtol=1e-4)


def test_set_params_changes_the_arguments_and_returns_self():
    each = estimator()
    assert each.set_params(updates=5, seed=1) is each
    assert each.get_params()["updates"] == 5 and each.get_params()["seed"] == 1
    with pytest.raises(ValueError, match="Invalid parameter 'rate'"):
        each.set_params(rate=1.0)


def test_another_number_of_steps_adapts_the_same_params(fitted):
    longer = fitted.adapt(task().support).set_params(learner=learner(steps=4)).adapt(task().support)
    fast, _ = compiled(learner(steps=4).adapt)(fitted.params_, {}, task().support, jax.random.key(0))
    chex.assert_trees_all_close(longer.fast_, fast, rtol=1e-4)
    assert fitted.learner is LEARNER


def test_nothing_that_is_passed_in_is_changed(fitted):
    support, query = task().support, task().query
    before = jax.tree.map(np.copy, (support, query))
    adapted = fitted.adapt(support)
    adapted.predict(query.inputs)
    adapted.score(query.inputs, query.targets)
    chex.assert_trees_all_equal((support, query), before)


def test_progress_goes_to_standard_error_and_no_file_stays(fitted, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    estimator(updates=1).fit(sampler)
    assert capsys.readouterr().err.splitlines()[0] == "training: compiling"
    assert not list(tmp_path.iterdir())


def test_wrong_arguments_are_errors(fitted):
    with pytest.raises(ValueError, match="updates must be 0 or more, got -1"):
        estimator(updates=-1).fit(sampler)
    with pytest.raises(ValueError, match="microbatch must be at least 1 task, got 0"):
        estimator(microbatch=0).fit(sampler)
    adapted, query = fitted.adapt(task().support), task().query
    with pytest.raises(ValueError, match=r"metric must give \[9\] values, got \(9, 9\)"):
        adapted.score(query.inputs, query.targets[:, None])


def test_a_pickled_estimator_keeps_what_it_learned_and_asks_for_its_functions():
    fitted, support = MetaEstimator(LEARNER, OPTIMIZER, updates=1).fit(sampler), task().support
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.loss_curve_, fitted.loss_curve_)
    assert again.metric is fitted.metric and again.updates == fitted.updates
    for use in (lambda: again.adapt(support), lambda: again.fit(None)):
        with pytest.raises(ValueError, match=r"no learner: .*set_params\(learner="):
            use()
    again.set_params(learner=fitted.learner, optimizer=fitted.optimizer)
    expected = fitted.adapt(support).predict(support.inputs)
    np.testing.assert_array_equal(again.adapt(support).predict(support.inputs), expected)
    assert copy.copy(fitted).learner is fitted.learner
    assert copy.deepcopy(fitted).learner.adapt is fitted.learner.adapt
