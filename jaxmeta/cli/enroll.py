"""`jaxmeta enroll MANIFEST --out DIR`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tyro.conf import Positional

from jaxmeta.cli.ranges import Certainty, Probability, Roots

if TYPE_CHECKING:
    from jaxmeta.cli.planning.plan import Plan


def enroll(
    manifest: Positional[Path],
    out: Path,
    assistant: Path = Path("runs/assistant"),
    update: Path | None = None,
    keep_audio: bool = False,
    prior: Probability = 0.5,
    sure: Certainty = 0.9,
    json: bool = False,
    resample: bool = False,
    root: Roots = (),
    dry_run: bool = False,
) -> None:
    """Enrol a voice, and the words that it says, from a folder of recordings.

    What is kept are means of embeddings: recordings never leave the machine, and none is copied unless asked for.

    Args:
        manifest: Folder with a metadata.csv whose column file_name names recordings of one voice, five or more of them
            for a certain answer; a column label says which word is said in each, for `jaxmeta spot`.
        out: Folder for the enrolment; must not exist yet.
        assistant: Folder of a trained network, as `jaxmeta train assistant` writes it.
        update: An earlier enrolment to add to, in a new folder; of the recordings only those count whose speaker is
            accepted, so that a stranger's voice cannot move it. Its own network is used.
        keep_audio: Copy the recordings into the folder, too.
        prior: With --update, the probability that it is the user who speaks, before anything is heard.
        sure: With --update, the probability afterwards from which the speaker is accepted.
        json: Write the result as a line of JSON.
        resample: Take recordings at other sample rates than the network's too.
        root: Folder that the recordings lie in, if it is not that of the metadata.csv; may be given several times.
        dry_run: Say what would be read, and written, and about how long it takes; write nothing.
    """
    from jaxmeta.cli.claimed import claimed
    from jaxmeta.verification.gate import make_gate
    from jaxmeta.verification.user import save_user

    gate = make_gate(prior, sure)
    with claimed(out, dry_run=dry_run):
        enrolled = (
            _first(assistant, manifest, resample, root)
            if update is None
            else _more(update, manifest, resample, gate, root)
        )
        if dry_run:
            _plan(update or assistant, manifest, enrolled, out).show("enroll", as_json=json)
            return
        save_user(out, enrolled.assistant, enrolled.user)
        if keep_audio:
            _copy(enrolled, out / "audio")
    _show(enrolled, out, json)


class _Enrolled(NamedTuple):
    assistant: Any
    user: Any
    recordings: Any
    used: list[int]
    """Rows that count."""
    doubtful: list[int]
    """Rows that something is said of."""
    doubt: str


def _show(enrolled: _Enrolled, out: Path, as_json: bool) -> None:
    from jaxmeta.cli.output import show

    words = dict(zip(enrolled.user.words, enrolled.user.counts, strict=True))
    columns, where = enrolled.recordings.manifest.columns["file_name"], enrolled.recordings.manifest.where
    doubtful, remarks = [str(columns[row]) for row in enrolled.doubtful], enrolled.recordings.remarks
    counts = {"recordings": enrolled.user.clips, "added": len(enrolled.used), "words": words, "doubtful": doubtful}
    doubts = [f"{where(row)}: {columns[row]} {enrolled.doubt}" for row in enrolled.doubtful]
    said = ", ".join(f"{word} ({count})" for word, count in words.items()) or "none"
    voice = f"{enrolled.user.clips} recordings of the voice, {len(enrolled.used)} of them new; words: {said}"
    text = "\n".join([*remarks, *doubts, voice, f"written to {out}"])
    show("enroll", {"out": str(out), **counts, "copies": len(remarks)}, text, as_json=as_json)


def _plan(network: Path, manifest: Path, enrolled: _Enrolled, out: Path) -> Plan:
    from jaxmeta.cli.planning.plan import START, Plan, folder, recordings

    return Plan([folder(network), recordings(manifest, enrolled.recordings.manifest.clips())], out, START)


def _first(assistant: Path, manifest: Path, resample: bool, roots: tuple[Path, ...]) -> _Enrolled:
    from jaxmeta.verification.assistant import load_assistant
    from jaxmeta.verification.recordings import read_recordings, unlike_the_others
    from jaxmeta.verification.user import enroll

    loaded = load_assistant(assistant)
    read = read_recordings(loaded, manifest, resample=resample, roots=roots)
    user, doubtful = enroll(read.embeddings, read.labels, read.digests), unlike_the_others(loaded, read.embeddings)
    doubt = "does not sound like the others; is it the same voice?"
    return _Enrolled(loaded, user, read, list(read.rows), [read.rows[each] for each in doubtful], doubt)


def _more(update: Path, manifest: Path, resample: bool, gate: Any, roots: tuple[Path, ...]) -> _Enrolled:
    from jaxmeta.verification.recordings import read_recordings
    from jaxmeta.verification.user import absorb, load_user

    assistant, before = load_user(update)
    read = read_recordings(assistant, manifest, resample=resample, roots=roots, counted=before.recordings)
    user, decisions = absorb(assistant, before, read.embeddings, read.labels, gate, read.digests)
    used, refused = (
        [row for row, each in zip(read.rows, decisions, strict=True) if (each == "accept") is accepted]
        for accepted in (True, False)
    )
    return _Enrolled(assistant, user, read, used, refused, "not added: its speaker is not accepted.")


def _copy(enrolled: _Enrolled, folder: Path) -> None:
    from jaxmeta.data.manifests.copies import copy_clip

    manifest = enrolled.recordings.manifest
    clips = manifest.clips()
    for row in enrolled.used:
        name = Path(str(manifest.columns["file_name"][row]))
        # Files of other folders are named by their whole path, and pieces share the name of their file.
        name = Path(f"{row + 2}_{name.name}") if name.is_absolute() or not clips[row].whole else name
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy_clip(clips[row], folder / name.with_suffix(""))
