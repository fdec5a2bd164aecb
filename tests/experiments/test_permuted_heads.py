"""Orders of classes: counts from small vectors, and what a run writes."""

import json

import numpy as np
import pytest

from experiments.permuted_heads import __main__ as permuted
from experiments.permuted_heads.__main__ import Config, Orders
from jaxmeta.words.embedded.programs import TEST_QUERIES, WAYS
from jaxmeta.words.embedded.stages import Episodes, Stage


@pytest.fixture(scope="module")
def stage():
    """Five words that lie along axes, so that a step of any head tells them."""
    words = np.repeat(np.arange(WAYS), 40)
    vectors = np.zeros((200, 8), np.float32)
    vectors[np.arange(200), words] = 4.0
    rows = np.arange(200).reshape(WAYS, 40)
    support = rows[:, :5].reshape(1, -1)
    query = rows[:, 5 : 5 + TEST_QUERIES].reshape(1, -1)
    return Stage(vectors, words, {}, {"axes, 1-shot": Episodes(support, query, 1)})


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("maml", 120), ("unicorn_maml", 1)])
def test_words_along_axes_are_told_in_each_order(stage, name, count):
    params = permuted.programs(name, 0.5).begin(permuted_key(), stage.vectors[:WAYS]).params
    scored = permuted.orders(name, 0.5, params, stage, stage.episodes["axes, 1-shot"])
    assert scored.each.shape == (1, count)
    # A head's own order may win over one recording in an order or two.
    assert scored.each.mean() > 99
    np.testing.assert_array_equal(scored.averaged, 100)


def permuted_key():
    import jax

    return jax.random.key(0)


def test_the_table_has_the_worst_and_the_best_order_of_each_episode_averaged_over_seeds(tmp_path):
    # Two seeds of two episodes, three orders.
    each = np.array([[10.0, 20, 30], [40, 50, 60], [30, 40, 50], [60, 70, 80]])
    scores = {"maml": {"words, 1-shot": Orders(each, each.max(1))}}
    (row,) = permuted.table(scores, {"maml": 0.1}, Config(tmp_path, seeds=2))
    half = 1.96 * np.std([20 + 10, 50 + 10], ddof=1) / np.sqrt(2)
    assert row["mean order"] == f"45.0 ± {half:.1f}"
    assert [row[name].split()[0] for name in ("worst", "best", "averaged")] == ["35.0", "55.0", "55.0"]
    both = scores | {"unicorn_maml": {"words, 1-shot": Orders(each[:, :1], each[:, 0])}}
    permuted.draw(tmp_path / "orders.png", both, seeds=2)
    assert (tmp_path / "orders.png").stat().st_size < 200_000
    json.dumps([row])


def test_an_interval_is_over_episodes_and_not_over_the_same_ones_of_every_seed():
    # Two seeds of two episodes, two orders.
    each = np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]])
    np.testing.assert_array_equal(permuted.over_seeds(each, 2), [[3, 4], [5, 6]])
