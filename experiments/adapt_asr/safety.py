"""What adaptation may break: other speakers' speech (forgetting), and the speaker's own where it was not worth it."""

import numpy as np

from experiments.adapt_asr.protocol import Protocol, adapt_and_recognise
from experiments.adapt_asr.report import Trained, hear
from jaxmeta import Batch, Episode
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.padding import gather, round_up
from jaxmeta.decoding.error_rate_intervals import bootstrap_rate
from jaxmeta.decoding.error_rates import Edits, character_edits, error_rate
from jaxmeta.progress import progress_bar
from jaxmeta.recognition.safe_adaptation import cross_validate

SHOTS = 10
"""Utterances adapted to, all of them cross-validated by the gate."""
SOURCE = 40
"""Utterances of training speakers, each of another one, on which forgetting is measured."""


def gate(method: Trained, protocol: Protocol) -> dict:
    """Adapt only where the cross-validated gain on the support set is certain; else keep the unadapted recogniser."""
    learner, before, after = (
        method.build(method.rate, method.steps),
        hear(method, protocol, 0),
        hear(method, protocol, SHOTS),
    )
    text, queries = protocol.episodes.corpus.columns["transcription"], len(after.said) // len(protocol.episodes.groups)
    heard, adopted = [], 0
    with progress_bar(f"{method.name}, gate", len(protocol.episodes.groups)) as advance:
        for index, group in enumerate(protocol.episodes.groups):
            support = protocol.episode(index, SHOTS).support
            said = [str(text[row]) for row in group.support[:SHOTS]]
            verdict = cross_validate(learner, method.params, support, said, protocol.vocabulary)
            chosen = after if verdict.adopted else before
            heard += chosen.heard[index * queries : (index + 1) * queries]
            adopted += verdict.adopted
            advance(1)
    rate = bootstrap_rate(character_edits(after.said, heard), after.speakers)
    return {
        "method": method.name, "shots": SHOTS, "adopted": adopted, "speakers": len(protocol.episodes.groups),
        "gated": rate.value, "gated_low": rate.low, "gated_high": rate.high,
    }  # fmt: skip


def forgetting(method: Trained, protocol: Protocol, source: Corpus, seed: int) -> dict:
    """Character error rate on training speakers before adaptation, and its change after adapting to a new speaker.

    Backward transfer as in Lopez-Paz and Ranzato 2017 (arXiv 1706.08840), eq. 3, with errors for accuracies: the mean
    change over the speakers adapted to; above 0 is forgetting. The interval is over those speakers.
    """
    rows = _one_each(source, seed)
    said = source.columns["transcription"][rows].tolist()
    speech = gather(source, rows, int(round_up(source.length[rows].max())))

    query = Batch(speech, None, np.ones(len(rows), np.float32))
    run, count = adapt_and_recognise(method.build), len(protocol.episodes.groups)

    def edits(index: int, steps: int) -> Edits:
        episode = Episode(protocol.episode(index, SHOTS).support, query)
        return character_edits(said, protocol.vocabulary.decode_rows(run(method.params, method.rate, steps, episode)))

    before, after = edits(0, 0), []
    with progress_bar(f"{method.name}, forgetting", count) as advance:
        for index in range(count):
            after.append(edits(index, method.steps))
            advance(1)
    changes = np.array([error_rate(one) - error_rate(before) for one in after])
    half = 1.96 * changes.std(ddof=1) / len(changes) ** 0.5
    return {
        "source": error_rate(before), "backward": float(changes.mean()),
        "backward_low": float(changes.mean() - half), "backward_high": float(changes.mean() + half),
    }  # fmt: skip


def _one_each(corpus: Corpus, seed: int) -> np.ndarray:
    """A row of each of some speakers."""
    speakers = np.random.default_rng(seed).permutation(np.unique(corpus.columns["speaker"]))[:SOURCE]
    return np.array([int(np.flatnonzero(corpus.columns["speaker"] == speaker)[0]) for speaker in speakers])
