"""A file beside an adapted recogniser, for its report: what was recognised before and after adaptation."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxmeta.data.manifests.clips import Clip
from jaxmeta.files.durable import write_json
from jaxmeta.recognition.safe_adaptation import Verdict, summary

RECOGNISED = "recognised.json"
_FIGURES = ("cer_before", "cer_after", "change", "change_low", "change_high")


class Recognised(NamedTuple):
    """The recordings of one voice."""

    clips: list[Clip]
    said: list[str]
    before: list[str]
    """By the recogniser as it was."""
    after: list[str]
    """By what was adapted to other recordings of the voice."""
    figures: dict[str, Any]
    """Those of `safe_adaptation.summary` that a report shows."""


def write_recognised(
    folder: Path, clips: Sequence[Clip], said: Sequence[str], verdict: Verdict, *, taken: bool
) -> Path | None:
    """Write `recognised.json`, with the transcripts in it; None where the verdict has no texts."""
    if verdict.texts is None:
        return None
    rows = [
        {"file": str(Path(clip.path).absolute()), "start": clip.start, "duration": clip.duration, "said": text,
         "before": before, "after": after}
        for clip, text, before, after in zip(clips, said, *verdict.texts, strict=True)
    ]  # fmt: skip
    write_json(folder / RECOGNISED, {"figures": summary(verdict, taken), "rows": rows})
    return folder / RECOGNISED


def read_recognised(folder: Path) -> Recognised | None:
    """What `write_recognised` wrote; None where there is no such file.

    Raises:
      ValueError: it is damaged; names the file.
    """
    path = folder / RECOGNISED
    if not path.exists():
        return None
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        clips = [
            Clip(str(row["file"]), float(row["start"]), None if row["duration"] is None else float(row["duration"]))
            for row in held["rows"]
        ]
        said, before, after = ([str(row[name]) for row in held["rows"]] for name in ("said", "before", "after"))
        figures = {name: float(held["figures"][name]) for name in _FIGURES}
        return Recognised(clips, said, before, after, figures | {"adapted": bool(held["figures"]["adapted"])})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: damaged ({error!r}); delete it, and the report is made without it.") from None
