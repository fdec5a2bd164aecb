"""Training in noise: plainly on all speakers, and meta-training on speakers in conditions."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from experiments.adapt_asr.data import SpeechData
from experiments.adapt_asr.recipes import Recipe
from experiments.adapt_asr.training import network
from experiments.noise.recipes import SNRS, Plan
from jaxmeta import MetaLearner
from jaxmeta.data.augmentation.spectral import mix_noise
from jaxmeta.data.augmentation.transforms import augment_episode, sometimes
from jaxmeta.recognition.adaptation import LOSS
from jaxmeta.recognition.training import augmentation, speaker_tasks, train_on_all_speakers
from jaxmeta.training.checkpoint import restore
from jaxmeta.training.fit import Augment, fit, initial_state, make_optimizer, supervised
from jaxmeta.types import PyTree

SHARE, LOWEST, HIGHEST = 0.7, 0.0, 25.0
"""Of training utterances that get noise, and the range of its level in decibels."""


def train_in_noise(
    data: SpeechData, bank: np.ndarray, plan: Plan, seed: int, directory: Path, config: Mapping[str, Any],
    start: PyTree | None = None,
) -> PyTree:  # fmt: skip
    """Weights of a recogniser trained on all speakers at once, most of their utterances in noise.

    Args:
      data: speech.
      bank: log-mels of noise [M, L, F].
      plan: how long, in what batches.
      seed, directory, config: as in `training.fit.fit`.
      start: weights to go on from; None: random ones.
    """
    recipe = plan.recipe
    return train_on_all_speakers(
        network(recipe, data), data.train, data.val, data.vocabulary, directory, updates=recipe.updates,
        rate=recipe.rate, frames_per_batch=recipe.frames, max_frames=recipe.longest, seed=seed, config=config,
        evaluations=5, buckets=plan.buckets, augment=augmentation(sometimes(mix_noise(bank, LOWEST, HIGHEST), SHARE)),
        params=start,
    )  # fmt: skip


def plain_weights(workdir: Path, data: SpeechData, recipe: Recipe, seed: int) -> PyTree:
    """The plainly trained weights in a working directory of `adapt_asr`, of the same network on the same speech.

    Raises:
      ValueError: there are none, or they are of another network or other speech.
    """
    run = workdir / "plain" / "run.json"
    trained_on = json.loads(run.read_bytes())["data"] if run.exists() else data.fingerprints
    if not data.fingerprints.items() <= trained_on.items():
        raise ValueError(f"--plain {workdir} was trained on {trained_on}, not on {data.fingerprints}; use its --seed.")
    learner = supervised(network(recipe, data), LOSS)
    optimizer = make_optimizer(recipe.updates, recipe.rate)
    like = initial_state(learner, optimizer, data.train.frames.shape[1], seed)
    found = restore(workdir / "plain" / "checkpoints", like)
    if found is None:
        raise ValueError(f"--plain {workdir} holds no weights; run experiments.adapt_asr --workdir {workdir} first.")
    return found.params


def meta_train_in_noise(
    learner: MetaLearner, params: PyTree, data: SpeechData, bank: np.ndarray, plan: Plan, seed: int,
    directory: Path, config: Mapping[str, Any],
) -> PyTree:  # fmt: skip
    """Meta-train from plain weights; a task is a speaker in one noise at one level, or in none."""
    meta = plan.recipe.meta
    return fit(
        learner, speaker_tasks(data.train, data.vocabulary, meta, seed), meta.updates, meta.rate, directory,
        augment=one_condition(bank), features=data.train.frames.shape[1], seed=seed, config=config, params=params,
    ).params  # fmt: skip


def one_condition(bank: np.ndarray) -> Augment:
    """(key, episode) -> episode, all of whose utterances are heard in the same noise at the same level, or in none.

    Args:
      bank: log-mels of noise [M, L, F].
    """
    bank = jnp.asarray(bank)

    def augment(key, episode):
        keys = jax.random.split(key, 3)
        noise = bank[jax.random.randint(keys[0], (), 0, len(bank))][None]
        level = jax.random.randint(keys[1], (), 0, 1 + len(SNRS))

        def in_noise(key, inputs):
            levels: list[Callable] = [lambda key, inputs: inputs, *(mix_noise(noise, snr, snr) for snr in SNRS)]
            return jax.lax.switch(level, levels, key, inputs)

        return augment_episode(augmentation(in_noise))(keys[2], episode)

    return augment
