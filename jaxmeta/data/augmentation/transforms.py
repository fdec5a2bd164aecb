"""Augmentation as pure functions with keys: a transform is (key, Ragged) -> Ragged, built by a factory.

Shapes are static, so every transform can be jitted and vmapped over tasks. What a row becomes depends on the key, its
own valid values and its position among the rows, never on padding or on the other rows; padding comes out as zeros.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from jaxmeta.data.augmentation.rows import (
    Transform,
    check,
    check_range,
    each_row,
    expand,
    interpolate,
    masked,
    row_keys,
)
from jaxmeta.types import Array, Episode, Key, Ragged


def chain(*transforms: Transform) -> Transform:
    """Apply transforms one after the other, each with a key of its own."""

    def transform(key: Key, inputs: Ragged) -> Ragged:
        for index, each in enumerate(transforms):
            inputs = _apart(each, jax.random.fold_in(key, index), inputs)
        return inputs

    return transform


def sometimes(transform: Transform, probability: float) -> Transform:
    """Apply a transform to each row with this probability, 0 to 1, and leave the other rows as they are."""
    check(0 <= probability <= 1, f"probability={probability} must lie in [0, 1].")

    def maybe(key: Key, inputs: Ragged) -> Ragged:
        changed = transform(jax.random.fold_in(key, 0), inputs)
        chosen = jax.vmap(lambda k: jax.random.bernoulli(k, probability))(
            row_keys(jax.random.fold_in(key, 1), inputs.lengths.shape[0])
        )
        values = jnp.where(chosen.reshape(-1, *[1] * (inputs.values.ndim - 1)), changed.values, inputs.values)
        return masked(values, jnp.where(chosen, changed.lengths, inputs.lengths))

    return maybe


def augment_episode(
    transform: Transform, on: Literal["support", "query", "both"] = "both"
) -> Callable[[Key, Episode], Episode]:
    """Return (key, episode) -> episode with the inputs of the support, the query or both transformed.

    The episode is one task, its inputs Ragged; for a batch of tasks: `jax.vmap(augment)(keys, episodes)`.
    """
    check(on in ("support", "query", "both"), f"on={on!r} must be 'support', 'query' or 'both'.")

    def augment(key: Key, episode: Episode) -> Episode:
        for index, name in enumerate(("support", "query")):
            batch = getattr(episode, name)
            kind = type(batch.inputs).__name__
            check(isinstance(batch.inputs, Ragged), f"{name}.inputs must be Ragged, got {kind}.")
            if on in (name, "both"):
                inputs = transform(jax.random.fold_in(key, index), batch.inputs)
                episode = episode._replace(**{name: batch._replace(inputs=inputs)})
        return episode

    return augment


def gain(low: float, high: float) -> Transform:
    """Multiply each waveform [T] by a gain drawn uniformly from [low, high] decibels."""
    check_range("gain in dB", low, high)

    def row(key: Key, values: Array, length: Array) -> tuple[Array, Array]:
        decibels = jax.random.uniform(key, minval=low, maxval=high)
        return values * 10 ** (decibels / 20), length

    return each_row(row, ndim=(2,))


def time_shift(most: int) -> Transform:
    """Shift each row, waveform or features, by up to `most` samples or frames either way.

    The length stays; what is pushed out at one end is lost, and zeros come in at the other.
    """
    check(most >= 0, f"most={most} must be 0 or more.")

    def row(key: Key, values: Array, length: Array) -> tuple[Array, Array]:
        source = jnp.arange(values.shape[0]) + most - _below(key, 2 * most + 1)
        inside = (source >= 0) & (source < length)
        taken = jnp.take(values, source, axis=0, mode="clip")
        return jnp.where(expand(inside, values), taken, 0), length

    return each_row(row, ndim=(2, 3))


def speed(low: float, high: float) -> Transform:
    """Play each row, waveform or features, faster by a factor drawn uniformly from [low, high].

    Rows are interpolated linearly and get new lengths; one that would outgrow the padded length T is cut there.
    Source: Ko et al. 2015, Audio augmentation for speech recognition. Differs: a continuous range of factors.
    """
    check(low > 0, f"speed low={low} must be greater than 0.")
    check_range("speed", low, high)

    def row(key: Key, values: Array, length: Array) -> tuple[Array, Array]:
        factor = jax.random.uniform(key, minval=low, maxval=high)
        last = jnp.maximum(length - 1, 0)
        new = jnp.minimum(jnp.floor(last / factor).astype(length.dtype) + 1, values.shape[0])
        position = jnp.minimum(jnp.arange(values.shape[0]) * factor, last)
        return interpolate(values, position, last), jnp.where(length > 0, new, 0)

    return each_row(row, ndim=(2, 3))


def spec_augment(
    time_masks: int = 2,
    time_width: int = 10,
    frequency_masks: int = 2,
    frequency_width: int = 8,
    time_fraction: float = 0.2,
) -> Transform:
    """Replace random stretches of time and bands of frequency of features [T, F] by the row's mean.

    Args:
      time_masks, frequency_masks: number of masks, 0 or more.
      time_width, frequency_width: each mask's width is uniform in 0 ... this, in frames and in bins.
      time_fraction: no time mask is wider than this share of the row's length, 0 to 1.
    Source: Park et al. 2019, SpecAugment, without time warping; their features have a mean of zero.
    """
    numbers = (time_masks, time_width, frequency_masks, frequency_width)
    check(min(numbers) >= 0, f"spec_augment{numbers}: numbers and widths of masks must be 0 or more.")
    check(0 <= time_fraction <= 1, f"time_fraction={time_fraction} must lie in [0, 1].")

    def row(key: Key, values: Array, length: Array) -> tuple[Array, Array]:
        frames, bins = values.shape
        widest = jnp.minimum(time_width, jnp.floor(time_fraction * length).astype(jnp.int32))
        in_time = _stretches(jax.random.fold_in(key, 0), time_masks, widest, frames, length)
        in_frequency = _stretches(jax.random.fold_in(key, 1), frequency_masks, min(frequency_width, bins), bins, bins)
        valid = jnp.arange(frames)[:, None] < length
        mean = jnp.sum(jnp.where(valid, values, 0)) / jnp.maximum(length * bins, 1)
        return jnp.where(in_time[:, None] | in_frequency[None, :], mean, values), length

    return each_row(row, ndim=(3,))


def frequency_warp(low: float, high: float, shift: float = 0.0) -> Transform:
    """Stretch and shift the frequency axis of log-mel features [T, F], like a longer or shorter vocal tract.

    Bin f takes the value at `warp * f + offset`, interpolated linearly and held beyond the first and last bin.
    Args:
      low, high: `warp` is uniform in [low, high], about 0.9 to 1.1; above 1 lowers the voice.
      shift: `offset` is uniform in [-shift, shift] bins.
    Source: Jaitly and Hinton 2013, Vocal tract length perturbation. Differs: linear along the mel axis.
    """
    check(low > 0 and shift >= 0, f"frequency_warp low={low}, shift={shift} need low > 0 and shift >= 0.")
    check_range("frequency_warp", low, high)

    def row(key: Key, values: Array, length: Array) -> tuple[Array, Array]:
        warp = jax.random.uniform(jax.random.fold_in(key, 0), minval=low, maxval=high)
        offset = jax.random.uniform(jax.random.fold_in(key, 1), minval=-shift, maxval=shift)
        last = values.shape[1] - 1
        position = jnp.clip(jnp.arange(last + 1) * warp + offset, 0, last)
        return interpolate(values.T, position, jnp.asarray(last)).T, length

    return each_row(row, ndim=(3,))


def add_noise(bank: Array, low: float, high: float) -> Transform:
    """Add background noise to each waveform [T] at a signal-to-noise ratio drawn uniformly from [low, high] decibels.

    The ratio is that of mean powers over the row's valid samples. A stretch of noise starts anywhere in its recording
    and goes round at its end; where the stretch is silent nothing is added.
    Args:
      bank: noise recordings [M, L], such as `banks.noise_bank` loads.
    """
    bank = jnp.asarray(bank)
    check(bank.ndim == 2 and bank.size > 0, f"bank must be [M, L] with M, L >= 1, got shape {bank.shape}.")
    check_range("signal-to-noise ratio in dB", low, high)

    def row(key: Key, values: Array, length: Array) -> tuple[Array, Array]:
        which, where, ratio = (jax.random.fold_in(key, index) for index in range(3))
        start = _below(where, bank.shape[1])
        recording = bank[_below(which, bank.shape[0])]
        valid = jnp.arange(values.shape[0]) < length
        noise = jnp.where(valid, recording[(start + jnp.arange(values.shape[0])) % bank.shape[1]], 0)
        signal_energy, noise_energy = jnp.sum(jnp.where(valid, values, 0) ** 2), jnp.sum(noise**2)
        wanted = signal_energy * 10 ** (-jax.random.uniform(ratio, minval=low, maxval=high) / 10)
        return values + noise * jnp.sqrt(_safe_ratio(wanted, noise_energy)), length

    return each_row(row, ndim=(2,))


def reverberate(bank: Array) -> Transform:
    """Convolve each waveform [T] with a room response drawn from a bank; length and energy stay as they were.

    The response's largest peak, the direct path, is taken as time zero, so speech does not move; the tail that would
    outlast the row is cut.
    Args:
      bank: room responses [M, L], such as `banks.room_bank` loads; none all zero.
    """
    bank = jnp.asarray(bank)
    check(bank.ndim == 2 and bank.size > 0, f"bank must be [M, L] with M, L >= 1, got shape {bank.shape}.")
    check(bool(jnp.all(jnp.any(bank != 0, axis=1))), "bank has a room response that is all zero; remove it.")
    taps = jnp.arange(bank.shape[1])
    source = taps + jnp.argmax(jnp.abs(bank), axis=1)[:, None]
    responses = jnp.where(source < bank.shape[1], jnp.take_along_axis(bank, source % bank.shape[1], axis=1), 0)

    def row(key: Key, values: Array, length: Array) -> tuple[Array, Array]:
        response = responses[_below(key, responses.shape[0])]
        valid = jnp.arange(values.shape[0]) < length
        dry = jnp.where(valid, values, 0)
        size = 1 << (values.shape[0] + response.shape[0] - 2).bit_length()
        spectrum = jnp.fft.rfft(dry, size) * jnp.fft.rfft(response, size)
        wet = jnp.where(valid, jnp.fft.irfft(spectrum, size)[: values.shape[0]], 0)
        return wet * jnp.sqrt(_safe_ratio(jnp.sum(dry**2), jnp.sum(wet**2))), length

    return each_row(row, ndim=(2,))


def _apart(transform: Transform, key: Key, inputs: Ragged) -> Ragged:
    """The transform as a computation of its own.

    XLA would fuse it with the next one and compute each value again wherever that reads it, which made a chain three
    times as slow on CPUs. It fuses nothing across a branch; that this one is always taken, as no length is below 0, it
    cannot know.
    """
    transform = jax.jit(transform, inline=True)  # Traced once, for the shapes and for the branch.
    result = jax.eval_shape(transform, key, inputs)

    def never(key: Key, inputs: Ragged) -> Ragged:
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), result)

    return jax.lax.cond(jnp.all(inputs.lengths >= 0), transform, never, key, inputs)


def _stretches(key: Key, count: int, widest: Array | int, size: int, end: Array | int) -> Array:
    """Return a mask [size] of `count` stretches, each 0 to `widest` wide and inside [0, end)."""

    def stretch(row_key: Key) -> Array:
        width = _below(jax.random.fold_in(row_key, 0), widest + 1)
        start = _below(jax.random.fold_in(row_key, 1), end - width + 1)
        return (jnp.arange(size) >= start) & (jnp.arange(size) < start + width)

    return jnp.any(jax.vmap(stretch)(row_keys(key, count)), axis=0)


def _below(key: Key, count: Array | int) -> Array:
    """Return a random integer in [0, count); compiles in half the time of `jax.random.randint`."""
    return jnp.minimum(jnp.floor(jax.random.uniform(key) * count).astype(jnp.int32), count - 1)


def _safe_ratio(numerator: Array, denominator: Array) -> Array:
    return jnp.where(denominator > 0, numerator / jnp.where(denominator > 0, denominator, 1), 0)
