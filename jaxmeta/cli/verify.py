"""`jaxmeta verify DIR FILE...`"""

from pathlib import Path

from tyro.conf import Positional

from jaxmeta.cli.ranges import Certainty, Probability


def verify(
    user: Positional[Path],
    files: Positional[tuple[Path, ...]],
    prior: Probability = 0.5,
    sure: Certainty = 0.9,
    json: bool = False,
    resample: bool = False,
) -> None:
    """Say whether it is the enrolled voice that speaks in audio files: accept, unsure or reject.

    Args:
        user: Folder that `jaxmeta enroll` wrote.
        files: Audio files: WAV, FLAC, Ogg Vorbis, Ogg Opus or MP3.
        prior: Probability that it is the user who speaks, before anything is heard.
        sure: Probability afterwards from which the speaker is accepted; below 1 - sure the speaker is rejected.
        json: Write JSON lines with the keys file, decision, probability and ratio (the log-likelihood ratio in nats),
            instead of FILE, the decision and the probability.
        resample: Take recordings at other sample rates than the network's too.
    """
    from jaxmeta.cli.output import show
    from jaxmeta.data.recordings import read_features
    from jaxmeta.verification.assistant import embed_voices
    from jaxmeta.verification.gate import make_gate
    from jaxmeta.verification.recordings import LEAST_SOUND
    from jaxmeta.verification.user import load_user

    gate = make_gate(prior, sure)
    if not files:
        raise ValueError("no files to verify; name one or more after the enrolment.")
    assistant, known = load_user(user)
    voices = embed_voices(
        assistant, read_features(assistant.card.features, files, resample=resample, least_sound=LEAST_SOUND)
    )
    for file, ratio in zip(files, assistant.voice_ratios(known.prototype, voices).tolist(), strict=True):
        chance, decision = gate.posterior(ratio), gate.decide(ratio)
        row = {"file": str(file), "decision": decision, "probability": round(chance, 4), "ratio": round(ratio, 2)}
        show("verify", row, f"{file}\t{decision}\t{chance:.3f}", as_json=json)
