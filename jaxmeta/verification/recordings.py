"""Recordings of one user: a folder is checked, and an assistant's network embeds what is in it."""

import os
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from jaxmeta.data.manifest import Manifest, ManifestError, read_manifest
from jaxmeta.data.recordings import digest, first_copies, read_features
from jaxmeta.verification.assistant import Assistant, Embeddings, embed_recordings

LEAST_SOUND = 0.2
"""Seconds that are not silent, which a recording of a voice must have."""


class Recordings(NamedTuple):
    """What somebody recorded to enrol."""

    manifest: Manifest
    embeddings: Embeddings
    """Embeddings of N recordings."""
    labels: Sequence[str] | None
    """The word said in each, "" where there is none; None: the manifest has no labels."""
    rows: Sequence[int]
    """Of the manifest, of each recording; copies of an earlier recording are left out."""
    remarks: Sequence[str]
    """What a person should know of the rows that are left out."""
    digests: Sequence[str]
    """Of each recording, by which copies of it are known later."""


def read_recordings(
    assistant: Assistant,
    folder: str | os.PathLike[str],
    *,
    resample: bool = False,
    roots: Iterable[str | os.PathLike[str]] = (),
    counted: Collection[str] = (),
) -> Recordings:
    """Read a folder of recordings of one voice, with the column file_name and perhaps label (the word that is said).

    Args:
      assistant: whose network is used.
      folder: with a metadata.csv.
      resample: take other sample rates than the assistant's too.
      roots: further folders in which files may lie.
      counted: digests of recordings that are left out, as those that an earlier enrolment holds.
    Raises:
      ManifestError: no recordings, or none but those left out, or a column `speaker` with several names; names file
        and row. AudioError as `read_features`, and where a recording is silent.
    """
    manifest = read_manifest(folder, roots)
    clips = manifest.clips()
    if not clips:
        raise ManifestError(f"{manifest.root / manifest.name}: no recordings; one voice needs one at least, better 5.")
    speakers = manifest.columns.get("speaker", np.array([]))
    others = np.flatnonzero(speakers != speakers[:1])
    if len(others):
        raise ManifestError(
            f"{manifest.where(int(others[0]))}: is by {str(speakers[others[0]])!r} and the first by "
            f"{str(speakers[0])!r}; one enrolment is one voice: give each speaker a folder."
        )
    features = read_features(assistant.card.features, clips, manifest.where, resample=resample, least_sound=LEAST_SOUND)
    original, digests = first_copies(features), list(map(digest, features))
    rows, remarks = [], []
    for row, first in enumerate(original):
        if digests[row] in counted:
            remarks.append(f"{manifest.where(row)}: this recording is in the earlier enrolment, and counted once")
        elif row != first:
            remarks.append(
                f"{manifest.where(row)}: the same recording as that of {manifest.where(first)}, and counted once"
            )
        else:
            rows.append(row)
    if not rows:
        raise ManifestError(f"{manifest.root / manifest.name}: the earlier enrolment has all of these; give new ones.")
    embeddings = embed_recordings(assistant, [features[row] for row in rows])
    labels = manifest.columns.get("label")
    return Recordings(
        manifest,
        embeddings,
        None if labels is None else labels[rows].tolist(),
        rows,
        remarks,
        [digests[row] for row in rows],
    )


def unlike_the_others(assistant: Assistant, embeddings: Embeddings) -> list[int]:
    """Recordings that likelier are not by the voice of all the others, if there are three or more."""
    count = len(embeddings.voices)
    if count < 3:
        return []
    total = embeddings.voices.sum(axis=0)
    rest = total[None] - embeddings.voices
    rest /= np.linalg.norm(rest, axis=1, keepdims=True)
    ratios = [assistant.voice_ratios(rest[row], embeddings.voices[row : row + 1])[0] for row in range(count)]
    return [row for row, ratio in enumerate(ratios) if ratio < 0]
