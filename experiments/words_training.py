"""Training in the spoken-words experiment: the meta-learner and the classifier that it is compared with."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from jaxmeta import Episode, MetaLearner, Ragged
from jaxmeta.data.augment import augment_episode, chain, frequency_warp, sometimes, spec_augment
from jaxmeta.data.spectral import equalise, mix_noise, reverberate_spectrum, time_warp
from jaxmeta.training import TrainState, init_state, make_update
from jaxmeta.training.loop import train_loop


def train(
    learner: MetaLearner,
    sampler: Callable[[int], Episode],
    updates: int,
    rate: float,
    noise: np.ndarray,
    seed: int,
    directory: Path,
    config: Mapping[str, Any],
) -> TrainState:
    """Train on augmented episodes with Adam and a cosine schedule, or load what was trained before.

    Args:
      learner: what is trained.
      sampler: index -> batch of tasks.
      updates: in all.
      rate: peak learning rate.
      noise: log-mels of background noise [M, L, F] for augmentation.
      seed: of the initial weights and the augmentation.
      directory: of the checkpoints and the log.
      config: what determines the result; a run with another one is not resumed.
    """
    print(f"training {directory}: {updates} updates", file=sys.stderr)
    optimizer = make_optimizer(updates, rate)
    microbatch = 1 if jax.default_backend() == "cpu" else None
    update = make_update(augmented(learner, augment_episode(augmentation(noise))), optimizer, microbatch=microbatch)
    initial = initial_state(learner, updates, rate, noise.shape[-1], seed)
    return train_loop(update, initial, sampler, updates, directory, config=config)


def initial_state(learner: MetaLearner, updates: int, rate: float, features: int, seed: int) -> TrainState:
    """The state before training, and the form of a checkpoint."""
    inputs = Ragged(np.zeros((1, 8, features), np.float32), np.full(1, 8, np.int32))
    return init_state(learner, make_optimizer(updates, rate), jax.random.key(seed), inputs)


def make_optimizer(updates: int, rate: float) -> optax.GradientTransformation:
    """AdamW with clipped gradients; the rate rises for 50 updates and then falls along a cosine."""
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, min(50, updates // 4), max(updates, 1), rate / 50)
    return optax.chain(optax.clip_by_global_norm(5.0), optax.adamw(schedule, b2=0.99, weight_decay=1e-4))


def augmentation(noise: np.ndarray) -> Callable:
    """What a clip of log-mels goes through in training: other voices, paces, microphones, rooms and backgrounds.

    Args:
      noise: log-mels of background noise [M, L, F].
    """
    return chain(
        time_warp(ends=0.08, bend=0.1),
        frequency_warp(0.9, 1.12, shift=1.5),
        equalise(0.9),
        sometimes(reverberate_spectrum(share=0.5, decay=4.0), 0.35),
        sometimes(mix_noise(noise, low=0.0, high=30.0), 0.6),
        spec_augment(time_masks=1, time_width=16, frequency_masks=1, frequency_width=12, time_fraction=0.14),
    )


def augmented(learner: MetaLearner, augment: Callable) -> MetaLearner:
    """The learner, trained on augmented episodes: augment is (key, episode) -> episode."""

    def meta_loss(params, state, episode, key):
        augment_key, key = jax.random.split(key)
        return learner.meta_loss(params, state, augment(augment_key, episode), key)

    return learner._replace(meta_loss=meta_loss)
