"""The test protocol of adaptation: for each speaker one fixed query set, and support sets of growing size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxmeta.data.sampling.groups import Columns
from jaxmeta.data.sampling.padding import check_ranges, round_up
from jaxmeta.data.sampling.transcribed import Speech, batch_of, encode_column, speech_by, too_few
from jaxmeta.types import Episode, Ragged

if TYPE_CHECKING:
    from jaxmeta.data.corpus import Corpus
    from jaxmeta.data.vocabulary import Vocabulary


class AdaptationGroup(NamedTuple):
    """What one speaker (value of `within`) is adapted to and tested on, as rows of the corpus."""

    name: str
    support: np.ndarray
    """[largest support] in order: the first k of them are the support set of size k."""
    query: np.ndarray
    """[query], the same for every size; shares no recording with support."""


@dataclass(frozen=True)
class AdaptationEpisodes:
    """`episodes(k) -> Episode` with the support sets of size k; made by `adaptation_episodes`."""

    corpus: Corpus
    labels: Ragged
    """Of each row of the corpus: values [R, L], lengths [R]."""
    supports: tuple[int, ...]
    groups: tuple[AdaptationGroup, ...]
    """Ordered by name."""
    padded: int
    """The padded length T of every support and query set."""
    left_out: tuple[str, ...]
    """Values of `within` with too few recordings."""

    def __call__(self, shots: int, groups: Sequence[int] | None = None) -> Episode:
        """Every group adapted to its first `shots` utterances, in shapes that depend on neither group nor shots.

        One compiled program therefore serves them all. Support rows beyond `shots` hold no recording: frames of 0 for
        the whole padded length, no labels, and weight 0. (Empty rows could turn a gradient into NaN.)
        Args:
          shots: 0 to the largest of `supports`.
          groups: indices into `groups`, G of them; None: all.
        Returns:
          Episode: inputs are Ragged with values [G, N, T, F] float32 and lengths [G, N] int32, where N is the largest
            of `supports`, or query; targets are Ragged with values [G, N, L] and lengths [G, N], int32; weight [G, N]
            float32.
        Raises:
          ValueError: shots out of range.
        """
        if not 0 <= shots <= max(self.supports):
            raise ValueError(f"shots must lie in [0, {max(self.supports)}], the largest of supports; got {shots}.")
        chosen = self.groups if groups is None else [self.groups[index] for index in groups]
        query = batch_of(self.corpus, self.labels, np.stack([group.query for group in chosen]), self.padded)
        support = batch_of(self.corpus, self.labels, np.stack([group.support for group in chosen]), self.padded)
        for ragged, beyond in ((support.inputs, self.padded), (support.targets, 0)):
            ragged.values[:, shots:] = 0
            ragged.lengths[:, shots:] = beyond
        weight: Any = support.weight
        weight[:, shots:] = 0
        return Episode(support, query)


def adaptation_episodes(
    corpus: Corpus,
    vocabulary: Vocabulary,
    *,
    supports: Sequence[int] = (0, 1, 2, 5, 10),
    query: int = 10,
    seed: int,
    within: Columns = "speaker",
    column: str = "transcription",
) -> AdaptationEpisodes:
    """Support sets of several sizes, each within the next larger one, and one query set, for each speaker.

    A group's recordings depend on the seed, its name and its own recordings alone; of a recording with copies the first
    one is taken. The query set does not depend on `supports`.

    Args:
      corpus: select the rows of a split, and those that CTC can align (`drop_infeasible`), first.
      vocabulary: of the texts.
      supports: sizes of support sets, 0 or more, one of them above 0.
      query: utterances to be recognised, 1 or more.
      seed: 0 or more.
      within: column or columns whose values are the groups. One with fewer recordings than max(supports) + query is
        left out, and named in `left_out`.
      column: the column of the texts; "translation" for translation.
    Raises:
      ValueError: no group has the recordings, with their counts; a character outside the vocabulary or an empty text,
        with the recording; a missing column; an argument out of its range.
    """
    check_ranges(query=(query, 1), seed=(seed, 0))
    if min(supports, default=0) < 0 or max(supports, default=0) < 1:
        raise ValueError(f"supports must be sizes of 0 or more, one of them above 0, got {tuple(supports)}.")
    wanted = max(supports) + query
    speakers = speech_by(corpus, within)
    enough = [group for group in speakers if group.recordings >= wanted]
    if not enough:
        raise ValueError(too_few(speakers, f"max(supports) + query = {max(supports)} + {query}", wanted, within))
    groups = tuple(_group(group, max(supports), query, seed) for group in enough)
    frames = corpus.length[np.concatenate([np.concatenate([group.support, group.query]) for group in groups])]
    left_out = tuple(group.name for group in speakers if group.recordings < wanted)
    labels = encode_column(corpus, vocabulary, column)
    return AdaptationEpisodes(corpus, labels, tuple(supports), groups, int(round_up(frames.max())), left_out)


def _group(speech: Speech, support: int, query: int, seed: int) -> AdaptationGroup:
    digest = hashlib.sha256(speech.name.encode()).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
    rows = speech.rows[speech.first[rng.permutation(speech.recordings)]]
    return AdaptationGroup(speech.name, rows[query : query + support], rows[:query])
