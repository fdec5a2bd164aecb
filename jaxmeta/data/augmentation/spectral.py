"""Augmentation of log-mel features: what a change of the waveform, the voice or the channel does to the spectrum.

The transforms have the form and keep the promises of `augment`. They need natural logarithms of power with the levels
left in (`FeatureConfig(kind="logmel", normalize="none")`), and are cheap enough to run anew for every episode.
"""

import jax
import jax.numpy as jnp

from jaxmeta.data.augmentation.rows import Transform, check, check_range, each_row, interpolate
from jaxmeta.types import Array, Key


def time_warp(ends: float, bend: float) -> Transform:
    """Move both ends of each clip and bend its time axis in between; the length stays.

    Frame u of [0, 1] takes the value at start + (stop - start) * (u + a sin(pi u) + b sin(2 pi u)), interpolated
    linearly; beyond the clip its first or last frame is repeated.
    Args:
      ends: start and stop each move by a share of the length drawn from [-ends, ends], below 0.5.
      bend: a is uniform in [-bend, bend], b in half of that; at most 0.15, or time would run backwards.
    """
    check(0 <= ends < 0.5, f"time_warp ends={ends} must lie in [0, 0.5).")
    check(0 <= bend <= 0.15, f"time_warp bend={bend} must lie in [0, 0.15].")

    def row(key: Key, values: Array, length: Array) -> tuple[Array, Array]:
        start, stop, a, b = jax.random.uniform(key, (4,), minval=-1.0)
        last = jnp.maximum(length - 1, 0)
        u = jnp.arange(values.shape[0]) / jnp.maximum(last, 1)
        bent = u + bend * a * jnp.sin(jnp.pi * u) + bend / 2 * b * jnp.sin(2 * jnp.pi * u)
        position = last * (ends * start + (1 + ends * (stop - start)) * bent)
        return interpolate(values, jnp.clip(position, 0, last), last), length

    return each_row(row, ndim=(3,))


def equalise(strength: float, orders: int = 4) -> Transform:
    """Add a smooth random curve over frequency to each clip, as another microphone or room would.

    Args:
      strength: standard deviation of the curve's first cosine, in nats; that of order k is strength / k.
      orders: number of cosines, 1 or more.
    """
    check(strength >= 0 and orders >= 1, f"equalise strength={strength} needs 0 or more, orders={orders} 1 or more.")

    def row(key: Key, values: Array, length: Array) -> tuple[Array, Array]:
        order = jnp.arange(1, orders + 1)
        bins = values.shape[1]
        cosines = jnp.cos(jnp.pi * order[:, None] * (jnp.arange(bins) + 0.5) / bins)
        return values + (jax.random.normal(key, (orders,)) * strength / order) @ cosines, length

    return each_row(row, ndim=(3,))


def mix_noise(bank: Array, low: float, high: float) -> Transform:
    """Add the power of background noise to each clip at a signal-to-noise ratio drawn from [low, high] decibels.

    Powers add up on average, so this is `augment.add_noise` without its waveforms.
    Args:
      bank: log-mels of noise [M, L, F], made as those of the clips; a stretch starts anywhere and goes round.
    """
    bank = jnp.asarray(bank)
    check(bank.ndim == 3 and bank.size > 0, f"bank must be [M, L, F] with M, L, F >= 1, got shape {bank.shape}.")
    check_range("signal-to-noise ratio in dB", low, high)

    def row(key: Key, values: Array, length: Array) -> tuple[Array, Array]:
        which, where, ratio = (jax.random.fold_in(key, index) for index in range(3))
        frames = jnp.arange(values.shape[0])
        start = jax.random.randint(where, (), 0, bank.shape[1])
        noise = bank[jax.random.randint(which, (), 0, bank.shape[0])][(start + frames) % bank.shape[1]]
        snr = jax.random.uniform(ratio, minval=low, maxval=high) * jnp.log(10.0) / 10
        level = _log_power(values, length) - _log_power(noise, length) - snr
        return jnp.logaddexp(values, noise + level), length

    return each_row(row, ndim=(3,))


def reverberate_spectrum(share: float, decay: float, taps: int = 12) -> Transform:
    """Let each frame's power ring on in the frames after it, as in a room.

    Args:
      share: power of the first echo against the direct sound, uniform in [0, share], at most 1.
      decay: frames in which the echo falls to 1 / e, uniform in [0.5, decay].
      taps: frames that the echo lasts.
    """
    check(0 <= share <= 1, f"reverberate_spectrum share={share} must lie in [0, 1].")
    check(decay >= 0.5 and taps >= 1, f"reverberate_spectrum needs decay={decay} >= 0.5 and taps={taps} >= 1.")

    def row(key: Key, values: Array, length: Array) -> tuple[Array, Array]:
        level, time = jax.random.uniform(key, (2,))
        response = level * share * jnp.exp(-jnp.arange(taps) / (0.5 + time * (decay - 0.5)))
        # Powers relative to the clip's loudest value, so that float32 holds them; what is beyond the clip rings not.
        peak = jnp.max(values, where=_valid(values, length), initial=-jnp.inf)
        power = jnp.where(_valid(values, length), jnp.exp(values - peak), 0)
        late = jnp.pad(power, ((taps, 0), (0, 0)))
        echo = sum(response[tap] * late[taps - 1 - tap : late.shape[0] - 1 - tap] for tap in range(taps))
        return jnp.logaddexp(values, jnp.log(jnp.maximum(echo, 1e-30)) + peak), length

    return each_row(row, ndim=(3,))


def _valid(values: Array, length: Array) -> Array:
    return jnp.arange(values.shape[0])[:, None] < length


def _log_power(values: Array, length: Array) -> Array:
    """Logarithm of the total power of a clip's valid frames."""
    return jax.nn.logsumexp(values, where=_valid(values, length))
