"""Voices against the names that a list gives them: one voice under two names, and two voices under one name."""

from collections.abc import Sequence

import numpy as np

from jaxmeta.data.checking.kinds import SAME_VOICE, TWO_VOICES, Case

ALIKE = 0.85
"""Cosine of two names' mean voices, corrected for how uncertain both are, from which they are one voice."""
APART = 0.3
"""Cosine of two groups of a name's recordings up to which they are two voices."""
LEAST_NAMES = 5
"""Names below which nobody can say how much voices differ: nothing is reported."""
LEAST_ROWS, LEAST_SPLIT, LEAST_GROUP = 5, 8, 2
"""Recordings that a name needs to be compared with others, to be looked at for two voices, and the smaller of both."""


def voice_cases(voices: np.ndarray, names: Sequence[str]) -> list[Case]:
    """Rows whose voices do not fit their names, of the names that have at least `LEAST_ROWS` rows.

    The mean of all recordings is taken out first: what all have in common (a microphone, say) tells nobody apart.
    Args:
      voices: [R, E], such as a speaker embedding gives them.
      names: R speakers.
    """
    kinds, inverse, counts = np.unique(np.asarray(names), return_inverse=True, return_counts=True)
    known = [name for name in range(len(kinds)) if counts[name] >= LEAST_ROWS]
    if len(known) < LEAST_NAMES:
        return []
    centred = unit(voices - voices.mean(axis=0))
    rows = [np.flatnonzero(inverse == name) for name in known]
    labels = [str(kinds[name]) for name in known]
    return _same_voice(centred, rows, labels) + _two_voices(centred, rows, labels)


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors [..., E] with length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def reliability(vectors: np.ndarray) -> float:
    """How well the mean of unit vectors [N, E], N at least 2, would be found again by as many others; 1 is exactly.

    Source: Spearman 1910 and Brown 1910, the reliability of a mean from the mean correlation of its parts.

    >>> round(reliability(np.array([[1.0, 0.0], [0.8, 0.6]])), 3)
    0.889
    """
    count = len(vectors)
    between = (np.square(vectors.sum(axis=0)).sum() - np.square(vectors).sum()) / (count * (count - 1))
    return float(np.clip(count * between / (1 + (count - 1) * between), 0.05, 1.0))


def _same_voice(voices: np.ndarray, rows: Sequence[np.ndarray], names: Sequence[str]) -> list[Case]:
    """Names that sound alike; the rows of the one with fewer recordings are reported.

    Source: Spearman 1904, the correction of a correlation for attenuation, with cosines in its place.
    """
    means = unit(np.stack([voices[own].mean(axis=0) for own in rows]))
    certain = np.array([reliability(voices[own]) for own in rows])
    alike = means @ means.T / np.sqrt(np.outer(certain, certain))
    cases = []
    for first, second in zip(*np.nonzero(np.triu(alike >= ALIKE, 1)), strict=True):
        fewer, more = sorted((int(first), int(second)), key=lambda name: len(rows[name]))
        value = float(alike[first, second])
        message = f"{names[fewer]!r} sounds like {names[more]!r} (corrected cosine {value:.2f})"
        cases += [Case(SAME_VOICE.name, row, value, value / ALIKE, message) for row in rows[fewer].tolist()]
    return cases


def _two_voices(voices: np.ndarray, rows: Sequence[np.ndarray], names: Sequence[str]) -> list[Case]:
    """Names whose recordings fall into two groups; the rows of the smaller group are reported."""
    cases = []
    for own, name in zip(rows, names, strict=True):
        group = two_groups(voices[own])
        if len(own) < LEAST_SPLIT or min(group.sum(), (~group).sum()) < LEAST_GROUP:
            continue
        first, second = (unit(voices[own][each].mean(axis=0)) for each in (group, ~group))
        cosine = float(first @ second)
        if cosine <= APART:
            smaller = own[group if group.sum() <= (~group).sum() else ~group]
            message = (
                f"{len(smaller)} of {len(own)} recordings of {name!r} sound like somebody else than the others "
                f"(cosine {cosine:.2f})"
            )
            cases += [
                Case(TWO_VOICES.name, row, cosine, (1 - cosine) / (1 - APART), message) for row in smaller.tolist()
            ]
    return cases


def two_groups(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors [N, E] as two groups [N] bool: spherical 2-means from the sign along the largest direction.

    Source: Dhillon and Modha 2001, "Concept decompositions for large sparse text data".
    """
    centred = vectors - vectors.mean(axis=0)
    group = centred @ np.linalg.svd(centred, full_matrices=False)[2][0] > 0
    for _ in range(50):
        if group.all() or not group.any():
            break
        first, second = (vectors[each].sum(axis=0) for each in (group, ~group))
        moved = vectors @ unit(first) > vectors @ unit(second)
        if (moved == group).all():
            break
        group = moved
    return group
