"""Error rates where a speaker gets an adapted recogniser only if its cross-validated gain is certain."""

from typing import Any

from jaxmeta.decoding.error_rate_intervals import bootstrap_rate
from jaxmeta.evaluation.adaptation import AdaptationProtocol
from jaxmeta.evaluation.adaptation_curves import transcribe
from jaxmeta.evaluation.choosing import ChosenMethod
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
    learner, groups = method.build(method.rate, method.steps), protocol.episodes.groups
    before, after = (transcribe(method, protocol, count).hypotheses for count in (0, shots))
    text, adopted = protocol.episodes.corpus.columns["transcription"], 0
    texts: list[str] = []
    with progress_bar(f"{method.name}, gate", len(groups)) as advance:
        for index, group in enumerate(groups):
            support = protocol.episode(index, shots).support
            references = text[group.support[:shots]].tolist()
            verdict = cross_validate(learner, method.params, support, references, protocol.vocabulary)
            own = slice(len(texts), len(texts) + len(group.query))
            texts += (after if verdict.adopted else before)[own]
            adopted += verdict.adopted
            advance(1)
    gated = Transcripts(protocol.references, texts, protocol.speakers)
    rate = bootstrap_rate(gated.characters, gated.speakers)
    named = {"method": method.name, "shots": shots, "adopted": adopted, "speakers": len(groups)}
    return named | rate.columns("gated")
