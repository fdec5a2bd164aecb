"""Speakers that no network was trained on: how well they are told apart, in noise and across languages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmeta.data.augmentation.waveform import in_condition
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.extraction import WaveformTransform
from jaxmeta.metrics import Trials
from jaxmeta.verification.trials import enrolments, summary, trials
from jaxmeta.verification.voices import Voices


def verify_in_conditions(
    networks: Sequence[Voices],
    corpora: Mapping[str, Corpus],
    clips: Sequence[int],
    seed: int,
    *,
    folders: Mapping[str, Path] | None = None,
    conditions: Mapping[str, WaveformTransform | None] | None = None,
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Trials]]]:
    """Errors of every network, corpus, condition and number of clips that enrol a voice.

    Args:
      networks: to compare.
      corpora: name -> recordings by test speakers, with which they enrol.
      clips: numbers of recordings that enrol a voice, ascending; one that leaves fewer than two speakers is left out.
      seed: of the draws.
      folders: name -> of the files, needed for conditions.
      conditions: name -> what recordings are verified in, such as `waveform.noisy` makes; None: "clean" alone.
    Returns:
      Rows, and "corpus, condition" -> network -> the trials of most clips.
    """
    rows: list[dict[str, Any]] = []
    drawn: dict[str, dict[str, Trials]] = {}
    conditions = {"clean": None} if conditions is None else conditions
    for name, corpus in corpora.items():
        speakers = corpus.columns["speaker"]
        sounding = {key: in_condition(corpus, (folders or {}).get(name, ""), each) for key, each in conditions.items()}
        sets = {count: enrolments(speakers, count, seed) for count in clips}
        sets = {count: each for count, each in sets.items() if len(np.unique(each.speakers)) > 1}
        for network in networks:
            enrolling = network.embed(corpus)
            for condition, tested in sounding.items():
                testing = enrolling if tested is corpus else network.embed(tested)
                for count, enrolled in sets.items():
                    scored = trials(network, enrolled, enrolling, testing, speakers)
                    where = {"corpus": name, "heard in": condition, "clips": count, "network": network.name}
                    rows.append(where | summary(scored, seed))
                    drawn.setdefault(f"{name}, {condition}", {})[network.name] = scored
    return rows, drawn


def verify_across_languages(
    networks: Sequence[Voices], corpora: Mapping[str, Corpus], clips: int, seed: int
) -> list[dict[str, Any]]:
    """Errors of enrolment in one language and verification in another, where a corpus has two by the same speakers.

    Args:
      networks: to compare.
      corpora: name -> recordings by test speakers, with the column `language`.
      clips: recordings that enrol a voice.
      seed: of the draws.
    """
    rows = []
    for name, corpus in corpora.items():
        speakers, languages = corpus.columns["speaker"], corpus.columns["language"]
        pairs = {(speaker, language) for speaker, language in zip(speakers, languages, strict=True)}
        both = sorted({language for _, language in pairs})
        if len(both) != 2 or len(pairs) != 2 * len(np.unique(speakers)):
            continue
        for network in networks:
            directions = network.embed(corpus)
            for enrolled in both:
                sets = enrolments(speakers, clips, seed, languages == enrolled)
                for tested in both:
                    scored = trials(network, sets, directions, directions, speakers, languages == tested)
                    where = {"corpus": name, "heard in": f"{enrolled} to {tested}", "clips": clips}
                    rows.append(where | {"network": network.name} | summary(scored, seed))
    return rows
