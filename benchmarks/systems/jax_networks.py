"""The networks in JAX as functions of the workloads' weights; convolution and pooling are the caller's.

`convolve(inputs [N, H, W, C], kernel [kh, kw, C, D], strides)` pads with zeros by half the kernel;
`max_pool(inputs [N, H, W, C])` takes the largest of each 2 x 2 square.
"""

import jax
import jax.numpy as jnp

from benchmarks.workloads import SEGMENTS, WORDS_STRIDES, pooling


def in_precision(network, workload):
    """The network; that of precision "bf16" computes in bfloat16 between float32 ends."""
    if workload.precision != "bf16":
        return network

    def half(weights, inputs):
        narrow = {name: weight.astype(jnp.bfloat16) for name, weight in weights.items()}
        return network(narrow, inputs.astype(jnp.bfloat16)).astype(jnp.float32)

    return half


def mlp(weights, inputs):
    """[N, 1] -> [N, 1]."""
    hidden = inputs
    for layer in (1, 2):
        hidden = jax.nn.relu(_dense(weights, f"layer{layer}", hidden))
    return _dense(weights, "layer3", hidden)


def images(weights, inputs, convolve, max_pool):
    """[N, H, W, 1] -> logits [N, C], normalised by the statistics of these N."""
    hidden = inputs
    for layer in range(1, 5):
        hidden = convolve(hidden, weights[f"conv{layer}/kernel"], (1, 1))
        hidden = _batch_norm(hidden, weights[f"norm{layer}/scale"], weights[f"norm{layer}/bias"])
        hidden = max_pool(jax.nn.relu(hidden))
    return _dense(weights, "head", hidden.reshape(hidden.shape[0], -1))


def words(weights, inputs, convolve):
    """Log-mels [N, T, F] -> logits [N, C]: `jaxmeta.models.clip_encoders.conv4` where every frame is real."""
    hidden = _standardise(_pool(inputs, SEGMENTS))[..., None]
    for layer, strides in enumerate(WORDS_STRIDES):
        hidden = convolve(hidden, weights[f"body/Convolution_{layer}/kernel"], strides)
        norm = f"body/LayerNorm_{layer}"
        hidden = jax.nn.relu(_layer_norm(hidden, weights[f"{norm}/scale"], weights[f"{norm}/bias"]))
    hidden = hidden.mean(axis=2)
    hidden = _pool(hidden, 4).reshape(hidden.shape[0], -1)
    return _dense(weights, "head", hidden * (20 / hidden.shape[1]) ** 0.5)


def recogniser(weights, inputs, convolve, recur):
    """Log-mels [N, T, F] -> logits [N, T / 2, C]; recur: (weights, [N, T, F]) -> [N, T, 2 H], two directions."""
    hidden = jax.nn.relu(convolve(inputs[..., None], weights["conv/kernel"], (2, 2)) + weights["conv/bias"])
    hidden = _dense(weights, "linear", hidden.reshape(*hidden.shape[:2], -1))
    return _dense(weights, "head", recur(weights, hidden))


def _dense(weights, name, inputs):
    return inputs @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]


def _batch_norm(values, gamma, beta):
    """As one multiplication and one addition, whose second derivatives are short."""
    mean = values.mean(axis=(0, 1, 2))
    variance = jnp.square(values).mean(axis=(0, 1, 2)) - jnp.square(mean)
    scale = jax.lax.rsqrt(variance + 1e-5) * gamma
    return values * scale + (beta - mean * scale)


def _layer_norm(values, gamma, beta):
    axes = (1, 2, 3)
    mean = values.mean(axis=axes, keepdims=True)
    variance = values.var(axis=axes, keepdims=True)
    return (values - mean) * jax.lax.rsqrt(variance + 1e-5) * gamma + beta


def _pool(inputs, segments):
    return pooling(inputs.shape[1], segments).astype(inputs.dtype) @ inputs


def _standardise(clips):
    clips = jnp.maximum(clips, clips.max(axis=(1, 2), keepdims=True) - 6.5 * jnp.log(10.0))
    centred = clips - (clips.mean(axis=1, keepdims=True) + clips.mean(axis=(1, 2), keepdims=True)) / 2
    return centred / jnp.sqrt(centred.var(axis=(1, 2), keepdims=True) + 1e-6)


def both_directions(weights, inputs):
    """A loop over time, and one against it."""
    return jnp.concatenate([_gru(weights, direction, inputs) for direction in ("forward", "backward")], axis=-1)


def _gru(weights, direction, inputs):
    """[N, T, F] -> [N, T, H] by PyTorch's equations, in which r scales the hidden bias of n too."""
    recurrent, bias = weights[f"{direction}/hidden_kernel"], weights[f"{direction}/hidden_bias"]
    gates = inputs @ weights[f"{direction}/input_kernel"] + weights[f"{direction}/input_bias"]

    def step(hidden, gate):
        r, z, n = jnp.split(gate, 3, axis=-1)
        hidden_r, hidden_z, hidden_n = jnp.split(hidden @ recurrent + bias, 3, axis=-1)
        z = jax.nn.sigmoid(z + hidden_z)
        n = jnp.tanh(n + jax.nn.sigmoid(r + hidden_r) * hidden_n)
        hidden = (1 - z) * n + z * hidden
        return hidden, hidden

    start = jnp.zeros((inputs.shape[0], recurrent.shape[0]), inputs.dtype)
    _, outputs = jax.lax.scan(step, start, gates.swapaxes(0, 1), reverse=direction == "backward")
    return outputs.swapaxes(0, 1)
