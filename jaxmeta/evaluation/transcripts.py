"""What a system recognised beside what was said, and the error rates of that with their intervals over speakers."""

from typing import NamedTuple

from jaxmeta.decoding.error_rate_intervals import bootstrap_rate, paired_difference, paired_relative
from jaxmeta.decoding.error_rates import Edits, character_edits, word_edits
from jaxmeta.metrics import Interval


class Transcripts(NamedTuple):
    """R utterances: what was said, what was recognised, and who spoke."""

    references: list[str]
    hypotheses: list[str]
    speakers: list[str]

    @property
    def characters(self) -> Edits:
        """Edits in characters, a row for each utterance."""
        return character_edits(self.references, self.hypotheses)

    @property
    def words(self) -> Edits:
        """Edits in words, a row for each utterance."""
        return word_edits(self.references, self.hypotheses)

    def rates(self) -> dict[str, float]:
        """Columns `cer` and `wer`, error rates in percent, each with `_low` and `_high` of its 95 % interval."""
        cer, wer = (bootstrap_rate(edits, self.speakers) for edits in (self.characters, self.words))
        return cer.columns("cer") | wer.columns("wer")

    def change_from(self, other: "Transcripts") -> Interval:
        """The character error rate less that of another system on the same utterances, in points."""
        return paired_difference(other.characters, self.characters, self.speakers)

    def avoided(self, other: "Transcripts") -> Interval:
        """The part of another system's errors in characters that is gone, in percent."""
        return paired_relative(other.characters, self.characters, self.speakers)
