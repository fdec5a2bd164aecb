"""Error rates of adaptation methods against the number of utterances and of inner steps."""

from collections.abc import Sequence
from typing import Any

from jaxmeta.evaluation.adaptation import AdaptationProtocol
from jaxmeta.evaluation.choosing import ChosenMethod
from jaxmeta.evaluation.transcripts import Transcripts


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


def _rates(adapted: Transcripts, unadapted: Transcripts) -> dict[str, float]:
    return adapted.rates() | adapted.avoided(unadapted).columns("gain")


def _named(method: ChosenMethod, shots: int, steps: int) -> dict[str, Any]:
    return {"method": method.name, "shots": shots, "rate": method.rate, "steps": steps}
