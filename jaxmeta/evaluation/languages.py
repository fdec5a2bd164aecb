"""Adaptation to languages: error rates of methods against the number of utterances, a row for each language."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmeta.decoding.error_rate_intervals import bootstrap_rate, paired_difference
from jaxmeta.decoding.error_rates import Edits
from jaxmeta.evaluation.adaptation import AdaptationProtocol
from jaxmeta.evaluation.adaptation_curves import transcribe
from jaxmeta.evaluation.choosing import ChosenMethod
from jaxmeta.evaluation.plots import plot_error_rates
from jaxmeta.evaluation.transcripts import Transcripts

Count = Callable[[Sequence[str], Sequence[str]], Edits]
"""(references, hypotheses) -> the edits that an error rate is of, such as `decoding.error_rates.character_edits`."""


def language_table(
    methods: Sequence[ChosenMethod], protocol: AdaptationProtocol, shots: Sequence[int], count: Count
) -> list[dict[str, Any]]:
    """A row for each language, number of utterances and method; others are compared with the first method.

    Args:
      methods: to compare.
      protocol: on episodes of `data.sampling.by_language.language_episodes`.
      shots: numbers of utterances to adapt to.
      count: edits in characters, words or whatever is written.
    Returns:
      Columns `error`, the error rate in percent; `exact`, utterances without any error, in percent; `against`, the
      difference to the first method in points. Errors and differences have intervals over speakers.
    """
    rows = []
    for number in shots:
        texts = [by_language(transcribe(method, protocol, number), protocol.groups) for method in methods]
        for method, own in zip(methods, texts, strict=True):
            named = {"utterances": number, "method": method.name, "rate": method.rate}
            named |= {"steps": method.steps if number else 0}
            for language, transcripts in own.items():
                baseline = texts[0][language] if method is not methods[0] else None
                rows.append({"language": language} | named | scores(transcripts, baseline, count))
    return sorted(rows, key=lambda row: row["language"])


def plot_languages(folder: Path, rows: Sequence[Mapping[str, Any]], ylabel: str) -> None:
    """Draw utterances_LANGUAGE.png for each language of a `language_table`: errors against utterances, by method."""
    for language in dict.fromkeys(row["language"] for row in rows):
        own = [row for row in rows if row["language"] == language]
        plot_error_rates(
            folder / f"utterances_{language}.png", own, "utterances", f"utterances of {language}", y="error",
            ylabel=ylabel, title="a language never heard before",
        )  # fmt: skip


def by_language(texts: Transcripts, groups: Sequence[str]) -> dict[str, Transcripts]:
    """The transcripts of each language, of all draws of its support set; groups are named "language/draw"."""
    languages: dict[str, Transcripts] = {}
    for group, *row in zip(groups, *texts, strict=True):
        own = languages.setdefault(group.rpartition("/")[0], Transcripts([], [], []))
        for column, value in zip(own, row, strict=True):
            column.append(value)
    return languages


def scores(texts: Transcripts, baseline: Transcripts | None, count: Count) -> dict[str, float]:
    """The columns of results of `language_table`, with `against` where there is a baseline."""
    edits = count(texts.references, texts.hypotheses)
    rate = bootstrap_rate(edits, texts.speakers)
    right = np.mean([said == written for said, written in zip(texts.references, texts.hypotheses, strict=True)])
    columns = rate.columns("error") | {"exact": 100 * float(right)}
    if baseline is not None:
        other = count(baseline.references, baseline.hypotheses)
        columns |= paired_difference(other, edits, texts.speakers).columns("against")
    return columns
