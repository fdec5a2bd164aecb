"""What devices of one process share: batches by task or by example, and weights."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import jax
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_enable_x64", True)
import tempfile
from pathlib import Path
import jax.numpy as jnp, numpy as np, optax
from jaxmeta import Batch, Episode, Model, maml
from jaxmeta.losses import squared_error
from jaxmeta.training import init_state, make_update
from jaxmeta.training.checkpoint import restore
from jaxmeta.training.loop import train_loop
from jaxmeta.training.sharing import all_devices, shard_weights

WIDTH = 64

def init(key, inputs):
    first, second = jax.random.split(key)
    return {"in": jax.random.normal(first, (8, WIDTH)) / 8, "out": jax.random.normal(second, (WIDTH, WIDTH)) / 8}, {}

def apply(params, state, inputs, key, train):
    return jnp.tanh(inputs @ params["in"]) @ params["out"], state

def sampler(step):
    rng = np.random.default_rng(step)
    def batch():
        return Batch(rng.normal(size=(TASKS, 6, 8)), rng.normal(size=(TASKS, 6, WIDTH)), np.ones((TASKS, 6)))
    return Episode(batch(), batch())

def loss(outputs, targets):
    return squared_error(outputs, targets).mean(-1)

mesh, optimizer = all_devices(), optax.adam(1e-2)
for TASKS in (5, 1):
    learner = maml(Model(init, apply), loss, optax.sgd(0.1), 2)
    first = init_state(learner, optimizer, jax.random.key(0), sampler(0).support.inputs[0])
    sharded = shard_weights(first, mesh)
    parts = {leaf.shape: leaf.addressable_data(0).size for leaf in jax.tree.leaves((sharded.params, sharded.optimizer))}
    assert parts == {(): 1, (8, WIDTH): 8 * WIDTH, (WIDTH, WIDTH): WIDTH**2 // 4}, parts
    with tempfile.TemporaryDirectory() as folder:
        def train(start, steps, name, mesh=None, **options):
            update = make_update(learner, optimizer, mesh=mesh)
            return train_loop(update, start, sampler, steps, Path(folder, name), mesh=mesh, **options)
        seen = []
        def look(state, metrics):
            seen.append({leaf.addressable_data(0).size for leaf in jax.tree.leaves((state.params, state.optimizer))})
        expected = train(first, 4, "one")
        train(sharded, 2, "four", mesh, on_step=look)
        got = train(sharded, 4, "four", mesh)
        assert seen == [{1, 8 * WIDTH, WIDTH**2 // 4}] * 2, seen
        saved = restore(Path(folder, "four", "checkpoints"), first)
        states = (state._replace(key=0) for state in (expected, got, saved))
        for one, four, there in zip(*map(jax.tree.leaves, states), strict=True):
            np.testing.assert_allclose(four, one, rtol=1e-12, atol=1e-14)
            np.testing.assert_array_equal(four, there)
print("same")
"""


@pytest.mark.slow
def test_sharded_weights_train_resume_and_are_saved_as_whole_ones_and_stay_sharded():
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, cwd=root)
    assert run.stdout == "same\n", run.stderr
