"""One wake word of five rising tones, for every test that needs a trained one."""

import numpy as np
import pytest

from jaxmeta.data.augmentation.artificial_sounds import artificial_rooms
from jaxmeta.data.augmentation.banks import coloured_noise
from jaxmeta.words.wake.augmentation import Surroundings
from jaxmeta.words.wake.training import HeadTraining, Negatives, embed_streams, train_wakeword
from tests.words.wake.sounds import embedding, other, word

TRAINING = HeadTraining(takes=64, projected=8, hidden=16, updates=120, positives=32, negatives=96, hardest=200)


@pytest.fixture(scope="session")
def held_out():
    """Embeddings of six minutes of sound without the word."""
    return embed_streams(embedding(), [other(100 + seed, 30) for seed in range(12)], lambda done: None)


@pytest.fixture(scope="session")
def tone(held_out):
    """A detector of a rising tone, at ten false alarms an hour, of which six minutes allow one."""
    training = embed_streams(embedding(), [other(seed, 20) for seed in range(9)], lambda done: None)
    around = Surroundings(coloured_noise(4, 3.0), artificial_rooms(4, 0.2), [other(0, 5)])
    recordings = [word(seed) for seed in range(5)]
    return train_wakeword(
        "tone", recordings, embedding(), Negatives(training, held_out), around, false_alarms=10.01, training=TRAINING
    )


@pytest.fixture(scope="session")
def recording():
    """Twelve seconds of other sound with the word in it, which ends after 4.5 and 9 s."""
    sound = np.concatenate([other(200, 12)])
    for seed, end in ((50, 4.5), (51, 9.0)):
        said, stop = word(seed), round(end * 16_000)
        sound[stop - len(said) : stop] = said + 0.1 * sound[stop - len(said) : stop]
    return sound
