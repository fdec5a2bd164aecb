"""Episodes of what a frozen encoder gives: only recordings that are in them go through it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from jaxmeta.data.corpus import Corpus, concatenate
from jaxmeta.data.sampling.padding import round_up
from jaxmeta.data.sampling.support_query_splits import AdaptationEpisodes
from jaxmeta.padding import pad_rows
from jaxmeta.types import Ragged


def encoded(episodes: AdaptationEpisodes, encode: Callable[[Corpus], Corpus]) -> AdaptationEpisodes:
    """The same groups with activations as features, for which no other recordings of the corpus are computed.

    Args:
      episodes: of features.
      encode: corpus -> the same rows, with what a frozen encoder gives.
    """
    used = np.unique(np.concatenate([np.r_[group.support, group.query] for group in episodes.groups]))
    mask = np.zeros(len(episodes.corpus), bool)
    mask[used] = True
    corpus = encode(episodes.corpus.select(mask))
    labels = Ragged(episodes.labels.values[used], episodes.labels.lengths[used])
    groups = tuple(
        group._replace(support=np.searchsorted(used, group.support), query=np.searchsorted(used, group.query))
        for group in episodes.groups
    )
    return replace(episodes, corpus=corpus, labels=labels, groups=groups, padded=int(round_up(corpus.length.max())))


def crossed(queries: AdaptationEpisodes, supports: AdaptationEpisodes) -> AdaptationEpisodes:
    """The queries of some groups, each with the support set of a group elsewhere: a control of what is adapted to.

    Args:
      queries: whose groups are recognised.
      supports: whose groups are adapted to, in turn, from the first one on again where they are fewer.
    """
    corpus, shift = concatenate([queries.corpus, supports.corpus]), len(queries.corpus)
    rows = [
        values[:length]
        for part in (queries.labels, supports.labels)
        for values, length in zip(np.asarray(part.values), np.asarray(part.lengths), strict=True)
    ]
    groups = tuple(
        group._replace(support=shift + supports.groups[index % len(supports.groups)].support)
        for index, group in enumerate(queries.groups)
    )
    return replace(
        queries, corpus=corpus, labels=pad_rows(rows), groups=groups, padded=max(queries.padded, supports.padded)
    )
