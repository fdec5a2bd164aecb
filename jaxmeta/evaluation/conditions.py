"""Recognition of the same utterances in several conditions, such as noise, before and after adaptation in each."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxmeta.data.augmentation.conditions import Condition
from jaxmeta.data.augmentation.waveform import in_condition
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.support_query_splits import adaptation_episodes
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.error_rates import Edits, error_rate
from jaxmeta.evaluation.adaptation import AdaptationProtocol, queries_as_supports
from jaxmeta.evaluation.adaptation_curves import transcribe
from jaxmeta.evaluation.choosing import ChosenMethod
from jaxmeta.evaluation.transcripts import Transcripts


class ConditionProtocol(NamedTuple):
    """The protocol of adaptation in one condition, with transcripts and without."""

    condition: Condition
    supervised: AdaptationProtocol
    """Support sets are transcribed utterances in the condition."""
    test_time: AdaptationProtocol
    """Support sets are the queries themselves, for methods that look at no transcripts."""

    def transcribe(self, method: ChosenMethod) -> Transcripts:
        """What a method recognises after adapting to each speaker in this condition."""
        protocol = self.supervised if method.labels else self.test_time
        return transcribe(method, protocol, max(protocol.episodes.supports))


def condition_protocols(
    corpus: Corpus,
    folder: Path,
    vocabulary: Vocabulary,
    conditions: Sequence[Condition],
    directory: Path,
    *,
    speakers: int,
    shots: int = 5,
    query: int = 10,
    seed: int,
    encode: Callable[[Corpus], Corpus] | None = None,
) -> list[ConditionProtocol]:
    """Some speakers in every condition, always with the same utterances.

    Args:
      corpus: recordings whose features are known, with the columns `file_name`, `speaker` and `transcription`.
      folder: of the recordings.
      vocabulary: of the transcripts.
      conditions: that the recordings are put into.
      directory: for what is recognised, a folder for each condition so that no file grows large.
      speakers: how many of them, at most; drawn at random.
      shots: transcribed utterances of a support set.
      query: utterances of a speaker to recognise.
      seed: of the draw of speakers and utterances.
      encode: features -> what is recognised, such as activations of a frozen encoder; None: the features.
    """
    drawn, protocols = _drawn_utterances(corpus, vocabulary, speakers, shots, query, seed), []
    for condition in conditions:
        noisy = in_condition(drawn, folder, condition.transform)
        noisy = noisy if encode is None else encode(noisy)
        episodes = adaptation_episodes(noisy, vocabulary, supports=(0, shots), query=query, seed=seed)
        own = directory / condition.name.replace(" ", "_")
        protocols.append(
            ConditionProtocol(
                condition,
                AdaptationProtocol(episodes, vocabulary, own / "supervised"),
                AdaptationProtocol(queries_as_supports(episodes), vocabulary, own / "test_time"),
            )
        )
    return protocols


def error_over_conditions(protocols: Sequence[ConditionProtocol], method: ChosenMethod) -> float:
    """Character error rate of a method over the utterances of several conditions, in percent."""
    edits = [protocol.transcribe(method).characters for protocol in protocols]
    return error_rate(Edits(*(np.concatenate(counts) for counts in zip(*edits, strict=True))))


def condition_table(
    unadapted: ChosenMethod, methods: Sequence[ChosenMethod], protocols: Sequence[ConditionProtocol]
) -> list[dict[str, Any]]:
    """A row for each condition without adaptation, and one for each condition and method.

    Args:
      unadapted: what is to be recognised without adaptation.
      methods: to compare.
      protocols: a condition each.
    Returns:
      Error rates in percent with intervals over speakers, and of the character error rate in points `change`, what it
      is less that without adaptation, and `against`, less that of the first method.
    """
    rows = []
    for protocol in protocols:
        before = transcribe(unadapted, protocol.supervised, 0)
        rows.append(_named(protocol, unadapted.name, 0) | before.rates() | before.change_from(before).columns("change"))
        first = protocol.transcribe(methods[0])
        for method in methods:
            adapted = protocol.transcribe(method)
            shots = max(protocol.supervised.episodes.supports) if method.labels else 0
            row = _named(protocol, method.name, shots) | {"rate": method.rate, "steps": method.steps}
            row |= adapted.rates() | adapted.change_from(before).columns("change")
            rows.append(row if method is methods[0] else row | adapted.change_from(first).columns("against"))
    return rows


def _drawn_utterances(
    corpus: Corpus, vocabulary: Vocabulary, speakers: int, shots: int, query: int, seed: int
) -> Corpus:
    """As many utterances as the protocol needs of each of some speakers, so that no others need be computed."""
    groups = adaptation_episodes(corpus, vocabulary, supports=(shots,), query=query, seed=seed).groups
    mask = np.zeros(len(corpus), bool)
    for index in np.random.default_rng(seed).permutation(len(groups))[:speakers]:
        mask[np.r_[groups[index].support, groups[index].query]] = True
    return corpus.select(mask)


def _named(protocol: ConditionProtocol, method: str, transcribed: int) -> dict[str, Any]:
    condition = protocol.condition
    return {
        "condition": condition.name, "kind": condition.kind, "snr": condition.snr, "method": method,
        "transcribed": transcribed, "speakers": len(protocol.supervised.episodes.groups),
    }  # fmt: skip
