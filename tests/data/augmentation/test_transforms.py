"""Every transform: same key same result, padding inert, lengths right, jit equals eager, and its own closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta.data.augmentation import transforms as augment
from jaxmeta.types import Batch, Episode, Ragged
from tests.programs import compiled

RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(3, 70)).astype(np.float32)
ROOMS = (RNG.normal(size=(9, 20)) * np.exp(-np.arange(20) / 4)).astype(np.float32)
KEY = jax.random.key(7)
WAVES = {
    "gain": augment.gain(-10, 10),
    "time_shift": augment.time_shift(9),
    "speed": augment.speed(0.8, 1.25),
    "add_noise": augment.add_noise(NOISE, 0, 20),
    "reverberate": augment.reverberate(ROOMS),
    "sometimes": augment.sometimes(augment.speed(0.7, 0.9), 0.5),
    "chain": augment.chain(augment.speed(0.9, 1.1), augment.reverberate(ROOMS), augment.add_noise(NOISE, 5, 5)),
}
FEATURES = {
    "spec_augment": augment.spec_augment(2, 6, 2, 5),
    "frequency_warp": augment.frequency_warp(0.9, 1.1, shift=1.0),
    "time_shift": augment.time_shift(5),
    "speed": augment.speed(0.8, 1.25),
}
CASES = [pytest.param(t, (50,), id=f"wave-{n}") for n, t in WAVES.items()]
CASES += [pytest.param(t, (50, 12), id=f"features-{n}") for n, t in FEATURES.items()]
# Eager operations are compiled one by one: what the chain runs, or a case of other axes, waits for the slow tier.
AGAIN = {"wave-speed", "wave-add_noise", "wave-reverberate", "features-speed", "features-time_shift"}
SOME = [pytest.param(*c.values, id=c.id, marks=pytest.mark.slow if c.id in AGAIN else ()) for c in CASES]


def rows(shape, lengths=(50, 31, 17, 1, 0, 44)):
    lengths = np.array(lengths, np.int32)
    values = np.random.default_rng(1).normal(size=(len(lengths), *shape)).astype(np.float32)
    valid = np.arange(shape[0]) < lengths[:, None]
    return Ragged(values * valid.reshape(*valid.shape, *[1] * (len(shape) - 1)), lengths)


def run(transform, inputs, key=KEY):
    """Compiled, which is much faster here; one test compares with eager."""
    return jax.device_get(compiled(transform)(key, inputs))


def equal(a, b, tolerance=0.0):
    np.testing.assert_array_equal(a.lengths, b.lengths)
    np.testing.assert_allclose(a.values, b.values, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("transform", "shape"), CASES)
def test_same_key_gives_the_same_and_another_key_another(transform, shape):
    inputs = rows(shape)
    equal(run(transform, inputs), run(transform, inputs))
    assert not np.array_equal(run(transform, inputs).values, run(transform, inputs, jax.random.key(8)).values)


@pytest.mark.parametrize(("transform", "shape"), SOME)
def test_values_beyond_the_lengths_change_nothing(transform, shape):
    clean = rows(shape)
    beyond = np.arange(shape[0]) >= np.asarray(clean.lengths)[:, None]
    dirty = np.array(clean.values)
    dirty[beyond] = np.nan
    result = run(transform, Ragged(jnp.asarray(dirty), clean.lengths))
    equal(result, run(transform, clean))
    assert not np.any(np.asarray(result.values)[np.arange(shape[0]) >= np.asarray(result.lengths)[:, None]])


@pytest.mark.parametrize(("transform", "shape"), SOME)
def test_more_padding_and_more_rows_change_nothing(transform, shape):
    inputs = rows(shape, (30, 31, 17, 1, 0, 25))
    wider = np.pad(inputs.values, [(0, 2), (0, 40), *[(0, 0)] * (len(shape) - 1)])
    result = run(transform, Ragged(wider, np.pad(inputs.lengths, (0, 2))))
    # Convolution takes a longer FFT there: rounding only.
    equal(Ragged(result.values[:6, : shape[0]], result.lengths[:6]), run(transform, inputs), 2e-6)
    assert not np.any(np.asarray(result.values)[6:])


@pytest.mark.parametrize(("transform", "shape"), SOME)
def test_jit_equals_eager(transform, shape):
    with jax.enable_x64(True):
        inputs = rows(shape)
        inputs = inputs._replace(values=jnp.asarray(inputs.values, jnp.float64))
        eager = transform(KEY, inputs)
        # Fused multiplications and sums round differently.
        equal(jax.jit(transform)(KEY, inputs), eager, 1e-12)


@pytest.mark.parametrize(("transform", "shape"), SOME)
def test_tasks_vmapped_equal_tasks_looped(transform, shape):
    inputs = rows(shape)
    batch = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), inputs)
    keys = jnp.stack([jax.random.key(8), KEY])
    mapped = run(jax.vmap(transform), batch, keys)
    equal(jax.tree.map(lambda leaf: leaf[1], mapped), run(transform, inputs), 2e-6)


@pytest.mark.parametrize(("transform", "shape"), SOME)
def test_types_are_kept_and_lengths_within_bounds(transform, shape):
    result = run(transform, rows(shape))
    assert result.values.dtype == jnp.float32 and result.lengths.dtype == jnp.int32
    assert result.values.shape == (6, *shape) and np.all((result.lengths >= 0) & (result.lengths <= shape[0]))
    assert np.isfinite(result.values).all() and result.lengths[4] == 0


@pytest.mark.parametrize(
    ("transform", "shape"),
    [
        (augment.gain(0, 0), (50,)),
        (augment.time_shift(0), (50,)),
        (augment.speed(1, 1), (50,)),
        (augment.speed(1, 1), (50, 12)),
        (augment.spec_augment(0, 5, 0, 5), (50, 12)),
        (augment.spec_augment(2, 0, 2, 0), (50, 12)),
        (augment.frequency_warp(1, 1), (50, 12)),
        (augment.add_noise(np.zeros((1, 9), np.float32), 0, 0), (50,)),
        (augment.sometimes(augment.speed(2, 2), 0.0), (50,)),
        (augment.chain(), (50,)),
    ],
)
def test_neutral_parameters_are_the_identity(transform, shape):
    equal(run(transform, rows(shape)), rows(shape))


def test_gain_is_in_decibels():
    inputs = rows((50,))
    equal(run(augment.gain(-20, -20), inputs), inputs._replace(values=inputs.values / 10), 1e-6)
    result = run(augment.gain(-6, 6), rows((50,), [50] * 40))
    decibels = 20 * np.log10(np.asarray(result.values)[:, 0] / np.asarray(rows((50,), [50] * 40).values)[:, 0])
    assert decibels.min() > -6.001 and decibels.max() < 6.001 and np.ptp(decibels) > 8


@pytest.mark.parametrize("low", [-5.0, 0.0, 20.0])
def test_noise_has_the_asked_ratio_over_the_valid_samples(low):
    inputs = rows((50,), [50, 31, 17])
    noise = run(augment.add_noise(NOISE, low, low), inputs).values - inputs.values
    for row, length in enumerate((50, 31, 17)):
        signal = np.asarray(inputs.values, np.float64)[row, :length]
        added = np.asarray(noise, np.float64)[row, :length]
        assert 10 * np.log10((signal**2).mean() / (added**2).mean()) == pytest.approx(low, abs=1e-3)


def test_noise_is_a_stretch_of_the_bank_going_round():
    inputs = rows((50,), [50] * 4)
    noise = np.asarray(run(augment.add_noise(NOISE, 0, 0), inputs).values - inputs.values, np.float64)
    candidates = np.stack([np.roll(row, -start)[:50] for row in NOISE for start in range(70)]).astype(np.float64)
    for added in noise:
        cosine = candidates @ added / np.linalg.norm(candidates, axis=1) / np.linalg.norm(added)
        assert cosine.max() == pytest.approx(1, abs=1e-5)


def test_reverberation_is_a_convolution_from_the_direct_path_with_the_energy_kept():
    response = np.array([[0.1, 0.0, -2.0, 0.5, 0.25]], np.float32)
    inputs = rows((50,), [50, 31])
    result = run(augment.reverberate(response), inputs)
    for row, length in enumerate((50, 31)):
        dry = np.asarray(inputs.values, np.float64)[row, :length]
        wet = np.convolve(dry, [-2.0, 0.5, 0.25])[:length]
        wet *= np.sqrt((dry**2).sum() / (wet**2).sum())
        np.testing.assert_allclose(result.values[row, :length], wet, atol=1e-5)


def test_reverberation_by_a_late_impulse_moves_nothing():
    impulse = np.eye(1, 20, 13, dtype=np.float32)
    equal(run(augment.reverberate(impulse), rows((50,))), rows((50,)), 2e-6)


@pytest.mark.parametrize("factor", [0.5, 1.5, 2.0])
def test_speed_interpolates_as_numpy_does(factor):
    inputs = rows((50,), [50, 31, 21])
    result = run(augment.speed(factor, factor), inputs)
    for row, length in enumerate((50, 31, 21)):
        new = min(50, int((length - 1) / factor) + 1)
        assert result.lengths[row] == new
        expected = np.interp(np.arange(new) * factor, np.arange(length), np.asarray(inputs.values)[row, :length])
        np.testing.assert_allclose(result.values[row, :new], expected, atol=1e-6)


def test_speed_draws_lengths_over_its_whole_range():
    lengths = run(augment.speed(0.5, 2.0), rows((100,), [40] * 60)).lengths
    assert 20 <= lengths.min() < 24 and 65 < lengths.max() <= 79


def test_shift_moves_by_up_to_its_limit_and_fills_with_zeros():
    values = np.tile(np.arange(1.0, 11.0, dtype=np.float32), (200, 1))
    result = run(augment.time_shift(3), Ragged(values, np.full(200, 8, np.int32))).values
    base = np.arange(1.0, 9.0)
    expected = {n: np.concatenate([np.zeros(max(n, 0)), base, np.zeros(9)])[max(-n, 0) :][:8] for n in range(-3, 4)}
    seen = [[n for n, row in expected.items() if np.array_equal(row, one[:8])] for one in result]
    assert all(len(match) == 1 for match in seen) and {match[0] for match in seen} == set(range(-3, 4))


def test_spec_augment_masks_whole_stretches_and_bands_with_the_mean():
    inputs = rows((50, 12), [40] * 60)
    result = np.asarray(run(augment.spec_augment(1, 6, 1, 4), inputs).values)[:, :40]
    original = np.asarray(inputs.values)[:, :40]
    widths = []
    for before, after in zip(original, result, strict=True):
        masked = before != after
        frames, bins = masked.all(1), masked.all(0)
        np.testing.assert_array_equal(masked, frames[:, None] | bins[None, :])
        np.testing.assert_allclose(after[masked], before.mean(), atol=1e-6)
        for mask in (frames, bins):
            assert mask.sum() == 0 or np.ptp(np.flatnonzero(mask)) + 1 == mask.sum()
        widths.append((frames.sum(), bins.sum()))
    assert {int(w[0]) for w in widths} == set(range(7)) and {int(w[1]) for w in widths} == set(range(5))


def test_spec_augment_masks_at_most_the_fraction_of_a_short_row():
    inputs = rows((50, 12), [10] * 40)
    result = run(augment.spec_augment(1, 30, 0, 0, time_fraction=0.2), inputs)
    masked = np.any(np.asarray(result.values != inputs.values), axis=2).sum(axis=1)
    assert set(masked.tolist()) == {0, 1, 2}


def test_frequency_warp_interpolates_and_holds_the_ends():
    inputs = rows((5, 12), [5, 3])
    for warp, expected in ((2.0, np.minimum(np.arange(12) * 2, 11)), (0.5, np.arange(12) * 0.5)):
        result = run(augment.frequency_warp(warp, warp), inputs)
        for row, length in enumerate((5, 3)):
            for frame in range(length):
                wanted = np.interp(expected, np.arange(12), np.asarray(inputs.values)[row, frame])
                np.testing.assert_allclose(result.values[row, frame], wanted, atol=1e-6)


def test_frequency_shift_is_the_same_for_all_frames_and_within_its_limit():
    ramp = np.broadcast_to(np.arange(12, dtype=np.float32), (50, 4, 12))
    moved = run(augment.frequency_warp(1, 1, shift=2.0), Ragged(ramp, np.full(50, 4, np.int32))).values
    offsets = moved[:, :, 5] - 5
    assert np.abs(offsets).max() <= 2 and np.ptp(offsets[:, 0]) > 3
    np.testing.assert_allclose(offsets, offsets[:, :1].repeat(4, 1), atol=1e-6)


def test_sometimes_takes_its_share_of_rows_whole():
    inputs = rows((50,), [50] * 400)
    result = run(augment.sometimes(augment.gain(20, 20), 0.25), inputs)
    factors = np.asarray(result.values / inputs.values)
    changed = np.isclose(factors, 10, atol=1e-4).all(1)
    assert np.all(changed | (factors == 1).all(1))
    assert 70 < changed.sum() < 130  # Binomial(400, 0.25): mean 100, standard deviation 8.7.


def test_chain_gives_each_transform_its_own_key():
    inputs = rows((50,), [50])
    twice = run(augment.chain(augment.gain(-6, 6), augment.gain(-6, 6)), inputs)
    first = run(augment.gain(-6, 6), inputs, jax.random.fold_in(KEY, 0))
    equal(twice, run(augment.gain(-6, 6), first, jax.random.fold_in(KEY, 1)), 1e-6)
    once = np.asarray(first.values / inputs.values)[0, 0]
    assert np.asarray(twice.values / inputs.values)[0, 0] != pytest.approx(once**2, rel=1e-3)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: augment.gain(3, -3), "low=3.*high=-3"),
        (lambda: augment.speed(0, 1), "low=0"),
        (lambda: augment.time_shift(-1), "most=-1"),
        (lambda: augment.sometimes(augment.time_shift(1), 1.5), "probability=1.5"),
        (lambda: augment.spec_augment(-1), "0 or more"),
        (lambda: augment.spec_augment(time_fraction=2), "time_fraction=2"),
        (lambda: augment.frequency_warp(0, 1), "low=0"),
        (lambda: augment.add_noise(NOISE[0], 0, 1), r"shape \(70,\)"),
        (lambda: augment.add_noise(NOISE, 9, 1), "low=9"),
        (lambda: augment.reverberate(np.zeros((2, 5), np.float32)), "all zero"),
        (lambda: augment.augment_episode(augment.time_shift(1), "train"), "on='train'"),
        (lambda: augment.gain(0, 1)(KEY, rows((5, 4), [5])), r"\[N, T\], got shape \(1, 5, 4\)"),
        (lambda: augment.spec_augment()(KEY, rows((5,), [5])), r"\[N, T, F\]"),
        (
            lambda: augment.augment_episode(augment.time_shift(1))(
                KEY, Episode(Batch(jnp.ones(3), jnp.ones(3), jnp.ones(3)), Batch(jnp.ones(3), jnp.ones(3), jnp.ones(3)))
            ),
            "support.inputs must be Ragged",
        ),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
