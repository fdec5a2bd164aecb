"""A page about a folder that a command has written: how it was made, what came out, and recordings to listen to."""

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from jaxmeta.data.audio import AudioError, read_audio
from jaxmeta.data.manifests.clips import Clip
from jaxmeta.data.manifests.files import inside_of
from jaxmeta.decoding.confusions import character_confusions
from jaxmeta.decoding.error_rates import character_edits
from jaxmeta.files.chart import line_chart
from jaxmeta.files.page import Html, audio, code, details, escaped, facts, heading, page, paragraph, table
from jaxmeta.reporting.recognised import Recognised, read_recognised
from jaxmeta.training.runlog import read_metrics

CARDS = ("card.json", "assistant.json", "user.json", "wakeword.json")
WORST, CONFUSIONS = 20, 20
"""Recordings to listen to, and pairs of characters, that are shown."""
_RATE = 16_000
_SECONDS = 30
"""Of each recording that can be listened to."""
_POINTS = 500
"""Of a curve: a page stays small however long the training was."""


def report(folder: Path, *, roots: Sequence[Path] = (), most_bytes: int = 20_000_000) -> str:
    """The page, in one file of HTML without network or script.

    Args:
      folder: that `jaxmeta train`, `adapt` or `enroll`, or an experiment, wrote.
      roots: folders besides that one whose recordings may be put into the page; others are named only.
      most_bytes: of recordings in the page; those beyond are named only.
    Raises:
      ValueError: no such folder, or nothing in it that a command writes; a file of it is damaged.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; give one that a command of jaxmeta wrote.")
    cards = {name: _json(folder / name) for name in CARDS if (folder / name).is_file()}
    results = {path: _json(path) for path in sorted(folder.glob("**/results.json"))}
    logs = sorted(path.parent for path in folder.glob("**/metrics.jsonl"))
    recognised = read_recognised(folder)
    if not (cards or results or logs):
        raise ValueError(f"{folder} holds no card, results or training of jaxmeta; give a folder that it wrote.")
    parts = [part for path, held in results.items() for part in _results(path.relative_to(folder).parent, held)]
    if recognised is not None:
        parts += _recordings(recognised, [folder, *roots], most_bytes)
    parts += [part for log in logs for part in _training(log.relative_to(folder), read_metrics(log))]
    for name, card in cards.items():
        parts += [heading("Card"), details(name, code(json.dumps(card, indent=2, ensure_ascii=False)))]
    return page(f"Report of {folder.resolve().name}", parts)


def _json(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); make the folder again.") from None
    if not isinstance(held, dict):
        raise ValueError(f"{path}: holds no object; make the folder again.")
    return held


def _results(place: Path, held: Mapping[str, Any]) -> Iterator[Html]:
    """Rows of results, and how they came about."""
    yield heading("Results" if place == Path() else f"Results of {place}")
    rows = [row for row in _typed(held, "rows", list) if isinstance(row, dict)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    yield table(columns, [[_shown(row.get(name, "-")) for name in columns] for row in rows])
    if run := _typed(held, "run", dict):
        if argv := _typed(run, "argv", list):
            yield code(" ".join(map(str, argv)))
        known = {name: _shown(run[name]) for name in ("time", "commit", "seed", "python") if name in run}
        yield facts(known | {name: _shown(run[name]) for name in ("device", "host", "data") if name in run})
        packages = _typed(run, "packages", dict)
        yield details("versions", facts({str(name): _shown(each) for name, each in packages.items()}))


def _typed(values: Mapping[str, Any], name: str, kind: type) -> Any:
    """The value of a key; an empty one where it is missing or of another type, as others may have written the file."""
    value = values.get(name)
    return value if isinstance(value, kind) else kind()


def _shown(value: object) -> object:
    """A value of JSON as a cell: numbers with four digits, and lists and objects in a line."""
    if isinstance(value, bool) or not isinstance(value, float):
        if isinstance(value, dict):
            return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
        return ", ".join(str(_shown(each)) for each in value) if isinstance(value, list) else value
    return float(f"{value:.4g}") if math.isfinite(value) else str(value)


def _training(place: Path, rows: Sequence[Mapping[str, Any]]) -> Iterator[Html]:
    """Curves of what a training logged."""
    for name in ("loss", "validation"):
        # Only some rows have a validation score: thinning all rows first could lose every one of them.
        points = _thinned([(float(row["step"]), float(row[name])) for row in rows if name in row])
        if any(math.isfinite(y) for _, y in points):
            yield heading(f"Training: {name} of {place}")
            last = rows[-1]
            yield line_chart({name: points}, "updates", name, text=f"{name} over {int(last['step'])} updates")
            yield paragraph(f"{int(last['step']):,} updates in {float(last['seconds']):,.0f} seconds.", kind="quiet")


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most about `_POINTS` of the points, evenly, with the last."""
    every = max(1, len(points) // _POINTS)
    return [*points[:-1:every], *points[-1:]]


def _recordings(voice: Recognised, roots: Sequence[Path], most_bytes: int) -> Iterator[Html]:
    """What adaptation changed, the worst recordings, and the characters that are confused."""
    figures = voice.figures
    yield heading("Before and after adaptation")
    interval = f"{figures['change_low']:+.1f} to {figures['change_high']:+.1f}"
    yield paragraph(
        f"{figures['cer_before']:.1f} % of characters wrong before, {figures['cer_after']:.1f} % after; change "
        f"{figures['change']:+.1f} points, 95 % interval {interval}. "
        + ("What was adapted is used." if figures["adapted"] else "The gain is not certain, and nothing is changed.")
    )
    yield paragraph("Each recording was recognised by what was adapted to others of the same voice.", kind="quiet")
    before, after = (character_edits(voice.said, texts).errors for texts in (voice.before, voice.after))
    worst = np.argsort(-after, kind="stable")[:WORST]
    players = _players([voice.clips[row] for row in worst], roots, most_bytes)
    yield heading(f"The {len(worst)} worst recordings")
    yield table(["recording", "said", "before", "errors", "after", "errors"], [
        [player, voice.said[row], voice.before[row], int(before[row]), voice.after[row], int(after[row])]
        for row, player in zip(worst.tolist(), players, strict=True)
    ])  # fmt: skip
    yield heading("Characters that are confused")
    earlier, later = (character_confusions(voice.said, texts) for texts in (voice.before, voice.after))
    names = {"": "nothing", " ": "a blank"}
    yield table(["said", "recognised", "times before", "times after"], [
        [*(names.get(character, character) for character in pair), earlier[pair], later[pair]]
        for pair, _ in (earlier + later).most_common(CONFUSIONS)
    ])  # fmt: skip


def _players(clips: Sequence[Clip], roots: Sequence[Path], most_bytes: int) -> Iterator[Html]:
    """A player for each recording that lies in the folders, is still there and fits; the name of any other."""
    left = most_bytes
    for clip in clips:
        name = Path(clip.path).name
        if inside_of(clip.path, roots) is None:
            yield escaped(f"{name} (to hear it, give --root {Path(clip.path).parent})")
            continue
        try:
            waveform = read_audio(clip, _RATE)[: _SECONDS * _RATE]
        except (AudioError, OSError):
            yield escaped(f"{name} (not there any more, or not to be decoded)")
            continue
        file = io.BytesIO()
        soundfile.write(file, np.clip(waveform, -1, 1), _RATE, format="FLAC", subtype="PCM_16")
        content = file.getvalue()
        if len(content) > left:
            yield escaped(f"{name} (too large for this page)")
            continue
        left -= len(content)
        yield audio(content, "audio/flac", name)
