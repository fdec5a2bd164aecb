"""Tables of a comparison: accuracies with intervals, paired differences and their significance, and budgets."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxmeta.evaluation.comparison.protocol import Outcome
from jaxmeta.metrics.crossed import crossed, holm, paired

Scores = Mapping[str, np.ndarray]
"""Name of a test -> accuracy in percent, [seeds, episodes]."""


def accuracy_rows(outcomes: Sequence[Outcome], without_training: Mapping[str, Scores]) -> list[dict[str, Any]]:
    """A row of accuracies for each learner and each embedding alone, as mean and half-width of the 95 % interval.

    Args:
      outcomes: of the learners.
      without_training: name of an embedding -> scores with one seed.
    """
    everything = {**{each.name: each.scores for each in outcomes}, **without_training}
    return [
        {"method": name, **{test: crossed(each)[:2] for test, each in scores.items()}}
        for name, scores in everything.items()
    ]


def difference_rows(outcomes: Sequence[Outcome], references: Mapping[str, Scores]) -> list[dict[str, Any]]:
    """Paired differences of every learner against references in the same episodes, in points.

    A star marks those whose p-value, corrected by Holm for all comparisons of the table, is below 0.05.
    Args:
      outcomes: of the learners.
      references: name -> scores; one of a learner's own name is left out of its row.
    """
    cells = [
        (outcome.name, f"{test} - {reference}", paired(outcome.scores[test], scores[test]))
        for outcome in outcomes
        for reference, scores in references.items()
        if reference != outcome.name
        for test in outcome.scores
    ]
    corrected = holm([difference.p for _, _, difference in cells])
    rows: dict[str, dict[str, Any]] = {outcome.name: {"method": outcome.name} for outcome in outcomes}
    for (name, column, difference), p in zip(cells, corrected, strict=True):
        rows[name][column] = f"{difference.mean:+.1f} ± {difference.half:.1f}{' *' if p < 0.05 else ''}"
    return list(rows.values())


def budget_rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """What each learner was given, and the settings that its search chose."""
    return [
        {
            "method": each.name, "trials": each.trials, "updates": each.updates, "CPU seconds": round(each.seconds),
            "inner rate": f"{each.chosen.settings.inner_rate:.2g}", "steps": each.chosen.settings.steps,
            "outer rate": f"{each.chosen.settings.outer_rate:.2g}",
            "annealing": "cosine" if each.chosen.settings.annealing else "none",
            "strength": f"{each.chosen.settings.strength:.2g}",
            "validation": f"{each.chosen.score:.2f} ± {each.chosen.error:.2f}",
        }
        for each in outcomes
    ]  # fmt: skip


def best_reference(candidates: Mapping[str, Scores]) -> tuple[str, Scores]:
    """The scores with the highest mean over all tests, and their name.

    It is chosen on the tests themselves, so a learner is compared with the hardest reference and never favoured.
    """
    name = max(candidates, key=lambda name: float(np.mean([scores.mean() for scores in candidates[name].values()])))
    return name, candidates[name]
