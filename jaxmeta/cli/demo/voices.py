"""Whose voice a recording has, and which enrolled words are in it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxmeta.data.recordings import read_features
from jaxmeta.verification.assistant import embed_voices
from jaxmeta.verification.gate import Gate
from jaxmeta.verification.recordings import LEAST_SOUND
from jaxmeta.verification.spotting import spot
from jaxmeta.verification.user import load_user

_RATIO = 1.0
"""Log-likelihood ratio in nats from which a word counts as found, as in `jaxmeta spot`."""


class EnrolledVoice:
    """An enrolment that `jaxmeta enroll` wrote.

    Args:
      folder: of it.
      gate: decides on speakers.
    Raises:
      CardError, BundleError: it is damaged.
    """

    def __init__(self, folder: Path, gate: Gate) -> None:
        self.folder, self._gate = folder, gate
        self._assistant, self._user = load_user(folder)

    def summary(self) -> dict[str, Any]:
        """How many recordings of the voice and of each word are enrolled."""
        words = dict(zip(self._user.words, self._user.counts, strict=True))
        return {"clips": self._user.clips, "words": words, "folder": str(self.folder)}

    def judge(self, file: Path) -> dict[str, Any]:
        """What `jaxmeta verify` and `jaxmeta spot` say of a recording.

        Raises:
          AudioError: it is silent.
        """
        config = self._assistant.card.features
        voices = embed_voices(self._assistant, read_features(config, [file], resample=True, least_sound=LEAST_SOUND))
        ratio = float(self._assistant.voice_ratios(self._user.prototype, voices)[0])
        decision, words = self._gate.decide(ratio), self._words(file)
        return {"decision": decision, "probability": self._gate.posterior(ratio), "words": words}

    def _words(self, file: Path) -> list[dict[str, Any]]:
        if not self._user.words:
            return []
        config = replace(self._assistant.card.features, trim_db=None)
        (frames,) = read_features(config, [file], resample=True)
        return [
            {"word": each.word, "start": each.start, "end": each.end, "speaker": self._gate.decide(each.voice)}
            for each in spot(self._assistant, self._user, frames, _RATIO)
        ]
