"""Findings about the sound of recordings, from what was measured of each."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from jaxmeta.data.checking import kinds
from jaxmeta.data.checking.channels import OPPOSED
from jaxmeta.data.checking.kinds import Case
from jaxmeta.data.checking.measurements import Sound
from jaxmeta.data.checking.outliers import robust_scores

SILENT_DB = -70.0
"""Of the loudest 25 ms: below it nobody speaks, and 16 bits hold little else than rounding (-101 dB)."""
CLIPPED = 0.005
"""Share of samples in flat tops."""
OFFSET = 0.02
"""Mean of the samples."""
SHORT, LONG = 0.1, 30.0
"""Seconds of sound, and of a recording: no word is shorter, and Whisper takes no longer one."""
LENGTH_SCORE = 6.0
"""Modified z-score of the logarithm of the seconds beyond which a recording is odd among the others."""
SPREAD = 0.35
"""Deviation of that logarithm that is assumed at least."""
EDGE_DB = 40.0
"""Fall of the spectrum at half of a lower rate: speech itself falls by 5 to 30 there."""


def sound_cases(row: int, sound: Sound) -> Iterator[Case]:
    """What is wrong with one recording by itself."""
    if sound.loudest_db < SILENT_DB:
        message = f"its loudest 25 ms are at {sound.loudest_db:.0f} dB of full scale"
        yield Case(kinds.SILENCE.name, row, sound.loudest_db, sound.loudest_db / SILENT_DB, message)
        return
    if sound.clipped >= CLIPPED:
        message = f"{100 * sound.clipped:.1f} % of its samples are cut off at a limit"
        yield Case(kinds.CLIPPING.name, row, sound.clipped, sound.clipped / CLIPPED, message)
    if abs(sound.offset) >= OFFSET:
        message = f"its samples have a mean of {sound.offset:+.3f} of full scale"
        yield Case(kinds.OFFSET.name, row, sound.offset, abs(sound.offset) / OFFSET, message)
    if sound.dead:
        message = f"{sound.dead} of its {sound.channels} channels hold nothing"
        yield Case(kinds.DEAD_CHANNEL.name, row, sound.dead, 1.0 + sound.dead / sound.channels, message)
    if sound.correlation <= OPPOSED:
        message = f"two of its channels are opposite (correlation {sound.correlation:.2f})"
        yield Case(kinds.OPPOSITE_CHANNELS.name, row, sound.correlation, sound.correlation / OPPOSED, message)
    if sound.sounding < SHORT:
        message = f"{sound.sounding:.2f} s of sound in {sound.seconds:.2f} s"
        yield Case(kinds.SHORT.name, row, sound.sounding, SHORT / max(sound.sounding, 0.01), message)
    if sound.seconds > LONG:
        yield Case(kinds.LONG.name, row, sound.seconds, sound.seconds / LONG, f"{sound.seconds:.1f} s")
    if sound.edge_db >= EDGE_DB:
        message = (
            f"at {sound.sample_rate:,} Hz, but above {sound.lower_rate // 2:,} Hz the spectrum is {sound.edge_db:.0f} "
            f"dB lower: recorded at {sound.lower_rate:,} Hz, or through a codec of that band"
        )
        yield Case(kinds.RESAMPLED.name, row, sound.lower_rate, sound.edge_db / EDGE_DB, message)


def odd_durations(sounds: Sequence[Sound | None]) -> list[Case]:
    """Recordings that are very short or very long among the others, besides those that are by themselves."""
    seconds = np.array([math.nan if sound is None else sound.seconds for sound in sounds])
    with np.errstate(invalid="ignore"):
        scores = robust_scores(np.log(seconds), least=SPREAD)
    cases = []
    for row in np.flatnonzero(np.abs(scores) >= LENGTH_SCORE).tolist():
        kind = kinds.LONG if scores[row] > 0 else kinds.SHORT
        sound = sounds[row]
        if sound is None or sound.seconds > LONG or sound.sounding < SHORT:
            continue
        message = f"{sound.seconds:.2f} s, where {np.nanmedian(seconds):.2f} s are usual"
        cases.append(Case(kind.name, row, sound.seconds, abs(float(scores[row])) / LENGTH_SCORE, message))
    return cases
