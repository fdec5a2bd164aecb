"""Scores of claims: cosines to an enrolled prototype, made comparable by a cohort of other speakers."""

import numpy as np


def adaptive_s_norm(
    scores: np.ndarray, enrolled: np.ndarray, tested: np.ndarray, top: int = 50, least: float = 1e-3
) -> np.ndarray:
    """Scores less the mean of each side's best matches among a cohort, over their deviation, averaged over both sides.

    What is close to many strangers so needs a higher cosine.
    Args:
      scores: of E enrolled prototypes and T recordings, [E, T].
      enrolled: of the prototypes and M speakers of the cohort, [E, M].
      tested: of the recordings and the cohort, [T, M].
      top: best matches that count, 2 to M.
      least: deviation below which none is divided by.
    Returns:
      [E, T].
    Raises:
      ValueError: shapes that do not fit, or top out of range.
    Source: Matejka et al. 2017, "Analysis of score normalization in multilingual speaker recognition", section 2.
    """
    members = enrolled.shape[-1]
    if scores.shape != (len(enrolled), len(tested)) or tested.shape[-1] != members:
        raise ValueError(
            f"scores [E, T], enrolled [E, M] and tested [T, M] are needed, got {scores.shape}, {enrolled.shape} and "
            f"{tested.shape}."
        )
    if not 2 <= top <= members:
        raise ValueError(f"top={top} must lie between 2 and the cohort's {members} speakers.")

    def moments(cohort: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        best = np.partition(cohort, members - top, axis=1)[:, members - top :]
        return best.mean(axis=1), np.maximum(best.std(axis=1), least)

    (enrolled_mean, enrolled_deviation), (tested_mean, tested_deviation) = moments(enrolled), moments(tested)
    by_enrolled = (scores - enrolled_mean[:, None]) / enrolled_deviation[:, None]
    by_tested = (scores - tested_mean[None]) / tested_deviation[None]
    return (by_enrolled + by_tested) / 2


def mean_direction(embeddings: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """The unit vector along the sum of each group's embeddings.

    Args:
      embeddings: [N, E].
      groups: [N] integers in [0, count); each group has a member.
    Returns:
      [count, E].

    >>> mean_direction(np.array([[2.0, 0.0], [0.0, 2.0], [0.0, 1.0]]), np.array([0, 1, 1]), 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    sums = np.zeros((count, embeddings.shape[1]), embeddings.dtype)
    np.add.at(sums, groups, embeddings)
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
