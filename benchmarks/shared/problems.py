"""What is measured: few-shot words and few-shot transcription, on noise in the shape of log-mels."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from jaxmeta import Batch, Episode, MetaLearner, Model, Ragged
from jaxmeta.models.linen import from_linen
from jaxmeta.training import init_state, make_update

MELS = 40
CLASSES = 32
"""Of the transcription problem: the blank and 31 labels."""


def word_episodes(
    tasks: int, *, ways: int = 5, shots: int = 1, queries: int = 5, frames: int = 80, seed: int = 0
) -> Episode:
    """Tasks of noise in the shape of spoken words; leaves [tasks, ways * shots or queries, ...].

    Args:
      tasks: in the batch.
      ways: classes of a task.
      shots: support clips of each class.
      queries: query clips of each class.
      frames: padded length; clips have from half of it to all of it.
      seed: of the noise.
    """
    rng = np.random.default_rng(seed)

    def batch(each: int) -> Batch:
        clips = (tasks, ways * each)
        values = jnp.asarray(rng.normal(size=(*clips, frames, MELS)), jnp.float32)
        lengths = jnp.asarray(rng.integers(frames // 2, frames + 1, clips), jnp.int32)
        targets = jnp.tile(jnp.repeat(jnp.arange(ways), each), (tasks, 1))
        return Batch(Ragged(values, lengths), targets, jnp.ones(clips))

    return Episode(batch(shots), batch(queries))


def transcription_episodes(
    tasks: int, *, support: int = 4, query: int = 4, frames: int = 200, labels: int = 20, seed: int = 0
) -> Episode:
    """Tasks of noise in the shape of utterances with their transcriptions; leaves [tasks, support or query, ...].

    Args:
      tasks: in the batch.
      support: utterances to adapt to.
      query: utterances to score.
      frames: of every utterance.
      labels: of every transcription, in [1, CLASSES).
      seed: of the noise.
    """
    rng = np.random.default_rng(seed)

    def batch(utterances: int) -> Batch:
        rows = (tasks, utterances)
        values = jnp.asarray(rng.normal(size=(*rows, frames, MELS)), jnp.float32)
        targets = jnp.asarray(rng.integers(1, CLASSES, (*rows, labels)), jnp.int32)
        inputs = Ragged(values, jnp.full(rows, frames, jnp.int32))
        return Batch(inputs, Ragged(targets, jnp.full(rows, labels, jnp.int32)), jnp.ones(rows))

    return Episode(batch(support), batch(query))


def transcriber(width: int = 128) -> Model:
    """A strided convolution, a dense layer, a bidirectional GRU and a dense layer, for CTC.

    Args:
      width: of the dense layer, and of the GRU in each direction.
    Returns:
      Model of Ragged log-mels [N, T, F] to Ragged logits [N, ceil(T / 2), CLASSES].
    """
    return from_linen(_Transcriber(width))


def compiled_update(learner: MetaLearner, episodes: Episode, **options: Any) -> Callable[[], None]:
    """A function that makes one update, from the state that the last one left, and returns when it is done.

    Args:
      learner: what is trained, by Adam.
      episodes: batch of tasks of every update.
      options: of `make_update`.
    """
    optimizer = optax.adam(1e-3)
    inputs = jax.tree.map(lambda leaf: leaf[0], episodes.support.inputs)
    train = init_state(learner, optimizer, jax.random.key(0), inputs)
    update = jax.jit(make_update(learner, optimizer, **options))

    def run() -> None:
        nonlocal train
        train, _ = jax.block_until_ready(update(train, episodes))

    run()
    run()  # Compiles again where the first update spread the state over several devices.
    return run


class _Transcriber(nn.Module):
    width: int

    @nn.compact
    def __call__(self, inputs: Ragged) -> Ragged:
        lengths = (inputs.lengths + 1) // 2
        hidden = nn.relu(nn.Conv(32, (3, 3), strides=(2, 2))(inputs.values[..., None]))
        hidden = nn.Dense(self.width)(hidden.reshape(*hidden.shape[:2], -1))
        ahead, back = nn.RNN(nn.GRUCell(self.width)), nn.RNN(nn.GRUCell(self.width))
        hidden = nn.Bidirectional(ahead, back)(hidden, seq_lengths=lengths)
        return Ragged(nn.Dense(CLASSES)(hidden), lengths)
