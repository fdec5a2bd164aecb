"""A wake word as a file that openWakeWord loads."""

from pathlib import Path
from typing import Literal


def export_wakeword(folder: Path, to: Literal["openwakeword", "tflite"], out: Path) -> None:
    """Write the head, check it, and say what its scores mean."""
    from jaxmeta.cli.claimed import claimed
    from jaxmeta.words.wake.exporting import export_head
    from jaxmeta.words.wake.wakeword import load_wakeword

    wakeword = load_wakeword(folder)
    about = {name: getattr(wakeword.card, name) for name in ("word", "recordings", "alarms", "hours")}
    with claimed(out, file=True):
        print(f"{out}: {export_head(wakeword.layers, out, to, about)}; a score of 0.5 is the threshold")
