"""Ways to recognise whose time is measured: the best path of a network, and beam search through artificial outputs."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from benchmarks.shared.problems import CLASSES, transcription_episodes
from jaxmeta.decoding import flashlight_beam
from jaxmeta.decoding.beam import ctc_beam
from jaxmeta.decoding.greedy import greedy
from jaxmeta.decoding.ngram import train_ngram, write_arpa
from jaxmeta.models.acoustic import SUBSAMPLING, recogniser

UTTERANCES = 8
"""Recognised in one run."""
WORD_ORDER, CHARACTER_ORDER = 3, 6
ENGINES = ("flashlight", "numba")
SURE = 8.0
"""Nats by which the right class of a frame is above the others, before noise of deviation 1."""


def make_greedy(network: str, size: str, frames: int, seed: int) -> Callable[[], None]:
    """A function that recognises a batch of utterances, from log-mels to labels."""
    model = recogniser(CLASSES, network, size)
    episodes = transcription_episodes(1, query=UTTERANCES, frames=frames, labels=1, seed=seed)
    speech = jax.tree.map(lambda leaf: leaf[0], episodes.query.inputs)
    params, _ = jax.jit(model.init)(jax.random.key(seed), speech)
    recognise = jax.jit(lambda inputs: greedy(model.apply(params, {}, inputs, jax.random.key(0), False)[0]))

    def run() -> None:
        jax.block_until_ready(recognise(speech))

    run()
    return run


def make_searches(count: int, beam: int, seed: int) -> dict[str, tuple[Callable[[], None], int]]:
    """Beam searches through the outputs for some sentences, each with the frames of log-mels behind them.

    By each engine that is installed; each has run once, so that what is compiled has been.
    """
    # Imported here: they need librosa, and the best path does not.
    from jaxmeta.data.synthesis.sentences import sentences
    from jaxmeta.data.vocabulary import build_vocabulary

    texts = [sentence.text for sentence in sentences(count, seed)]
    vocabulary = build_vocabulary(texts)
    words = sorted({word for text in texts for word in text.split()})
    outputs = [
        outputs_for(vocabulary.encode(text), vocabulary.size, index) for index, text in enumerate(texts[:UTTERANCES])
    ]
    frames = SUBSAMPLING * sum(map(len, outputs))
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, order, rows, lexicon in (
            ("words", WORD_ORDER, [text.split() for text in texts], {word: word for word in words}),
            ("characters", CHARACTER_ORDER, texts, None),
        ):
            arpa = Path(folder, f"{name}.arpa")
            write_arpa(train_ngram(rows, order), arpa)
            for engine in ENGINES if flashlight_beam.installed() else ("numba",):
                search = ctc_beam(vocabulary.units, lexicon=lexicon, arpa=arpa, beam=beam, engine=engine)
                run = _searches(search, outputs)
                run()
                runs[f"beam of {beam}, {order}-gram of {name}, {engine}"] = run, frames
    return runs


def outputs_for(labels: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Artificial log-probabilities [T, classes] of a recogniser that hears these labels, one in two to four frames.

    Args:
      labels: [L] in [1, classes).
      classes: C, with the blank, 0.
      seed: of the alignment and the noise.
    """
    rng = np.random.default_rng(seed)
    path = np.concatenate([[label] + [0] * rng.integers(1, 4) for label in labels])
    logits = rng.normal(size=(len(path), classes))
    logits[np.arange(len(path)), path] += SURE
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _searches(search: Callable[..., list], outputs: list[np.ndarray]) -> Callable[[], None]:
    def run() -> None:
        for logs in outputs:
            search(logs, len(logs))

    return run
