"""Frames on the device: tasks are sent as places in them, and nothing else changes."""

import jax
import numpy as np
import pytest

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.word_tasks import WordBatches, task_sampler
from jaxmeta.losses import cross_entropy
from jaxmeta.models.clip_encoders import conv4
from jaxmeta.training.fit import fit, supervised
from jaxmeta.training.on_device import frames_fit, looked_up, with_frames


@pytest.fixture(scope="module")
def corpus():
    rng, rows = np.random.default_rng(0), 24
    lengths = rng.integers(3, 14, rows).astype(np.int32)
    columns = {
        "label": np.array([f"word {row % 4}" for row in range(rows)]), "corpus": np.full(rows, "a"),
        "pool": np.full(rows, "recorded"), "file_name": np.array([f"{row}.wav" for row in range(rows)]),
    }  # fmt: skip
    frames = rng.normal(size=(lengths.sum(), 5)).astype(np.float32)
    return Corpus(frames, np.cumsum(lengths) - lengths, lengths, columns)


def samplers(corpus):
    return [WordBatches(corpus, 7, seed=1), task_sampler(corpus, 3, ((1, 2, 2), (2, 1, 1)), seed=1)]


@pytest.mark.parametrize("which", [0, 1])
def test_places_looked_up_on_the_device_are_the_batch_that_the_host_gathers(corpus, which):
    sampler = samplers(corpus)[which]
    draw = with_frames(sampler)
    for index in (0, 1, 5):
        placed = draw(index)
        assert placed.frames is draw(0).frames
        jax.tree.map(np.testing.assert_array_equal, jax.jit(looked_up)(placed), sampler(index))


def test_they_lie_there_where_they_take_a_quarter_of_its_memory_and_never_on_a_cpu(corpus, monkeypatch, capsys):
    sampler = samplers(corpus)[0]
    assert not frames_fit(sampler) and not capsys.readouterr().err

    class Device:
        memory = 4 * corpus.frames.nbytes

        def memory_stats(self):
            return {"bytes_limit": self.memory}

    device = Device()
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    assert frames_fit(sampler) and "lie on the device" in capsys.readouterr().err
    device.memory -= 4
    assert not frames_fit(sampler) and "stay on the host" in capsys.readouterr().err
    assert not frames_fit(lambda index: None)


def test_a_sampler_of_something_else_is_refused():
    with pytest.raises(ValueError, match="function does not say where its frames are; leave frames_on_device=None"):
        with_frames(lambda index: None)


@pytest.mark.slow
def test_training_is_the_same_bit_for_bit_wherever_the_frames_lie(corpus, tmp_path):
    learner, leaves = supervised(conv4(4, width=4, frames=8), cross_entropy), []
    for there in (False, True):
        train = fit(
            learner, WordBatches(corpus, 8, seed=0), 3, 0.1, tmp_path / str(there),
            augment=lambda key, episode: episode, features=5, seed=0, config={}, frames_on_device=there,
        )  # fmt: skip
        leaves.append([np.asarray(leaf).tobytes() for leaf in jax.tree.leaves((train.params, train.optimizer))])
    assert leaves[0] == leaves[1]
