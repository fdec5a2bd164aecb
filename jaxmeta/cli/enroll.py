"""`jaxmeta enroll MANIFEST --out DIR`"""

import json as json_lines
from pathlib import Path

from tyro.conf import Positional


def enroll(
    manifest: Positional[Path],
    out: Path,
    assistant: Path = Path("runs/verify_and_recognise/assistant"),
    update: Path | None = None,
    keep_audio: bool = False,
    prior: float = 0.5,
    sure: float = 0.9,
    json: bool = False,
    resample: bool = False,
) -> None:
    """Enrol a voice, and the words that it says, from a folder of recordings.

    What is kept are means of embeddings: recordings never leave the machine, and none is copied unless asked for.

    Args:
        manifest: Folder with a metadata.csv whose column file_name names recordings of one voice, five or more of them
            for a certain answer; a column label says which word is said in each, for `jaxmeta spot`.
        out: Folder for the enrolment; must not exist yet.
        assistant: Folder of a trained network, as `python -m experiments.verify_and_recognise` writes it.
        update: An earlier enrolment to add to, in a new folder; of the recordings only those count whose speaker is
            accepted, so that a stranger's voice cannot move it. Its own network is used.
        keep_audio: Copy the recordings into the folder, too.
        prior: With --update, the probability that it is the user who speaks, before anything is heard.
        sure: With --update, the probability afterwards from which the speaker is accepted.
        json: Write the result as a line of JSON.
        resample: Take recordings at other sample rates than the network's too.
    """
    import shutil

    from jaxmeta.verification.assistant import load_assistant
    from jaxmeta.verification.gate import make_gate
    from jaxmeta.verification.recordings import read_recordings, unlike_the_others
    from jaxmeta.verification.user import absorb, load_user, save_user
    from jaxmeta.verification.user import enroll as enrolled

    gate = make_gate(prior, sure)
    if out.exists():
        raise ValueError(f"--out {out} exists; name a new folder, or delete it.")
    if update is None:
        one = load_assistant(assistant)
        read = read_recordings(one, manifest, resample=resample)
        user, doubtful = enrolled(read.heard, read.labels), unlike_the_others(one, read.heard)
        used, note = list(range(len(read.heard.voices))), "does not sound like the others; is it the same voice?"
    else:
        one, before = load_user(update)
        read = read_recordings(one, manifest, resample=resample)
        user, decisions = absorb(one, before, read.heard, read.labels, gate)
        used = [row for row, decision in enumerate(decisions) if decision == "accept"]
        doubtful, note = sorted({*range(len(decisions))} - {*used}), "not added: its speaker is not accepted."
    save_user(out, one, user)
    if keep_audio:
        for row in used:
            source = Path(read.manifest.paths()[row])
            target = out / "audio" / str(read.manifest.columns["file_name"][row])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    words = dict(zip(user.words, user.counts, strict=True))
    names = [str(read.manifest.columns["file_name"][row]) for row in doubtful]
    if json:
        result = {"out": str(out), "recordings": user.clips, "added": len(used), "words": words, "doubtful": names}
        print(json_lines.dumps(result, ensure_ascii=False))
        return
    for row in doubtful:
        print(f"{read.manifest.where(row)}: {read.manifest.columns['file_name'][row]} {note}")
    said = ", ".join(f"{word} ({count})" for word, count in words.items()) or "none"
    print(f"{user.clips} recordings of the voice, {len(used)} of them new; words: {said}\nwritten to {out}")
