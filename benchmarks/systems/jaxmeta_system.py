"""jaxmeta: `maml` with `mixed_mode()` or `first_order()`, through the same `make_update` that training uses."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
from flax import traverse_util

from benchmarks.systems import Step, jax_networks
from benchmarks.systems.jax_library import compiled, to_numpy, use_types
from benchmarks.workloads import HIDDEN, WAYS, WIDTH
from jaxmeta import Batch, Episode, Model, Ragged, exact, first_order, maml
from jaxmeta.losses import cross_entropy, squared_error
from jaxmeta.models import clip_encoders
from jaxmeta.models.accelerated.gru import gru
from jaxmeta.models.accelerated.precision import in_bfloat16
from jaxmeta.models.convolution import convolve
from jaxmeta.sequence_losses import ctc
from jaxmeta.training import TrainState, make_update

__all__ = ["build", "supports"]

OPTIMIZER = optax.sgd(1e-3, momentum=0.0)
"""The outer one. Its trace is the gradient itself, and small steps downwards keep weights finite in many updates."""


def supports(workload, order):
    return ""


def build(workload, order, devices=None):
    """Step of this workload.

    Args:
      devices: devices of a CPU that share the tasks; None: as many as there are and the tasks can be shared among
        equally, but one for `sinusoid`, which is too small. A GPU is used as it is.
    """
    devices = _devices(workload, devices)
    update, train, episodes = update_of(workload, order, devices)
    program, seconds, memory = compiled(update, train, episodes)

    def read(result):
        return to_numpy(traverse_util.flatten_dict(result[0].optimizer[0].trace, sep="/"))

    cores = f"{devices} device{'s' * (devices > 1)}"
    return Step(lambda: jax.block_until_ready(program(train, episodes)), read, seconds, cores, memory * devices)


def update_of(workload, order, devices=1):
    """(an update, the state before it, the tasks), on so many devices."""
    use_types(workload)
    estimator = first_order() if order == 1 else exact()
    learner = maml(_model(workload), _loss(workload.name), optax.sgd(workload.rate), workload.steps, estimator)
    at_once = workload.name == "sinusoid" or jax.default_backend() != "cpu"
    mesh = _mesh(devices) if devices > 1 else None
    update = make_update(learner, OPTIMIZER, microbatch=None if at_once else 1, mesh=mesh)
    params = traverse_util.unflatten_dict({name: jnp.asarray(w) for name, w in workload.weights.items()}, sep="/")
    train = TrainState(jnp.zeros((), jnp.int32), jax.random.key(0), params, {}, OPTIMIZER.init(params))
    episodes = _episodes(workload)
    if mesh is not None:
        spec, everywhere = jax.sharding.PartitionSpec("tasks"), jax.sharding.PartitionSpec()
        episodes = jax.device_put(episodes, jax.sharding.NamedSharding(mesh, spec))
        train = jax.device_put(train, jax.sharding.NamedSharding(mesh, everywhere))
    return update, train, episodes


def _devices(workload, devices):
    """Number of devices to share the tasks among."""
    if jax.default_backend() != "cpu" or workload.name == "sinusoid":
        return 1
    most = min(devices or jax.device_count(), workload.tasks)
    return max(n for n in range(1, most + 1) if workload.tasks % n == 0)


def _mesh(devices):
    auto = jax.sharding.AxisType.Auto
    return jax.make_mesh((devices,), ("tasks",), axis_types=(auto,), devices=jax.devices()[:devices])


def _model(workload):
    model = clip_encoders.conv4(WAYS, width=WIDTH) if workload.name == "words" else _by_hand(workload.name)
    return in_bfloat16(model) if workload.precision == "bf16" else model


def _by_hand(name):
    """A model of the workload's weights."""
    network = {
        "sinusoid": jax_networks.mlp,
        "conv4": partial(jax_networks.images, convolve=convolve, max_pool=_max_pool),
        "ctc": _recogniser,
    }[name]

    def apply(params, state, inputs, key, train):
        return network(traverse_util.flatten_dict(params, sep="/"), inputs), state

    def init(key, inputs):
        raise ValueError("the weights are the workload's; make a TrainState of them.")

    return Model(init, apply)


def _recogniser(weights, inputs):
    logits = jax_networks.recogniser(weights, inputs, convolve, _both_directions)
    return Ragged(logits, jnp.full(logits.shape[0], logits.shape[1]))


def _both_directions(weights, inputs):
    """The recurrence of `jaxmeta.models.recurrent`; PyTorch's hidden biases of reset and keep count as the inputs'."""

    def pair(kind):
        return jnp.stack([weights[f"{direction}/{kind}"] for direction in ("forward", "backward")])

    size, biases = HIDDEN, pair("hidden_bias")
    gates = jnp.einsum("ntf,dfg->tdng", inputs, pair("input_kernel")) + pair("input_bias")[:, None]
    gates += jnp.pad(biases[:, : 2 * size], ((0, 0), (0, size)))[:, None]
    gates = jnp.stack([gates[:, 0], gates[::-1, 1]], axis=1)
    states = gru(gates, pair("hidden_kernel"), biases[:, 2 * size :], jnp.ones((*gates.shape[:3], 1), bool))
    return jnp.concatenate([states[:, 0], states[::-1, 1]], axis=-1).swapaxes(0, 1)


def _loss(name):
    return {"sinusoid": squared_error, "ctc": ctc}.get(name, cross_entropy)


def _episodes(workload):
    def batch(part):
        x, y = (jnp.asarray(workload.episodes[f"{part}_{key}"]) for key in ("x", "y"))
        rows = x.shape[:2]
        if workload.name == "words":
            x = Ragged(x, jnp.full(rows, x.shape[2], jnp.int32))
        if workload.name == "ctc":
            y = Ragged(y, jnp.asarray(workload.episodes[f"{part}_lengths"]))
        return Batch(x, y, jnp.ones(rows))

    return Episode(batch("support"), batch("query"))


def _max_pool(inputs):
    """Largest of each 2 x 2 square: comparisons of slices, whose derivatives are selections."""
    n, height, width, channels = inputs.shape
    inputs = inputs[:, : height // 2 * 2, : width // 2 * 2]
    squares = inputs.reshape(n, height // 2, 2, width // 2, 2, channels)
    rows = _larger(squares[:, :, 0], squares[:, :, 1])
    return _larger(rows[:, :, :, 0], rows[:, :, :, 1])


def _larger(a, b):
    return jnp.where(a >= b, a, b)
