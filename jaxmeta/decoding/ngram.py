"""N-gram language models of words or characters: interpolated modified Kneser-Ney, written as ARPA files."""

import itertools
import math
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxmeta.files.durable import write_text

Gram = tuple[str, ...]

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
SPACE = "<space>"
"""What an ARPA file, whose fields spaces part, holds for the character " "."""
_FALLBACK = (0.5, 1.0, 1.5)
"""Discounts where a corpus is too small, or too regular, to estimate them; those of KenLM's --discount_fallback."""


class NGram(NamedTuple):
    """A back-off model: a gram that is not listed has the probability of its end times the back-off of its start."""

    order: int
    """Words of the longest grams, 2 or more."""
    probabilities: dict[Gram, float]
    """Words -> probability of the last one after the others, in (0, 1]."""
    backoffs: dict[Gram, float]
    """Words -> factor of what follows them unseen, in (0, 1]; 1 where not listed."""


def train_ngram(sentences: Sequence[Sequence[str]], order: int) -> NGram:
    """Estimate a model from sentences; each follows one <s> and ends with </s>, which is predicted as a word is.

    The vocabulary is every word seen, </s>, and <unk>, which stands for all others and gets its share of the uniform
    distribution that the unigrams are interpolated with. Each order has three discounts. Where the counts of counts
    leave one of them undefined or out of range, as in small corpora and for characters, that order takes 0.5, 1 and
    1.5.

    Args:
      sentences: each a sequence of words; a text is the sequence of its characters.
      order: words of the longest grams, 2 or more (as usually built, KenLM reads orders 2 to 6).
    Raises:
      ValueError: no sentence as long as the order needs, order below 2, or a word that an ARPA file cannot hold.
    Source: Chen and Goodman 1998, "An empirical study of smoothing techniques for language modeling", section 3;
      <s>, </s> and <unk> as in Heafield et al. 2013, "Scalable modified Kneser-Ney language model estimation".

    >>> ngram = train_ngram([["light", "on"], ["light", "off"]], order=2)
    >>> probability(ngram, ["light"], "on") == probability(ngram, ["light"], "off")
    True
    """
    if order < 2:
        raise ValueError(f"order={order} is out of range; give 2 (pairs of words) or more.")
    counts = _adjusted_counts(sentences, order)
    probabilities: dict[Gram, float] = {(): 1 / len(counts[0])}
    backoffs: dict[Gram, float] = {}
    for grams in counts:
        discounts = _discounts(grams)
        totals: defaultdict[Gram, float] = defaultdict(float)
        freed: defaultdict[Gram, float] = defaultdict(float)
        for gram, count in grams.items():
            totals[gram[:-1]] += count
            freed[gram[:-1]] += discounts[min(count, 3)]
        weights = {context: freed[context] / totals[context] for context in totals}
        for gram, count in grams.items():
            context, shorter = gram[:-1], gram[1:]
            own = (count - discounts[min(count, 3)]) / totals[context]
            probabilities[gram] = own + weights[context] * probabilities[shorter]
        backoffs |= weights
    del probabilities[()], backoffs[()]
    return NGram(order, probabilities, backoffs)


def probability(ngram: NGram, context: Sequence[str], word: str) -> float:
    """Probability of a word, or </s>, after others; <s> as the first of these stands for the start of a sentence.

    >>> ngram = train_ngram([["light", "on"], ["light", "on"]], order=2)
    >>> probability(ngram, ["light"], "on") > probability(ngram, ["on"], "light")
    True
    """
    if (word,) not in ngram.probabilities:
        word = UNKNOWN
    history = tuple(context)[max(0, len(context) - ngram.order + 1) :]
    factor = 1.0
    while (*history, word) not in ngram.probabilities:
        factor *= ngram.backoffs.get(history, 1.0)
        history = history[1:]
    return factor * ngram.probabilities[(*history, word)]


def log_probability(ngram: NGram, sentence: Sequence[str]) -> float:
    """Log-probability of a whole sentence and its end, in nats.

    >>> ngram = train_ngram([["light", "on"], ["light", "off"]], order=2)
    >>> log_probability(ngram, ["light", "on"]) > log_probability(ngram, ["on", "light"])
    True
    """
    padded = (START, *sentence, END)
    return sum(math.log(probability(ngram, padded[:end], padded[end])) for end in range(1, len(padded)))


def write_arpa(ngram: NGram, path: str | os.PathLike[str]) -> None:
    """Write the model as an ARPA file, in one step: a reader sees the old file or the new one, never a part.

    A " " becomes <space>. The folder must exist.
    """
    levels: list[list[str]] = [[f"-99\t{START}\t{_log10(ngram.backoffs.get((START,), 1.0))}"]]
    levels += [[] for _ in range(ngram.order - 1)]
    for gram, value in ngram.probabilities.items():
        fields = [_log10(value), " ".join(_token(word) for word in gram)]
        if gram in ngram.backoffs:
            fields.append(_log10(ngram.backoffs[gram]))
        levels[len(gram) - 1].append("\t".join(fields))
    lines = ["\\data\\", *(f"ngram {n}={len(grams)}" for n, grams in enumerate(levels, start=1)), ""]
    for n, grams in enumerate(levels, start=1):
        lines += [f"\\{n}-grams:", *grams, ""]
    write_text(Path(path), "\n".join([*lines, "\\end\\", ""]))


def arpa_words(path: str | os.PathLike[str]) -> set[str]:
    """The words that an ARPA file lists as unigrams, with <s>, </s> and <unk>, and " " for <space>.

    Raises:
      ValueError: the file is missing, or no ARPA file.
    """
    try:
        lines = iter(Path(path).read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"arpa={os.fspath(path)!r} cannot be read ({error}); name a text file in ARPA format."
        ) from error
    if "\\1-grams:" not in map(str.strip, lines):
        raise ValueError(
            f"arpa={os.fspath(path)!r} has no unigrams; name a text file in ARPA format, not a binary one."
        )
    listed = (line.replace("\t", " ").split(" ") for line in itertools.takewhile(lambda line: line[:1] != "\\", lines))
    words = {fields[1] for fields in listed if len(fields) > 1}
    return {" " if word == SPACE else word for word in words}


def _token(word: str) -> str:
    return SPACE if word == " " else word


def _log10(value: float) -> str:
    return f"{math.log10(value):.9g}"


def _adjusted_counts(sentences: Sequence[Sequence[str]], order: int) -> list[Mapping[Gram, int]]:
    """For each order how often each gram occurs (the longest, and those after <s>), or after how many words."""
    raw: list[Counter[Gram]] = [Counter() for _ in range(order)]
    for row, sentence in enumerate(sentences):
        _check_sentence(row, sentence)
        padded = (START, *sentence, END)
        for n, grams in enumerate(raw, start=1):
            grams.update(padded[start : start + n] for start in range(len(padded) - n + 1))
    if not raw[-1]:
        raise ValueError(f"order={order}: no sentence has {order - 2} words or more; give more text, or a lower order.")
    adjusted: list[Mapping[Gram, int]] = [raw[-1]]
    for shorter, longer in zip(raw[-2::-1], raw[:0:-1], strict=True):
        grams = Counter(gram[1:] for gram in longer)
        grams.update({gram: count for gram, count in shorter.items() if gram[0] == START and len(gram) > 1})
        adjusted.insert(0, grams)
    adjusted[0] = {**adjusted[0], (UNKNOWN,): 0}
    return adjusted


def _check_sentence(row: int, sentence: Sequence[str]) -> None:
    for word in sentence:
        if word in (START, END, UNKNOWN, SPACE):
            raise ValueError(f"sentences: row {row} holds {word!r}, which the model itself uses; write it otherwise.")
        if word != " " and word.split() != [word]:
            raise ValueError(
                f"sentences: row {row} holds the word {word!r}; split at white space, and drop what is empty."
            )


def _discounts(grams: Mapping[Gram, int]) -> tuple[float, ...]:
    """What is taken from a count of 0, 1, 2, and 3 or more."""
    of = Counter(grams.values())
    if not all(of[count] for count in (1, 2, 3)):
        return (0.0, *_FALLBACK)
    y = of[1] / (of[1] + 2 * of[2])
    discounts = tuple(count - (count + 1) * y * of[count + 1] / of[count] for count in (1, 2, 3))
    in_range = all(0 < discount < count for count, discount in enumerate(discounts, start=1))
    return (0.0, *(discounts if in_range else _FALLBACK))
