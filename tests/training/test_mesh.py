"""Tasks shared among devices: the same update as on one, for any number of tasks."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import jax
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp, numpy as np, optax
from jaxmeta import Batch, Episode, Model, maml
from jaxmeta.losses import squared_error
from jaxmeta.training import init_state, make_update
from tests.programs import compiled

def init(key, inputs):
    return {"w": jax.random.normal(key, (3,))}, {"mean": jnp.zeros(()), "count": jnp.zeros((), jnp.int32)}

def apply(params, state, inputs, key, train):
    state = {"mean": inputs.mean(), "count": state["count"] + 1}
    return jnp.tanh(inputs @ params["w"]), state

learner = maml(Model(init, apply), squared_error, optax.sgd(0.3), 2)
optimizer = optax.adam(0.1)
rng = np.random.default_rng(0)
def batch(tasks):
    inputs, targets = rng.normal(size=(tasks, 4, 3)), rng.normal(size=(tasks, 4))
    return Batch(jnp.asarray(inputs), jnp.asarray(targets), jnp.ones((tasks, 4)))

def leaves(result):
    train, metrics = result
    return jax.tree.leaves((train._replace(key=train.step), metrics))

auto = jax.sharding.AxisType.Auto
meshes = [
    jax.make_mesh((4,), ("tasks",), axis_types=(auto,)),
    jax.make_mesh((2, 2), ("a", "b"), axis_types=(auto, auto)),
]
for tasks in (8, 5, 1):
    episodes = Episode(batch(tasks), batch(tasks))
    if tasks > 1:
        episodes = episodes._replace(query=episodes.query._replace(inputs=episodes.query.inputs.at[1].set(jnp.nan)))
    train = init_state(learner, optimizer, jax.random.key(0), episodes.support.inputs[0])
    alone, metrics = compiled(make_update(learner, optimizer))(train, episodes)
    assert metrics["masked"] == (tasks > 1)
    # Compiling is all of the time: where tasks do not divide evenly, each mesh and each way to take them is met once.
    every = [(mesh, microbatch) for mesh in meshes for microbatch in (None, 1)]
    for mesh, microbatch in every if tasks == 8 else zip(meshes, (None, 1)):
        update = compiled(make_update(learner, optimizer, microbatch=microbatch, mesh=mesh))
        program = update.lower(train, episodes).compile()
        assert "all-reduce" in program.as_text()
        shared, found = program(train, episodes)
        for got, expected in zip(leaves((shared, found)), leaves((alone, metrics)), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)
            assert got.dtype == jnp.asarray(expected).dtype
        if (tasks, microbatch) == (8, None):
            again, _ = update(shared, episodes)  # The state stays where the update left it.
            assert int(again.step) == 2
print("same")
"""


def test_an_update_on_a_mesh_is_that_of_one_device():
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, cwd=root)
    assert run.stdout == "same\n", run.stderr
