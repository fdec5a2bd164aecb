"""Transcripts as tokens, and batches of utterances with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.pretrained.tokenizer import Tokenizer
from jaxmeta.data.sampling.padding import round_up
from jaxmeta.data.sampling.transcribed import batch_of, encode_column, short_enough
from jaxmeta.data.sampling.utterances import BatchSampler, batch_sampler
from jaxmeta.padding import pad_rows
from jaxmeta.recognition.pretrained.whisper import Case, WhisperRecogniser, spelled
from jaxmeta.types import Episode, Ragged


def case_of(texts: Sequence[str]) -> Case:
    """The case that all of some texts are in.

    >>> case_of(["WE CALL IT BEAR", "ONE TWO"]), case_of(["We call it bear"])
    ('upper', 'as it is')
    """
    if all(text.isupper() for text in texts):
        return "upper"
    return "lower" if all(text.islower() for text in texts) else "as it is"


@dataclass(frozen=True)
class Tokens:
    """Turns transcripts into the tokens that a Whisper writes, in lower case unless their case says something."""

    tokenizer: Tokenizer
    case: Case
    longest: int
    """Most tokens of a transcript."""

    def encode_rows(self, transcripts: Sequence[str] | np.ndarray, where: Callable[[int], str]) -> Ragged:
        """The tokens of R texts: values [R, L] int32, lengths [R] int32.

        Raises:
          ValueError: a text without tokens, or with too many; names it by `where`.
        """
        rows = []
        for row, text in enumerate(transcripts):
            said = spelled(str(text), self.case)
            rows.append(self.tokenizer.encode(f" {said}" if said else ""))
            if not 0 < len(rows[-1]) <= self.longest:
                raise ValueError(
                    f"{where(row)}: the transcript has {len(rows[-1])} tokens, and this Whisper writes 1 to "
                    f"{self.longest} at once; cut the recording in two, or leave it out."
                )
        return pad_rows(rows)


def learnable(corpus: Corpus, recogniser: WhisperRecogniser, longest: float) -> Corpus:
    """The recordings of a corpus of log-mels that a decoder can learn from: those of at most so many seconds.

    Raises:
      ValueError: there is none; a transcript without tokens, or with too many, names the recording.
    """
    short = short_enough(corpus, int(longest * recogniser.features.frame_rate))
    case = case_of(short.columns["transcription"].tolist())
    encode_column(short, Tokens(recogniser.tokenizer, case, recogniser.longest))
    return short


@dataclass(frozen=True)
class TokenBatches:
    """`sampler(index) -> Episode` as `BatchSampler`, with labels that are padded to the longest of a bucket."""

    sampler: BatchSampler
    widths: dict[int, int]
    """Padded frames of a bucket -> padded tokens."""

    def __call__(self, index: int) -> Episode:
        """Batch `index` as an episode of one task, whose support and query are both that batch."""
        rows, padded = self.sampler.rows(index)
        values, lengths = self.sampler.labels
        labels = Ragged(values[:, : self.widths[padded]], lengths)
        batch = batch_of(self.sampler.corpus, labels, rows[None], padded)
        return Episode(batch, batch)


def token_batches(
    corpus: Corpus, tokens: Tokens, *, seed: int, frames_per_batch: int, max_frames: int, buckets: int = 4
) -> TokenBatches:
    """Batches of utterances of similar length, in an order that is shuffled anew for every epoch.

    Args:
      corpus: of features or activations, with the column `transcription`.
      tokens: of the transcripts.
      seed, frames_per_batch, max_frames, buckets: as in `data.sampling.utterances.batch_sampler`.
    Raises: as that.
    """
    sampler = batch_sampler(
        corpus, tokens, seed=seed, frames_per_batch=frames_per_batch, max_frames=max_frames, buckets=buckets
    )
    lengths = sampler.labels.lengths
    widths = {
        padded: min(int(round_up(lengths[rows].max())), sampler.labels.values.shape[1])
        for padded, rows in zip(sampler.lengths, sampler.members, strict=True)
    }
    return TokenBatches(sampler, widths)
