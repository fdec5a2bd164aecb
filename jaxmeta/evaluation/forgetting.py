"""What adaptation to new speakers does to the recognition of the speakers of training."""

from typing import Any

import numpy as np

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.padding import gather, round_up
from jaxmeta.decoding.error_rates import Edits, character_edits, error_rate
from jaxmeta.evaluation.adaptation import AdaptationProtocol, adapt_and_recognise
from jaxmeta.evaluation.choosing import ChosenMethod
from jaxmeta.metrics import Interval, mean_interval
from jaxmeta.progress import progress_bar
from jaxmeta.types import Batch, Episode


def forgetting(
    method: ChosenMethod, protocol: AdaptationProtocol, source: Corpus, *, seed: int, shots: int = 10, count: int = 40
) -> dict[str, Any]:
    """Character error rate on training speakers before adaptation, and its change after adapting to a new speaker.

    Args:
      method: that adapts.
      protocol: with the new speakers.
      source: utterances of the training speakers.
      seed: of the draw of training speakers.
      shots: utterances of a new speaker that are adapted to.
      count: training speakers, with one utterance each.
    Returns:
      `source`, the error rate before, in percent, and `backward`, the mean change over the speakers adapted to, in
      points, with its 95 % interval over those; above 0 is forgetting.
    Source: backward transfer of Lopez-Paz and Ranzato 2017 (arXiv 1706.08840), eq. 3. Differs: errors for accuracies.
    """
    rows = _utterance_of_each(source, seed, count)
    references = source.columns["transcription"][rows].tolist()
    speech = gather(source, rows, int(round_up(source.length[rows].max())))
    weight: Any = np.ones(len(rows), np.float32)
    query = Batch(speech, None, weight)
    run, speakers = adapt_and_recognise(method.build, protocol.decode), len(protocol.episodes.groups)

    def edits(index: int, steps: int) -> Edits:
        episode = Episode(protocol.episode(index, shots).support, query)
        labels = run(method.params, method.rate, steps, episode)
        return character_edits(references, protocol.vocabulary.decode_rows(labels))

    before, after = edits(0, 0), []
    with progress_bar(f"{method.name}, forgetting", speakers) as advance:
        for index in range(speakers):
            after.append(edits(index, method.steps))
            advance(1)
    mean, half = mean_interval(np.array([error_rate(adapted) - error_rate(before) for adapted in after]))
    return {"source": error_rate(before)} | Interval(mean, mean - half, mean + half).columns("backward")


def _utterance_of_each(corpus: Corpus, seed: int, count: int) -> np.ndarray:
    """The first row of each of some speakers."""
    speakers = np.random.default_rng(seed).permutation(np.unique(corpus.columns["speaker"]))[:count]
    return np.array([int(np.flatnonzero(corpus.columns["speaker"] == speaker)[0]) for speaker in speakers])
