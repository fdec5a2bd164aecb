"""Augmentation of episodes: only the part that was asked for changes, and a batch of tasks is one program."""

import jax
import numpy as np
import pytest

from jaxmeta.data.augmentation import transforms as augment
from jaxmeta.types import Batch, Episode, Ragged
from tests.programs import compiled

SAMPLES = 50


def episode():
    def batch(lengths):
        values = np.random.default_rng(1).normal(size=(len(lengths), SAMPLES)).astype(np.float32)
        lengths = np.array(lengths, np.int32)
        inputs = Ragged(values * (np.arange(SAMPLES) < lengths[:, None]), lengths)
        return Batch(inputs, np.arange(len(lengths)), np.ones(len(lengths), np.float32))

    return Episode(batch([50, 20]), batch([40, 30, 50]))


def run(augment_one, before, key=jax.random.key(7)):
    return jax.device_get(compiled(augment_one)(key, before))


@pytest.mark.parametrize("on", ["support", "query", "both"])
def test_episode_changes_only_where_asked(on):
    before = episode()
    after = run(augment.augment_episode(augment.gain(-6, 6), on), before)
    both = run(augment.augment_episode(augment.gain(-6, 6), "both"), before)
    for name in ("support", "query"):
        part = getattr(after, name)
        expected = getattr(both if on in (name, "both") else before, name)
        np.testing.assert_array_equal(part.inputs.values, expected.inputs.values)
        np.testing.assert_array_equal(part.targets, getattr(before, name).targets)
        np.testing.assert_array_equal(part.weight, getattr(before, name).weight)
    assert not np.array_equal(both.support.inputs.values, before.support.inputs.values)
    # Support and query draw differently.
    factors = [getattr(both, n).inputs.values[0, 0] / getattr(before, n).inputs.values[0, 0] for n in before._fields]
    assert factors[0] != pytest.approx(factors[1], rel=1e-3)


def test_batch_of_episodes_is_augmented_by_vmap_in_one_trace():
    traces = []

    def transform(key, inputs):
        traces.append(1)
        return augment.gain(-6, 6)(key, inputs)

    augment_one = augment.augment_episode(transform)
    update = compiled(jax.vmap(augment_one))
    batch = jax.tree.map(lambda leaf: np.stack([leaf] * 3), episode())
    for step in range(4):
        keys = jax.random.split(jax.random.key(step), 3)
        result = update(keys, batch)
    assert len(traces) == 2  # Support and query, once.
    expected = run(augment_one, episode(), keys[2]).query.inputs
    # Programs of one task and of three round differently.
    np.testing.assert_allclose(result.query.inputs.values[2], expected.values, atol=2e-6)
