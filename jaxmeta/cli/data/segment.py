"""`jaxmeta data segment RECORDING... --out DIR`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from jaxmeta.cli.ranges import Within


def segment(
    recordings: Positional[tuple[Path, ...]],
    out: Path,
    voice_activity: Path | None = None,
    seconds: Annotated[float, Within(1, 3_600)] = 30.0,
    to_transcribe: bool = False,
    copy: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Cut long recordings where nobody speaks, into a folder that the other commands take.

    The pieces are rows of a metadata.csv with their start and duration; silent ones stand in rejected.csv. A recording
    that cannot be read is named on standard error, and the others are cut; the exit status is 3 then.

    Args:
        recordings: Audio files: WAV, FLAC, Ogg Vorbis, Ogg Opus or MP3.
        out: Folder for the manifest; must not exist yet.
        voice_activity: Weights of silero-vad, silero_vad_16k.safetensors: pieces are utterances then. Without it
            nothing is left out but silence, and cuts lie at the quietest places.
        seconds: Longest piece.
        to_transcribe: Add an empty column transcription, to be filled in by hand.
        copy: Make each piece a file of its own in the folder, instead of a row of the long recording.
        dry_run: Look at everything, say what would be written, and write nothing.
        json: Write the result as a line of JSON.
    """
    from jaxmeta.cli.claimed import drafted
    from jaxmeta.cli.data.importing import tell
    from jaxmeta.cli.endings import PartlyDoneError
    from jaxmeta.data.manifests.importing import Imported, write_import
    from jaxmeta.recognition.segments.cutting import segment_recordings
    from jaxmeta.recognition.segments.stretches import load_detector

    if not recordings:
        raise ValueError("no recordings to cut; name one or more.")

    def cut() -> Imported:
        detect = None if voice_activity is None else load_detector(voice_activity)
        imported = segment_recordings(recordings, detect, seconds)
        if not imported.utterances:
            reasons = "; ".join(f"{each.file}: {each.reason}" for each in imported.rejections[:3])
            raise ValueError(f"no piece of the recordings can be used ({reasons or 'nobody speaks'}).")
        if to_transcribe:
            blank = [each._replace(columns={"transcription": "", **each.columns}) for each in imported.utterances]
            imported = imported._replace(utterances=blank)
        return imported

    if dry_run:
        imported = cut()
    else:
        with drafted(out) as draft:
            imported = cut()
            imported = write_import(imported, draft, copy=copy)
    tell("data segment", imported, "pieces", out, copied=copy, dry_run=dry_run, as_json=json)
    unread = [each for each in imported.rejections if each.number == 0]
    for each in unread:
        print(f"jaxmeta: {each.file}: {each.reason}", file=sys.stderr)
    if unread:
        raise PartlyDoneError(f"{len(unread)} of {len(recordings)} recordings could not be read; they are named above.")
