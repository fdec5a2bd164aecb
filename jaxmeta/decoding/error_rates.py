"""Word and character error rates: the edits between what was said and what was recognised, a row an utterance."""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import jiwer
import numpy as np


class Edits(NamedTuple):
    """The fewest edits that turn each row's hypothesis into its reference, [R] int64 each."""

    substitutions: np.ndarray
    deletions: np.ndarray
    """Of the reference: what the hypothesis left out."""
    insertions: np.ndarray
    reference: np.ndarray
    """Words, or characters, of the reference."""

    @property
    def errors(self) -> np.ndarray:
        """All edits of each row, [R]."""
        return self.substitutions + self.deletions + self.insertions


def word_edits(references: Sequence[str], hypotheses: Sequence[str]) -> Edits:
    """Count the edits of each row in words, which are what spaces part.

    Texts are compared in Unicode NFC; case, punctuation and accents count: fold them before, where they should not.
    A row whose reference is empty has insertions only.

    Args:
      references: R texts that were said.
      hypotheses: R texts that were recognised, in the same order.
    Raises:
      ValueError: as many references as hypotheses are needed, and at least one.

    >>> word_edits(["turn the light on"], ["turn light off"]).deletions.tolist()
    [1]
    """
    pairs = _normalised(references, hypotheses)
    return _edits(jiwer.process_words(*pairs))


def character_edits(references: Sequence[str], hypotheses: Sequence[str]) -> Edits:
    """Count the edits of each row in characters, as `word_edits` does in words; a space is a character, too.

    Runs of white space count as one space, and those at the ends not at all. A character is a code point of NFC: an
    accent that NFC cannot join to its letter counts for itself.

    >>> error_rate(character_edits(["abcd"], ["abxd"]))
    25.0
    """
    pairs = _normalised(references, hypotheses)
    return _edits(jiwer.process_characters(*pairs))


def error_rate(edits: Edits) -> float:
    """All edits for each 100 words, or characters, of all references: percent, above 100 where insertions abound.

    Raises:
      ValueError: the references are empty, all of them.

    >>> error_rate(word_edits(["turn the light on", "stop"], ["turn light off", "stop"]))
    40.0
    """
    total = int(edits.reference.sum())
    if total == 0:
        raise ValueError("error_rate has nothing to divide by: every reference is empty; count the insertions instead.")
    return 100.0 * int(edits.errors.sum()) / total


def _normalised(references: Sequence[str], hypotheses: Sequence[str]) -> tuple[list[str], list[str]]:
    if isinstance(references, str) or isinstance(hypotheses, str):
        raise ValueError("references and hypotheses must be sequences of texts, one a row; got a single text.")
    if len(references) != len(hypotheses) or not len(references):
        raise ValueError(
            f"got {len(references)} references and {len(hypotheses)} hypotheses; give one of each for every row."
        )
    return [_plain(text) for text in references], [_plain(text) for text in hypotheses]


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _edits(output: jiwer.WordOutput | jiwer.CharacterOutput) -> Edits:
    """Counts of jiwer's alignments, [R] each."""
    counts = np.zeros((len(output.references), 3), np.int64)
    for row, chunks in zip(counts, output.alignments, strict=True):
        for chunk in chunks:
            if chunk.type == "insert":
                row[2] += chunk.hyp_end_idx - chunk.hyp_start_idx
            elif chunk.type != "equal":
                row[0 if chunk.type == "substitute" else 1] += chunk.ref_end_idx - chunk.ref_start_idx
    reference = np.array([len(reference) for reference in output.references], np.int64)
    return Edits(counts[:, 0], counts[:, 1], counts[:, 2], reference)
