"""JAX by hand, as a tutorial writes MAML: vmap over tasks, grad of grad through a Python loop, XLA's convolutions."""

from functools import partial

import jax
import jax.numpy as jnp
import optax

from benchmarks.systems import Step, jax_networks
from benchmarks.systems.jax_library import compiled, to_numpy, use_types

__all__ = ["build", "supports"]


def supports(workload, order):
    return ""


def build(workload, order):
    mean_loss, weights, support, query = loss_of(workload, order)
    program, seconds, memory = compiled(jax.grad(mean_loss), weights, support, query)
    return Step(lambda: jax.block_until_ready(program(weights, support, query)), to_numpy, seconds, "1 device", memory)


def loss_of(workload, order):
    """(the mean query loss over tasks, its three arguments: initial weights, support and query of all tasks)."""
    use_types(workload)
    loss = _loss(workload)

    def task_loss(weights, support, query):
        for _ in range(workload.steps):
            gradients = jax.grad(loss)(weights, support)
            if order == 1:
                gradients = jax.lax.stop_gradient(gradients)
            weights = jax.tree.map(lambda w, g: w - workload.rate * g, weights, gradients)
        return loss(weights, query)

    def mean_loss(weights, support, query):
        return jax.vmap(task_loss, (None, 0, 0))(weights, support, query).mean()

    support, query = (
        {key.removeprefix(f"{part}_"): jnp.asarray(value) for key, value in workload.episodes.items() if part in key}
        for part in ("support", "query")
    )
    return mean_loss, jax.tree.map(jnp.asarray, workload.weights), support, query


def _loss(workload):
    """(weights, {"x": ..., "y": ...} of one task) -> mean loss."""
    name = workload.name
    network = {
        "sinusoid": jax_networks.mlp,
        "conv4": partial(jax_networks.images, convolve=_convolve, max_pool=_max_pool),
        "words": partial(jax_networks.words, convolve=_convolve),
        "ctc": partial(jax_networks.recogniser, convolve=_convolve, recur=jax_networks.both_directions),
    }[name]
    network = jax_networks.in_precision(network, workload)

    def loss(weights, batch):
        outputs = network(weights, batch["x"])
        if name == "sinusoid":
            return jnp.square(outputs - batch["y"]).mean()
        if name == "ctc":
            beyond = jnp.arange(batch["y"].shape[1]) >= batch["lengths"][:, None]
            every_frame = jnp.zeros(outputs.shape[:2])
            return optax.ctc_loss(outputs, every_frame, batch["y"], beyond.astype(jnp.float32)).mean()
        return optax.softmax_cross_entropy_with_integer_labels(outputs, batch["y"]).mean()

    return loss


def _convolve(inputs, kernel, strides):
    return jax.lax.conv_general_dilated(
        inputs, kernel, strides, padding=((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _max_pool(inputs):
    return jax.lax.reduce_window(inputs, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
