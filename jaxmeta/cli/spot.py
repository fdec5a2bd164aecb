"""`jaxmeta spot DIR FILE...`"""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from jaxmeta.cli.ranges import Certainty, Probability, Within


def spot(
    user: Positional[Path],
    files: Positional[tuple[Path, ...]],
    ratio: Annotated[float, Within(-1e12, 1e12)] = 1.0,
    prior: Probability = 0.5,
    sure: Certainty = 0.9,
    mine: bool = False,
    json: bool = False,
    resample: bool = False,
) -> None:
    """Find the enrolled words in audio files: which, where, and whether it is the enrolled voice that says them.

    Args:
        user: Folder that `jaxmeta enroll` wrote, of recordings with labels.
        files: Audio files: WAV, FLAC, Ogg Vorbis, Ogg Opus or MP3.
        ratio: Log-likelihood ratio in nats from which a word counts as found: higher for fewer false alarms.
        prior: Probability that it is the user who speaks, before anything is heard.
        sure: Probability afterwards from which the speaker is accepted; below 1 - sure the speaker is rejected.
        mine: Leave out words whose speaker is not accepted.
        json: Write JSON lines with the keys file, word, start, end (in seconds), ratio and speaker, instead of FILE,
            START-END, the word and the decision on the speaker. A file without any word gives a line whose word is
            null, or "-".
        resample: Take recordings at other sample rates than the network's too.
    """
    from dataclasses import replace

    from jaxmeta.cli.output import show
    from jaxmeta.data.recordings import read_features
    from jaxmeta.verification.gate import make_gate
    from jaxmeta.verification.spotting import spot
    from jaxmeta.verification.user import load_user

    gate = make_gate(prior, sure)
    if not files:
        raise ValueError("no files to search; name one or more after the enrolment.")
    assistant, known = load_user(user)
    features = read_features(replace(assistant.card.features, trim_db=None), files, resample=resample)
    for file, frames in zip(files, features, strict=True):
        spotted = spot(assistant, known, frames, ratio)
        shown = [(each, gate.decide(each.voice)) for each in spotted]
        shown = [(each, decision) for each, decision in shown if decision == "accept" or not mine]
        for each, decision in shown:
            row = {"file": str(file), "word": each.word, "start": round(each.start, 2), "end": round(each.end, 2)}
            row |= {"ratio": round(each.ratio, 2), "speaker": decision}
            line = f"{file}\t{each.start:.2f}-{each.end:.2f}\t{each.word}\t{decision}"
            show("spot", row, line, as_json=json)
        if not shown:
            show("spot", {"file": str(file), "word": None}, f"{file}\t-", as_json=json)
