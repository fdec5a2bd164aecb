"""The kinds of finding: how grave each is, from where on it counts, and what to do about it.

Numbers in the texts are those of the modules that find them; `docs/data-check.md` shows this table.
"""

from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From the gravest on."""


class Kind(NamedTuple):
    """Something that may be wrong with a row."""

    name: str
    """Stands in reports; words with hyphens."""
    severity: Severity
    """An error spoils training or a test; a warning may; a note is worth knowing."""
    threshold: str
    """From where on it counts."""
    remedy: str
    source: str = ""
    """Where the threshold or the method comes from."""


class Case(NamedTuple):
    """A row that something is wrong with."""

    kind: str
    """Name of the `Kind`."""
    row: int
    """Of the list, from 0."""
    value: float
    """What was measured."""
    excess: float
    """Over the threshold, 1 at it: the worst are shown first."""
    message: str
    """For a person."""


_HOAGLIN = "Iglewicz and Hoaglin 1993"
_GRAVES = "Graves et al. 2006, section 3.1"
BAD_ROW = Kind(
    "unreadable-row", "error", "another number of fields than the header, or a NUL character",
    "quote fields that hold commas",
)  # fmt: skip
MISSING = Kind(
    "missing", "error", "no file, 0 bytes, a folder, a name twice, or a link or name that leads out of the folder",
    "copy the file, correct its name, or remove the row",
)  # fmt: skip
UNDECODABLE = Kind(
    "undecodable", "error", "damaged, cut, no audio, or NaN among its samples", "copy or record it again",
)  # fmt: skip
SILENCE = Kind(
    "silence", "error", "loudest 25 ms below -70 dB of full scale", "record it again, or remove the row",
    "16-bit rounding lies at -101 dB",
)  # fmt: skip
CONTRADICTION = Kind(
    "contradicting-copy", "error", "as copy, with another label, transcription, speaker or split",
    "find out which row is right, and remove the other",
)  # fmt: skip
SPELLING = Kind(
    "spelling", "error", "values of a column that differ by Unicode form, case or blanks only",
    "write each the same way; as they are, they count as different", "Unicode Standard Annex 15 (NFKC)",
)  # fmt: skip
TOO_LONG_FOR_CTC = Kind(
    "ctc-infeasible", "error", "fewer output frames (25 a second) than characters and blanks between equal ones",
    "correct the transcript, or leave the row out (`--drop-infeasible` of training)", _GRAVES,
)  # fmt: skip
NO_TEXT = Kind(
    "no-transcript", "error", "nothing in the column transcription", "write it, or remove the row",
)  # fmt: skip
CLIPPING = Kind(
    "clipping", "warning", "0.5 % of the samples in flat tops: 3 or more in a row within 1.5 % of the largest",
    "record it again at a lower level",
)  # fmt: skip
OFFSET = Kind(
    "dc-offset", "warning", "mean of the samples beyond 0.02 of full scale", "subtract the mean, or filter below 20 Hz",
)  # fmt: skip
DEAD_CHANNEL = Kind(
    "dead-channel", "warning", "a channel 50 dB below another", "keep the other channel only",
)  # fmt: skip
OPPOSITE_CHANNELS = Kind(
    "inverted-channel", "warning", "correlation of two channels of -0.5 or lower: their mean cancels",
    "turn one of the channels round, or keep one only",
)  # fmt: skip
SHORT = Kind(
    "very-short", "warning", "less than 0.1 s of sound; or a modified z-score of log duration of -6 or lower",
    "look at where it was cut", _HOAGLIN,
)  # fmt: skip
LONG = Kind(
    "very-long", "warning", "above 30 s; or a modified z-score of log duration of 6 or higher",
    "cut it at pauses", f"30 s: Whisper's window; {_HOAGLIN}",
)  # fmt: skip
COPY = Kind(
    "copy", "warning", "the same samples as an earlier row, silences at the ends aside", "remove the row",
)  # fmt: skip
RESAMPLED = Kind(
    "low-rate", "warning", "a fall of 40 dB or more at half of a lower rate, by Welch's spectrum",
    "train all at the lower rate, or look for the recordings before they were resampled",
    "Welch 1967 for the spectrum",
)  # fmt: skip
ODD_LENGTH = Kind(
    "odd-transcript", "warning",
    "modified z-score of log characters a second of sound beyond 4, among rows of its language",
    "listen to it: is it the transcript of another recording?", _HOAGLIN,
)  # fmt: skip
SAME_VOICE = Kind(
    "one-voice-two-names", "warning",
    "cosine of the mean voices of two names, corrected for their uncertainty, of 0.85 or more",
    "listen to both; give one name to one voice, or voices are held out that were trained on",
    "Spearman 1904, correction for attenuation; needs 5 names of 5 recordings",
)  # fmt: skip
TWO_VOICES = Kind(
    "two-voices-one-name", "warning", "two groups (2-means) of a name's recordings with a cosine of 0.3 or less",
    "listen to both groups; give each voice a name", "Dhillon and Modha 2001, spherical k-means; needs 8 recordings",
)  # fmt: skip
LOSS = Kind(
    "loss", "warning", "modified z-score of the CTC loss a character under the recogniser of 4 or more",
    "listen to it: is the transcript right?", _HOAGLIN,
)  # fmt: skip
CHARACTER_ONCE = Kind(
    "character-once", "note", "a character that stands once in all transcripts",
    "correct it, spell it otherwise, or record more with it",
)  # fmt: skip
KINDS = {
    kind.name: kind
    for kind in (
        BAD_ROW, MISSING, UNDECODABLE, SILENCE, CONTRADICTION, SPELLING, TOO_LONG_FOR_CTC, NO_TEXT, CLIPPING, OFFSET,
        DEAD_CHANNEL, OPPOSITE_CHANNELS, SHORT, LONG, COPY, RESAMPLED, ODD_LENGTH, SAME_VOICE, TWO_VOICES, LOSS,
        CHARACTER_ONCE,
    )
}  # fmt: skip
"""By name, the gravest first."""
