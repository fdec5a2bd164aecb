"""Transcripts that do not fit their recordings, or hold characters that nothing can be learned from."""

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np

from jaxmeta.data.checking.kinds import CHARACTER_ONCE, NO_TEXT, ODD_LENGTH, TOO_LONG_FOR_CTC, Case
from jaxmeta.data.checking.outliers import robust_scores
from jaxmeta.data.vocabulary import normalise

ODD_SCORE = 4.0
"""Modified z-score of the logarithm of characters a second from which a transcript is odd."""
SPREAD = 0.25
"""Deviation of that logarithm that is assumed at least: speakers differ by a quarter."""
FRAME_RATE = 25.0
"""Frames a second that a CTC network of this library puts out: one for 40 ms."""


def empty_texts(texts: Sequence[str]) -> list[Case]:
    """Rows without a transcript."""
    return [Case(NO_TEXT.name, row, 0.0, 1.0, "no transcript") for row, text in enumerate(texts) if not normalise(text)]


def odd_lengths(
    texts: Sequence[str], seconds: np.ndarray, sounding: np.ndarray, languages: Sequence[str] | None = None
) -> list[Case]:
    """Transcripts with many more or many fewer characters a second of sound than the others.

    Args:
      texts: R transcripts.
      seconds: [R] of the recordings; NaN where one cannot be read.
      sounding: [R], those that are not silent.
      languages: [R]; a language is compared with itself.
    """
    counts = np.array([len(normalise(text).replace(" ", "")) for text in texts], float)
    rates = np.full(len(counts), np.nan)
    known = (counts > 0) & np.isfinite(seconds) & (sounding > 0)
    rates[known] = counts[known] / sounding[known]
    logarithms = np.log(rates, out=np.full(len(rates), np.nan), where=known)
    scores = robust_scores(logarithms, languages, least=SPREAD)
    own = np.asarray(languages if languages is not None else [""] * len(texts))
    return [
        Case(
            ODD_LENGTH.name, row, float(rates[row]), abs(float(scores[row])) / ODD_SCORE,
            f"{counts[row]:.0f} characters in {sounding[row]:.2f} s of sound: {rates[row]:.1f} a second, "
            f"and {np.nanmedian(rates[own == own[row]]):.1f} are usual",
        )
        for row in np.flatnonzero(np.abs(scores) >= ODD_SCORE).tolist()
    ]  # fmt: skip


def frames_needed(text: str) -> int:
    """Output frames that CTC needs at least for a text of characters: one each, and a blank between equal ones.

    Source: Graves et al. 2006, "Connectionist temporal classification", section 3.1.

    >>> frames_needed("abba"), frames_needed("abab")
    (5, 4)
    """
    units = normalise(text)
    return len(units) + sum(first == second for first, second in itertools.pairwise(units))


def infeasible_texts(texts: Sequence[str], seconds: np.ndarray, frame_rate: float = FRAME_RATE) -> list[Case]:
    """Transcripts that are too long for CTC to align with the frames of their recordings.

    Args:
      texts: R transcripts.
      seconds: [R] of the recordings; NaN where one cannot be read.
      frame_rate: output frames a second.
    """
    cases = []
    for row, (text, length) in enumerate(zip(texts, seconds.tolist(), strict=True)):
        needed = frames_needed(text)
        frames = np.ceil(length * frame_rate) if np.isfinite(length) else np.inf
        if needed > frames:
            message = f"{frames:.0f} output frames in {length:.2f} s, and {needed} are needed for its characters"
            cases.append(Case(TOO_LONG_FOR_CTC.name, row, frames, needed / max(frames, 1), message))
    return cases


def characters_once(texts: Sequence[str]) -> list[Case]:
    """Rows that hold a character which stands nowhere else."""
    rows = [Counter(normalise(text)) for text in texts]
    total: Counter[str] = Counter()
    for counts in rows:
        total.update(counts)
    single = {character for character, count in total.items() if count == 1}
    cases = []
    for row, counts in enumerate(rows):
        if own := sorted(single & counts.keys()):
            named = ", ".join(f"{each!r} (U+{ord(each):04X})" for each in own)
            cases.append(Case(CHARACTER_ONCE.name, row, len(own), 1.0, f"{named} stands nowhere else"))
    return cases
