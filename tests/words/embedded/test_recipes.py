"""Every learner works on vectors, from settings that are arguments of one program."""

import typing

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch
from jaxmeta.evaluation.comparison.protocol import Budget
from jaxmeta.evaluation.comparison.search import Ranges, Rung, Settings
from jaxmeta.learners.cavia import cavia
from jaxmeta.learners.maml import maml
from jaxmeta.losses import cross_entropy
from jaxmeta.models.heads import context_of_classes
from jaxmeta.types import Model
from jaxmeta.words.embedded.comparison import compare_embedded, contestant, cosine_accuracies
from jaxmeta.words.embedded.networks import projection
from jaxmeta.words.embedded.programs import programs
from jaxmeta.words.embedded.recipes import BASELINE, descent, recipes
from jaxmeta.words.embedded.stages import Stage, alike, stage_of_search, stage_of_test
from jaxmeta.words.presets import LearnerName
from tests.programs import compiled

GOOD = {name: Settings(1.0, 5, 1e-3, 1.0) for name in recipes()} | {"imaml": Settings(0.3, 5, 1e-3, 1.0)}


@pytest.fixture(scope="module")
def stages(clusters):
    return stage_of_search([clusters], (1, 5), 20, 0), stage_of_test([clusters], (1, 5), 20, 0)


def test_every_learner_of_words_has_a_recipe_here():
    assert set(recipes()) == {*typing.get_args(LearnerName), BASELINE}


def test_steps_beyond_those_of_the_settings_go_nowhere():
    optimizer = descent(Settings(0.5, 2, 1e-3, 0.0))
    weights, state = jnp.ones(()), optimizer.init(jnp.ones(()))
    for _ in range(5):
        updates, state = optimizer.update(jnp.ones(()), state)
        weights = optax.apply_updates(weights, updates)
    assert weights == 1 - 2 * 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["meta_sgd", "maml_plus_plus", "meta_curvature"])
def test_learned_rates_start_as_plain_descent_of_as_many_steps_as_the_settings_say(name):
    steps = 2
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(10, 6)).astype(np.float32), np.arange(10) % 5
    support, key = Batch(inputs, targets, np.ones(10, np.float32)), jax.random.key(0)
    settings = Settings(0.7, steps, 1e-3, 0.0)

    def outputs(learner):
        params, state = learner.init(key, inputs)
        fast, _ = learner.adapt(params, state, support, key)
        return learner.predict(params, state, fast, inputs, key, False)[0]

    plain = maml(projection(5), cross_entropy, optax.sgd(0.7), steps)
    each = compiled(lambda: (outputs(recipes()[name].build(settings, 5)), outputs(plain)))()
    np.testing.assert_allclose(*each, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_imaml_descends_four_times_as_many_steps_as_the_settings_say_with_their_pull():
    rng = np.random.default_rng(0)
    inputs, targets, key = rng.normal(size=(10, 6)).astype(np.float32), np.arange(10) % 5, jax.random.key(0)
    learner = recipes()["imaml"].build(Settings(0.3, 2, 1e-3, 0.0, strength=0.5), 5)

    def objective(weights, start):
        pull = sum(jnp.sum((a - b) ** 2) for a, b in zip(*map(jax.tree.leaves, (weights, start)), strict=True))
        return cross_entropy(projection(5).apply(weights, {}, inputs, key, True)[0], targets).mean() + 0.5 / 2 * pull

    @compiled
    def both():
        start, state = learner.init(key, inputs)
        fast, _ = learner.adapt(start, state, Batch(inputs, targets, np.ones(10, np.float32)), key)
        weights = start
        for _ in range(8):
            slopes = jax.grad(objective)(weights, start)
            weights = jax.tree.map(lambda weight, slope: weight - 0.3 * slope, weights, slopes)
        return jax.tree.leaves(fast), jax.tree.leaves(weights)

    for ours, expected in zip(*both(), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_stages_are_filled_up_to_the_longer_one_so_that_they_share_a_program(stages):
    search, test = stages
    first, second = alike(search, test)
    assert first.vectors.shape == second.vectors.shape and first.words.shape == second.words.shape
    for before, after in ((search, first), (test, second)):
        np.testing.assert_array_equal(after.vectors[: len(before.vectors)], before.vectors)
        assert not after.vectors[len(before.vectors) :].any() and not after.words[len(before.words) :].any()


def test_a_learner_is_refused_where_there_are_fewer_words_than_its_tasks_have():
    few = Stage(np.zeros((10, 4)), np.zeros(10, np.int32), {5: None}, {})
    with pytest.raises(ValueError, match="protonet trains on tasks of 20 words, and there are fewer"):
        contestant("protonet", recipes()["protonet"], few, few).validate(GOOD["protonet"], 1)


@pytest.mark.slow
def test_results_of_other_shots_are_not_taken_for_those_asked_for(clusters, tmp_path, monkeypatch):
    identities = []

    class Named(typing.NamedTuple):
        name: str = "clusters"
        digest: str = "of clusters"

    def stop(contestants, budget, folder, identity, *_):
        identities.append(identity)
        raise InterruptedError

    monkeypatch.setattr("jaxmeta.words.embedded.comparison.compare", stop)
    for shots in ((1,), (5,)):
        with pytest.raises(InterruptedError):
            compare_embedded([Named()], [clusters], tmp_path, shots=shots, episodes=2)
    assert identities[0] != identities[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", recipes())
def test_no_learner_starts_at_chance(stages, name):
    compiled_for, stage = programs(recipes()[name], GOOD[name]._asdict()), stages[1]
    episodes = stage.episodes["clusters, 5-shot"]
    state = compiled_for.begin(GOOD[name], stage.vectors, 40, 0)
    scores = compiled_for.score(state, GOOD[name], stage.vectors, *episodes)
    # They start from the frozen embedding, whose class means are this good.
    floor = cosine_accuracies(stage.vectors, episodes).mean()
    assert floor > 85 and 100 * np.mean(scores) > floor - (20 if name == "boil" else 6)


@pytest.mark.slow
def test_a_comparison_is_rendered_with_what_each_learner_was_given(clusters, tmp_path):
    class Named(typing.NamedTuple):
        name: str = "clusters"
        digest: str = "of clusters"

    budget = Budget((Rung(2, 2), Rung(1, 3)), 4, 2, Ranges(outer_rate=(1e-4, 1e-3)))
    text, rows = compare_embedded(
        [Named()], [clusters], tmp_path, budget=budget, episodes=20, learners=["protonet"]
    )  # fmt: skip
    assert [row["method"] for row in rows] == [
        BASELINE, "protonet", "whitened vectors", "clusters, mean over time", "clusters, flattened",
    ]  # fmt: skip
    assert "| protonet | 2 | 15 |" in text and (tmp_path / "comparison.md").read_text() == text
    again = compare_embedded([Named()], [clusters], tmp_path, budget=budget, episodes=20, learners=["protonet"])
    assert again == (text, rows)


@pytest.mark.slow
def test_the_first_step_of_contexts_gives_each_class_the_mean_of_its_own_embeddings():
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(3), 4)
    inputs = rng.normal(size=(12, 6)).astype(np.float32)
    identity = Model(lambda key, inputs: ({}, {}), lambda params, state, inputs, key, train: (inputs, state))
    learner = cavia(context_of_classes(identity, 3, 5), cross_entropy, optax.sgd(1.0), 1, 15)
    params, state = learner.init(jax.random.key(0), inputs)

    @compiled
    def adapt(params):
        return learner.adapt(params, state, Batch(inputs, targets, np.ones(12, np.float32)), jax.random.key(0))[0]

    read = inputs @ np.asarray(params["head"]["kernel"])
    # The gradient of cross-entropy at equal logits: 1/3 of all embeddings, less those of the class itself.
    expected = [(read * ((targets == c) - 1 / 3)[:, None]).mean(0) for c in range(3)]
    np.testing.assert_allclose(adapt(params).reshape(3, 5), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_body_alone_moves_as_far_as_its_head_is_long():
    inputs = np.random.default_rng(0).normal(size=(10, 8)).astype(np.float32)
    targets = np.arange(10) % 5

    @compiled
    def gradient(params):
        return jax.grad(lambda params: cross_entropy(
            projection(5).apply(params, {}, inputs, jax.random.key(0), True)[0], targets).mean())(params)  # fmt: skip

    norms = []
    for scale in (0.0, 1e-3, 2e-3):
        params = projection(5, head_scale=scale).init(jax.random.key(0), inputs)[0]
        norms.append(float(jnp.linalg.norm(gradient(params)["body"]["kernel"])))
    assert norms[0] == 0
    np.testing.assert_allclose(norms[2] / norms[1], 2, rtol=1e-2)
