"""Conditions of a test, and noise that all utterances of a task share."""

import jax
import numpy as np

from jaxmeta import Batch, Episode, Ragged
from jaxmeta.data.audio import write_audio
from jaxmeta.data.augmentation.banks import coloured_noise
from jaxmeta.data.augmentation.conditions import artificial_conditions, noise_conditions, same_noise


def test_every_group_of_noises_is_met_at_every_level():
    noises = {kind: coloured_noise(1, 0.1, seed=seed) for seed, kind in enumerate(("hum", "hiss"))}
    conditions = noise_conditions(noises, np.eye(1, 9, dtype=np.float32), (20.0, 0.0), seed=0)
    names = ["clean", "hum 20 dB", "hum 0 dB", "hiss 20 dB", "hiss 0 dB", "room"]
    assert [condition.name for condition in conditions] == names
    assert conditions[0].transform is None and conditions[1].transform.apply.keywords["snr_db"] == 20.0


def test_artificial_noise_of_the_test_is_none_of_that_of_training(tmp_path):
    write_audio(tmp_path / "voice.wav", coloured_noise(1, 0.1)[0] / 10, 16_000)
    conditions = artificial_conditions([tmp_path / "voice.wav"], (20.0, 5.0), seed=0)
    names = [f"{kind} {snr} dB" for kind in ("seen", "unseen") for snr in (20, 5)]
    assert [condition.name for condition in conditions] == ["clean", *names, "room"]
    test, training = conditions[1].transform.apply.keywords["noises"], coloured_noise(12, seed=0)
    alike = np.abs(test @ training.T) / test.shape[1]
    # Unit power: the same stretch would give 1; brown noise of five seconds is alike by chance at a few lowest tones.
    assert alike.max() < 0.9


def test_all_utterances_of_a_task_are_in_one_noise_at_one_level():
    """Bands of the noises differ, so that what is added tells which one it was, and how loud."""
    bank = np.full((3, 7, 3), -40.0, np.float32)
    bank[np.arange(3), :, np.arange(3)] = 0.0
    augment = jax.jit(same_noise(bank, (20.0, 5.0), lambda noise: noise))

    def batch(rows):
        return Batch(Ragged(np.zeros((rows, 5, 3), np.float32), np.full(rows, 5)), np.zeros(rows), np.ones(rows))

    drawn = []
    for seed in range(30):
        noisy = augment(jax.random.key(seed), Episode(batch(2), batch(3)))
        added = np.concatenate([np.exp(part.inputs.values) - 1 for part in noisy])
        np.testing.assert_allclose(added, np.broadcast_to(added[0, 0], added.shape), atol=1e-4)
        # The speech has power 3 in each frame: the noise, in one band, has 3 / 10 ** (SNR / 10).
        power = added[0, 0].sum()
        level = "none" if power < 1e-3 else round(float(10 * np.log10(3 / power)))
        drawn.append((int(added[0, 0].argmax()) if power > 1e-3 else -1, level))
    assert {level for _, level in drawn} == {"none", 20, 5}
    assert {which for which, _ in drawn} == {-1, 0, 1, 2}
