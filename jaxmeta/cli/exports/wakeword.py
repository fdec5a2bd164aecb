"""A wake word as a file that openWakeWord loads."""

from typing import Literal

from jaxmeta.cli.exports.result import Export


def export_wakeword(export: Export) -> None:
    """Write the head, check it, and say what its scores mean."""
    from jaxmeta.cli.claimed import claimed
    from jaxmeta.words.wake.exporting import export_head
    from jaxmeta.words.wake.wakeword import load_wakeword

    wakeword = load_wakeword(export.checkpoint)
    about = {name: getattr(wakeword.card, name) for name in ("word", "recordings", "alarms", "hours")}
    with claimed(export.out, file=True, dry_run=export.dry_run):
        if export.dry_run:
            export.plan()
            return
        to: Literal["openwakeword", "tflite"] = "tflite" if export.to == "tflite" else "openwakeword"
        export.show(f"{export_head(wakeword.layers, export.out, to, about)}; a score of 0.5 is the threshold")
