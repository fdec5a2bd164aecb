"""What adaptation gives under a shift, against the number of utterances: its gain, whose it is, and whom it harms."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxmeta.decoding.error_rate_intervals import bootstrap_rate, paired_difference
from jaxmeta.decoding.error_rates import Edits, error_rate
from jaxmeta.evaluation.adaptation import AdaptationProtocol
from jaxmeta.evaluation.adaptation_curves import transcribe
from jaxmeta.evaluation.choosing import ChosenMethod
from jaxmeta.evaluation.transcripts import Transcripts

Count = Callable[[Sequence[str], Sequence[str]], Edits]
"""(references, hypotheses) -> the edits that an error rate is of."""


class ShiftProtocol(NamedTuple):
    """Utterances that differ in one way from those of training, to adapt to and to recognise."""

    name: str
    own: AdaptationProtocol
    others: AdaptationProtocol
    """The same queries, with support sets that are somebody else's, or of another language, channel or vocabulary."""
    edits: Count
    """Edits in characters or words."""


def gain_rows(methods: Sequence[ChosenMethod], protocol: ShiftProtocol, shots: Sequence[int]) -> list[dict[str, Any]]:
    """A row for each method and number of utterances; the first method, which is the baseline, has one without any.

    Args:
      methods: the first one starts at the params that are used without adaptation.
      protocol: of the shift.
      shots: numbers of utterances to adapt to, 1 or more, ascending.
    Returns:
      Columns `error`, in percent, and differences in points, below 0 where errors become fewer: `change` from no
      adaptation; `own` from adaptation to as many of somebody else's utterances, for the most; `against` from the
      baseline with as many, and `half` from the baseline with twice as many. All have 95 % intervals over speakers.
      `harmed` is how many of the `groups` have more errors than without adaptation.
    """
    first, count = methods[0], protocol.edits
    before = transcribe(first, protocol.own, 0)
    named = {"shift": protocol.name, "method": "none", "utterances": 0}
    rows = [named | _rate(before, count).columns("error")]
    for number in shots:
        for method in methods:
            after = transcribe(method, protocol.own, number)
            named = {"shift": protocol.name, "method": method.name, "utterances": number}
            row = named | {"rate": method.rate, "steps": method.steps} | _rate(after, count).columns("error")
            row |= _change(before, after, count).columns("change")
            if number == shots[-1]:
                row |= _change(transcribe(method, protocol.others, number), after, count).columns("own")
            if method is not first:
                row |= _change(transcribe(first, protocol.own, number), after, count).columns("against")
                if 2 * number in shots:
                    row |= _change(transcribe(first, protocol.own, 2 * number), after, count).columns("half")
            rows.append(row | harmed(protocol.own.groups, before, after, count))
    return rows


def error_over(protocols: Sequence[ShiftProtocol], method: ChosenMethod, shots: int) -> float:
    """Error rate of a method over the utterances of several shifts, in percent."""
    edits = []
    for protocol in protocols:
        texts = transcribe(method, protocol.own, shots)
        edits.append(protocol.edits(texts.references, texts.hypotheses))
    return error_rate(Edits(*(np.concatenate(counts) for counts in zip(*edits, strict=True))))


def harmed(of: Sequence[str], before: Transcripts, after: Transcripts, count: Count) -> dict[str, int]:
    """Columns `harmed`, how many groups have more errors after adaptation than before, and `groups`, of how many.

    Args:
      of: the group of each utterance.
      before, after: what was recognised.
      count: the edits that errors are.
    """
    groups = np.array(of)
    errors = [count(texts.references, texts.hypotheses).errors for texts in (before, after)]
    worse = [bool(errors[1][groups == name].sum() > errors[0][groups == name].sum()) for name in np.unique(groups)]
    return {"harmed": sum(worse), "groups": len(worse)}


def _rate(texts: Transcripts, count: Count):
    return bootstrap_rate(count(texts.references, texts.hypotheses), texts.speakers)


def _change(before: Transcripts, after: Transcripts, count: Count):
    first, second = (count(texts.references, texts.hypotheses) for texts in (before, after))
    return paired_difference(first, second, after.speakers)
