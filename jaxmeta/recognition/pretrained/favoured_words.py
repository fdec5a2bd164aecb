"""Words that a person's recordings are full of, such as names, which a Whisper is to write more readily."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jaxmeta.models.pretrained.whispers.favoured import favoured
from jaxmeta.recognition.pretrained.whisper import WhisperRecogniser, spelled

BONUS = 4.0
"""In nats: a token of a word is written where the likeliest one is at most 55 times as likely."""


def favouring(recogniser: WhisperRecogniser, words: Sequence[str], bonus: float = BONUS) -> WhisperRecogniser:
    """The recogniser with a bonus for the tokens of some words or phrases, whether they are capitalised or not.

    Args:
      recogniser: stays as it is.
      words: one or more, none of them empty.
      bonus: in nats, for each token, 0 or more. A token of a word is written if it is at most that much less likely
        than the likeliest one, and taken back if the word is not completed.
    Raises:
      ValueError: no words, or a bonus out of range.
    """
    if not words:
        raise ValueError("no words to favour; give one or more.")
    if not 0 <= bonus < float("inf"):
        raise ValueError(f"bonus={bonus} must be a finite number of nats, 0 or more.")
    spellings = {word for each in words for word in _spellings(each, recogniser)}
    # Where a transcript has a word, there is a space before it.
    tokens = [recogniser.tokenizer.encode(f" {word}").tolist() for word in sorted(spellings)]
    return replace(recogniser, words=favoured(tokens, bonus))


def read_words(path: str | Path) -> list[str]:
    """The words or phrases of a file in UTF-8, one in each line; empty lines are left out.

    Raises:
      ValueError: no words in the file, or another encoding. OSError: no such file.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8 ({error}); store it as UTF-8.") from error
    words = [" ".join(line.split()) for line in lines if line.strip()]
    if not words:
        raise ValueError(f"{path} has no words; write one in each line.")
    return words


def _spellings(word: str, recogniser: WhisperRecogniser) -> set[str]:
    if (case := recogniser.habits.case) != "as it is":
        return {spelled(word, case)}
    return {word, word.lower(), word[0].upper() + word[1:].lower()}
