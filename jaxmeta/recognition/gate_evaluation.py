"""Error rates where a speaker gets an adapted recogniser only if its cross-validated gain is certain."""

from typing import Any

import jax

from jaxmeta.decoding.error_rate_intervals import bootstrap_rate
from jaxmeta.decoding.error_rates import character_edits
from jaxmeta.evaluation.adaptation import AdaptationProtocol
from jaxmeta.evaluation.adaptation_curves import transcribe
from jaxmeta.evaluation.choosing import ChosenMethod
from jaxmeta.evaluation.result_cache import params_digest
from jaxmeta.evaluation.shifts.gains import Count, ShiftProtocol, harmed
from jaxmeta.evaluation.transcripts import Transcripts
from jaxmeta.progress import progress_bar
from jaxmeta.recognition.safe_adaptation import cross_validate


def evaluate_gate(method: ChosenMethod, protocol: AdaptationProtocol, shots: int = 10) -> dict[str, Any]:
    """Adapt to those speakers alone whose gain on the support set, cross-validated, is certain.

    Args:
      method: that adapts to transcribed utterances.
      protocol: with the speakers.
      shots: utterances of a speaker, all of them cross-validated.
    Returns:
      `adopted`, how many of the `speakers` are adapted to, and `gated`, the character error rate over all of them in
      percent, with its 95 % interval over speakers.
    """
    gated, adopted = through_gate(method, protocol, shots)
    rate = bootstrap_rate(gated.characters, gated.speakers)
    groups = len(protocol.episodes.groups)
    named = {"method": method.name, "shots": shots, "adopted": adopted, "speakers": groups}
    return named | rate.columns("gated")


def gate_row(method: ChosenMethod, protocol: ShiftProtocol, shots: int) -> dict[str, Any]:
    """How many groups of a shift are adapted to where only certain gains are taken, and how many that harms.

    Args:
      method, shots: as in `evaluate_gate`.
      protocol: of the shift.
    Returns:
      `adopted` of the `groups`, `harmed`, and `gated`, the error rate in percent with its 95 % interval over speakers.
    """
    count, own = protocol.edits, protocol.own
    gated, adopted = through_gate(method, own, shots, count)
    rate = bootstrap_rate(count(gated.references, gated.hypotheses), gated.speakers)
    named = {"shift": protocol.name, "method": method.name, "utterances": shots, "adopted": adopted}
    return named | harmed(own.groups, transcribe(method, own, 0), gated, count) | rate.columns("gated")


def through_gate(
    method: ChosenMethod, protocol: AdaptationProtocol, shots: int, count: Count = character_edits
) -> tuple[Transcripts, int]:
    """What is recognised where only certain gains are taken, and in how many groups they are.

    Args:
      method, protocol, shots: as in `evaluate_gate`.
      count: the edits that a gain is of.
    """
    groups = protocol.episodes.groups
    before, after = (transcribe(method, protocol, number).hypotheses for number in (0, shots))
    data = protocol.episodes.corpus.fingerprint
    key = ["gate", method.name, params_digest(method.params), data, len(groups), shots, method.rate, method.steps]
    verdicts = protocol.cache.get(key, lambda: _verdicts(method, protocol, shots, count))
    texts: list[str] = []
    for group, adopted in zip(groups, verdicts, strict=True):
        own = slice(len(texts), len(texts) + len(group.query))
        texts += (after if adopted else before)[own]
    return Transcripts(protocol.references, texts, protocol.speakers), sum(verdicts)


def _verdicts(method: ChosenMethod, protocol: AdaptationProtocol, shots: int, count: Count) -> list[bool]:
    """Whether the gain of each group is certain."""
    learner, groups = method.build(method.rate, method.steps), protocol.episodes.groups
    text, verdicts = protocol.episodes.corpus.columns["transcription"], []
    with progress_bar(f"{method.name}, gate", len(groups)) as advance:
        for index, group in enumerate(groups):
            support = jax.tree.map(lambda leaf: leaf[:shots], protocol.episode(index, shots).support)
            references = text[group.support[:shots]].tolist()
            verdict = cross_validate(
                learner, method.params, support, references, protocol.vocabulary, count=count, folds=min(5, shots)
            )
            verdicts.append(bool(verdict.adopted))
            advance(1)
    return verdicts
