"""Error rates of adaptation methods against the number of utterances and of inner steps, and their plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxmeta.evaluation.adaptation import AdaptationProtocol
from jaxmeta.evaluation.choosing import ChosenMethod
from jaxmeta.evaluation.transcripts import Transcripts
from jaxmeta.training.report import plot_curves


def transcribe(method: ChosenMethod, protocol: AdaptationProtocol, shots: int, steps: int | None = None) -> Transcripts:
    """What a method recognises with its own rate, after its own number of steps or another one."""
    steps = method.steps if steps is None else steps
    return protocol.transcribe(method.name, method.build, method.params, shots, method.rate, steps)


def utterance_curve(
    methods: Sequence[ChosenMethod],
    protocol: AdaptationProtocol,
    shots: Sequence[int],
    *,
    baseline: ChosenMethod | None = None,
    others: AdaptationProtocol | None = None,
    others_shots: int = 5,
) -> list[dict[str, Any]]:
    """A row for every method and number of utterances: error rates in percent with intervals over speakers.

    Args:
      methods: to compare.
      protocol: of the test.
      shots: numbers of utterances to adapt to.
      baseline: a method; column `against` is the difference of character error rates to it, in points.
      others: a protocol with the support sets of other speakers; `own` is the difference to adaptation to those.
      others_shots: at which that is measured.
    Returns:
      Columns of `Transcripts.rates`; `gain`, the part of its errors without adaptation that a method avoids, in
      percent; the differences where there are any.
    """
    rows = []
    for method in methods:
        unadapted = transcribe(method, protocol, 0)
        for count in shots:
            adapted = transcribe(method, protocol, count)
            row = _named(method, count, method.steps if count else 0) | _rates(adapted, unadapted)
            if baseline is not None and count:
                row |= adapted.change_from(transcribe(baseline, protocol, count)).columns("against")
            if others is not None and count == others_shots:
                row |= adapted.change_from(transcribe(method, others, count)).columns("own")
            rows.append(row)
    return rows


def step_curve(
    methods: Sequence[ChosenMethod], protocol: AdaptationProtocol, shots: int, steps: Sequence[int]
) -> list[dict[str, Any]]:
    """A row for every method and number of inner steps on `shots` utterances, with columns as `utterance_curve`."""
    return [
        _named(method, shots, count)
        | _rates(transcribe(method, protocol, shots, count), transcribe(method, protocol, 0))
        for method in methods
        for count in steps
    ]


def plot_error_rates(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    x: str,
    xlabel: str,
    *,
    y: str = "cer",
    ylabel: str = "character error rate (%)",
    title: str = "speakers never heard in training",
    bounds: tuple[str, str] | None = None,
) -> None:
    """Draw a column of rows against another one as a PNG, a curve with its interval for each method.

    Args:
      path: of the picture.
      rows: with the columns `method`, x, y and the bounds of y's interval.
      x, y: names of columns.
      xlabel, ylabel, title: of the picture.
      bounds: columns of the interval; None: y's name with `_low` and `_high`.
    """
    low, high = bounds or (f"{y}_low", f"{y}_high")
    series = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        own = sorted((row for row in rows if row["method"] == method), key=lambda row: row[x])
        half = [(row[high] - row[low]) / 2 for row in own]
        series[method] = ([row[x] for row in own], [row[y] for row in own], half)
    plot_curves(path, series, xlabel, ylabel, title)


def _rates(adapted: Transcripts, unadapted: Transcripts) -> dict[str, float]:
    return adapted.rates() | adapted.avoided(unadapted).columns("gain")


def _named(method: ChosenMethod, shots: int, steps: int) -> dict[str, Any]:
    return {"method": method.name, "shots": shots, "rate": method.rate, "steps": steps}
