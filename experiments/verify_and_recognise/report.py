"""Tables and plots of who speaks and what is said."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.verify_and_recognise.data import Spoken
from jaxmeta.data.augmentation.waveform import in_condition
from jaxmeta.evaluation.embeddings import accuracies, embed
from jaxmeta.metrics import Curve, Interval, Trials, detection_curve, equal_error_rate, mean_interval
from jaxmeta.training.report import markdown_table, plot_curves
from jaxmeta.verification.training import System
from jaxmeta.verification.trials import enrolments, summary, trials
from jaxmeta.verification.voices import Voices

CLIPS = (1, 3, 5)
"""Recordings that enrol a voice."""
VERIFICATION = {
    "corpus": "", "heard in": "", "clips": "d", "network": "", "EER %": "", "minDCF": "", "speakers": "d",
    "trials": ",d",
}  # fmt: skip
WORDS = {"corpus": "", "shots": "d", "network": "", "weights": ",d", "accuracy %": "", "change": ""}
USE = {"corpus": "", "who": "", "right": "", "wrong": "", "unsure": "", "rejected": ""}
STREAM = {"corpus": "", "adapted to": "", "word error %": "", "change": ""}
OPEN_SET = {"corpus": "", "shots": "d", "all": "", "words": "", "unknown": "", "silence": ""}
SPOTTING = {"corpus": "", "false alarms an hour": "g", "missed %": ".1f", "threshold": ".1f"}
ALARMS = (1.0, 5.0, 20.0, 100.0)
"""An hour, at which misses are told."""


def verified(choices: Sequence[Voices], data: Spoken, seed: int) -> tuple[list[dict], dict[str, dict[str, Trials]]]:
    """Rows of every network, corpus, condition and number of clips; and the trials of most clips, for curves."""
    rows, drawn = [], {}
    for name, corpus in data.test.items():
        speakers = corpus.columns["speaker"]
        heard = {key: in_condition(corpus, data.folders[name], transform) for key, transform in data.conditions.items()}
        for choice in choices:
            quiet = choice.embed(corpus)
            for condition, noisy in heard.items():
                tested = quiet if noisy is corpus else choice.embed(noisy)
                for clips in CLIPS:
                    found = trials(choice, enrolments(speakers, clips, seed), quiet, tested, speakers)
                    where = {"corpus": name, "heard in": condition, "clips": clips, "network": choice.name}
                    rows.append(where | summary(found, seed))
                drawn.setdefault(f"{name}, {condition}", {})[choice.name] = found
    return rows, drawn


def across_languages(choices: Sequence[Voices], data: Spoken, seed: int) -> list[dict]:
    """Rows of enrolment in one language and verification in another, where a corpus has two by the same speakers."""
    rows = []
    for name, corpus in data.test.items():
        speakers, languages = corpus.columns["speaker"], corpus.columns["language"]
        pairs = {(who, what) for who, what in zip(speakers, languages, strict=True)}
        both = sorted({what for _, what in pairs})
        if len(both) != 2 or len(pairs) != 2 * len(np.unique(speakers)):
            continue
        for choice in choices:
            found = choice.embed(corpus)
            for enrolled in both:
                sets = enrolments(speakers, max(CLIPS), seed, languages == enrolled)
                for tested in both:
                    scored = trials(choice, sets, found, found, speakers, languages == tested)
                    where = {"corpus": name, "heard in": f"{enrolled} to {tested}", "clips": max(CLIPS)}
                    rows.append(where | {"network": choice.name} | summary(scored, seed))
    return rows


def recognised(systems: Sequence[System], data: Spoken, seed: int) -> list[dict]:
    """Rows of accuracy on new words by new speakers, 5-way, and the change against the first network."""
    rows = []
    for name, corpus in data.new_words.items():
        embedded = [embed(system.words, system.params, corpus) for system in systems if system.words is not None]
        for shots in (1, 5):
            first: np.ndarray | None = None
            for system, clips in zip(systems, embedded, strict=True):
                found = 100 * accuracies(corpus, clips, clips, seed + 1, shots=shots)
                first = found if first is None else first
                row = {"corpus": name, "shots": shots, "network": system.name, "weights": system.weights}
                rows.append(row | {"accuracy %": mean_interval(found), "change": mean_interval(found - first)})
    return rows


class Table(NamedTuple):
    """Rows, and how they are shown."""

    title: str
    rows: list[dict]
    columns: Mapping[str, str]

    def show(self) -> str:
        """The table in Markdown: figures in percent with their 95 % intervals."""
        cells = [{name: _cell(value) for name, value in row.items()} for row in self.rows]
        return f"{self.title}:\n\n{markdown_table(cells, self.columns)}"


def plot_errors(folder: Path, drawn: Mapping[str, Mapping[str, Trials]]) -> None:
    """A picture for each corpus and condition: false rejects against false accepts, where they are equal marked."""
    for title, found in drawn.items():
        curves = {name: detection_curve(one.scores, one.targets) for name, one in found.items()}
        points = {
            f"{name}: equal at {100 * equal_error_rate(curve):.1f} %": (
                [100 * equal_error_rate(curve)], [100 * equal_error_rate(curve)]
            )
            for name, curve in curves.items()
        }  # fmt: skip
        file = folder / f"{title.replace(', ', '_').replace(' ', '_')}.png"
        plot_curves(
            file, {name: (*_thinned(curve), None) for name, curve in curves.items()},
            "false accepts (%)", "false rejects (%)", f"{title}, {max(CLIPS)} clips enrolled", points=points,
            scale="log",
        )  # fmt: skip


def _thinned(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """At most 500 points of a curve, in percent, those on the axes left out."""
    inside = np.flatnonzero((curve.false_accepts > 0) & (curve.false_rejects > 0))
    some = inside[np.unique(np.linspace(0, len(inside) - 1, 500).astype(int))] if len(inside) else inside
    return 100 * curve.false_accepts[some], 100 * curve.false_rejects[some]


def _cell(value: Any) -> Any:
    if isinstance(value, Interval):
        return f"{value.value:.3g} ({value.low:.3g} to {value.high:.3g})"
    return f"{value[0]:.1f} ± {value[1]:.1f}" if isinstance(value, tuple) else value
