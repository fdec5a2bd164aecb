"""Protocols of shifts on a frozen encoder: new languages, channels, words and speakers, each with a control."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxmeta.data.corpus import Corpus, concatenate
from jaxmeta.data.sampling.by_language import language_episodes
from jaxmeta.data.sampling.padding import round_up
from jaxmeta.data.sampling.support_query_splits import AdaptationEpisodes, AdaptationGroup, adaptation_episodes
from jaxmeta.data.sampling.transcribed import encode_column
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.error_rates import Edits, character_edits, word_edits
from jaxmeta.evaluation.adaptation import AdaptationProtocol, supports_of_others
from jaxmeta.evaluation.shifts.encoded import crossed, encoded
from jaxmeta.evaluation.shifts.gains import ShiftProtocol

Encode = Callable[[Corpus], Corpus]
"""The same rows, with what a frozen encoder gives."""


def languages(
    corpus: Corpus, vocabulary: Vocabulary, names: Sequence[str], split: str, encode: Encode, folder: Path, *,
    shots: Sequence[int], draws: int, query: int, longest: int, seed: int,
) -> list[ShiftProtocol]:  # fmt: skip
    """A protocol for each language, in errors of words; the control adapts to the next language, or to itself alone.

    Args:
      corpus, vocabulary, split, draws, query, seed: as in `language_episodes`.
      names: of the languages.
      encode: what is adapted and recognised.
      folder: for what is recognised.
      shots: sizes of support sets.
      longest: frames above which an utterance is left out.
    """
    drawn = [
        encoded(
            language_episodes(
                corpus, vocabulary, [name], split, supports=shots, draws=draws, query=query, max_frames=longest,
                seed=seed,
            ),
            encode,
        )
        for name in names
    ]  # fmt: skip
    return [
        _protocol(name, own, crossed(own, other), vocabulary, folder / name, shots, word_edits)
        for name, own, other in zip(names, drawn, [*drawn[1:], drawn[0]], strict=True)
    ]


def channels(
    corpus: Corpus, vocabulary: Vocabulary, through: Mapping[str, Callable[[Corpus], Corpus]], encode: Encode,
    folder: Path, *, shots: Sequence[int], query: int, seed: int,
) -> list[ShiftProtocol]:  # fmt: skip
    """A protocol for each channel, of the same utterances; the control adapts to a speaker's clean utterances.

    Args:
      corpus: of speakers.
      vocabulary: of the transcripts.
      through: name of a channel -> what makes the same rows of a corpus sound so.
      encode, folder, shots: as in `languages`.
      query: utterances of a speaker to recognise.
      seed: of the draw of utterances.
    """

    def episodes(sounding: Corpus) -> AdaptationEpisodes:
        return adaptation_episodes(encode(sounding), vocabulary, supports=shots, query=query, seed=seed)

    clean = episodes(corpus)
    drawn = {name: episodes(change(corpus)) for name, change in through.items()}
    return [
        _protocol(name, own, crossed(own, clean), vocabulary, folder / name, shots, character_edits)
        for name, own in drawn.items()
    ]


def speakers(
    corpus: Corpus, vocabulary: Vocabulary, encode: Encode, folder: Path, *, shots: Sequence[int], query: int, seed: int
) -> ShiftProtocol:
    """Speakers as they are; the control adapts to another one. Arguments as in `channels`."""
    own = adaptation_episodes(encode(corpus), vocabulary, supports=shots, query=query, seed=seed)
    return _protocol("speaker", own, supports_of_others(own), vocabulary, folder / "speaker", shots, character_edits)


def taught_words(
    teaching: Corpus, tested: Corpus, vocabulary: Vocabulary, words: Sequence[str], encode: Encode, folder: Path, *,
    shots: Sequence[int], query: int, seed: int,
) -> list[ShiftProtocol]:  # fmt: skip
    """Words that are taught by utterances with them: how many are missed elsewhere, and errors in other utterances.

    Args:
      teaching: utterances to adapt to.
      tested: utterances to recognise, other ones.
      vocabulary: of characters.
      words: each a group of its own; those that too few utterances have are left out.
      encode, folder, shots: as in `languages`.
      query: most utterances with a word to recognise, and as many without any of the words.
      seed: of the draws.
    Returns:
      "taught words", whose error rate is the share of them that is missed, with intervals over words; and "other
      utterances", in errors of characters. The control is taught another word.
    """
    corpus, start = concatenate([teaching, tested]), len(teaching)
    said = [set(text.split()) for text in corpus.columns["transcription"].tolist()]
    rng, rows = np.random.default_rng(seed), np.arange(len(corpus))
    free = rng.permutation([row for row in rows[start:] if not said[row] & {*words}])[:query]
    groups = {}
    for word in words:
        having = np.array([word in each and len(each & {*words}) == 1 for each in said])
        support, queries = (rng.permutation(rows[part][having[part]]) for part in (slice(start), slice(start, None)))
        if len(support) >= max(shots) and len(queries):
            groups[word] = support[: max(shots)], queries[:query]
    labels, padded = encode_column(corpus, vocabulary), int(round_up(corpus.length.max()))

    def protocol(name: str, wanted: Callable[[str], np.ndarray], count: Callable) -> ShiftProtocol:
        chosen = tuple(AdaptationGroup(word, support, wanted(word)) for word, (support, _) in groups.items())
        own = encoded(AdaptationEpisodes(corpus, labels, tuple(shots), chosen, padded, ()), encode)
        return _protocol(name, own, supports_of_others(own), vocabulary, folder / name, shots, count)

    missed = protocol(
        "taught words", lambda word: groups[word][1], lambda *texts: missed_words(texts[0], texts[1], words)
    )
    for each in (missed.own, missed.others):
        each.speakers = each.groups
    return [missed, protocol("other utterances", lambda word: free, character_edits)]


def missed_words(references: Sequence[str], hypotheses: Sequence[str], words: Sequence[str]) -> Edits:
    """One reference word in each row, the one of `words` that is said; a deletion where it is not recognised.

    >>> missed_words(["the old house"], ["the hose"], ["house"]).deletions.tolist()
    [1]
    """
    taught = [next(word for word in text.split() if word in words) for text in references]
    missed = np.array([word not in text.split() for word, text in zip(taught, hypotheses, strict=True)], int)
    none = np.zeros_like(missed)
    return Edits(none, missed, none, none + 1)


def _protocol(name, own, others, vocabulary, folder, shots, count) -> ShiftProtocol:
    place = folder.with_name(folder.name.replace(" ", "_"))
    # Two sizes, so that adaptation to few utterances costs less.
    sizes = sorted(shots)[len(shots) // 2 - 1 : len(shots) // 2]
    mine, theirs = (
        AdaptationProtocol(episodes, vocabulary, place / kind, sizes=sizes)
        for kind, episodes in (("own", own), ("others", others))
    )
    return ShiftProtocol(name, mine, theirs, count)
