"""`jaxmeta train assistant MANIFEST... --out DIR`"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tyro.conf import OmitArgPrefixes, Positional

from jaxmeta.cli.ranges import Roots, Seed, Updates
from jaxmeta.cli.training.together import Processes, prepared_together
from jaxmeta.verification.presets import ASSISTANTS, AssistantPreset


def train_assistant(
    manifests: Positional[tuple[Path, ...]] = (),
    *,
    out: Path,
    preset: Literal["brief", "quick", "full"] | None = None,
    updates: Updates | None = None,
    seed: Seed = 0,
    synthesised: bool = False,
    noise: tuple[Path, ...] = (),
    root: Roots = (),
    json: bool = False,
    dry_run: bool = False,
    processes: OmitArgPrefixes[Processes] = Processes(),
) -> None:
    """Train one network for words and voices, for `jaxmeta enroll`, `verify` and `spot`.

    Scores are calibrated on speakers that it was not trained on, and errors of verification told on those held out
    for the test. The same command resumes, bit for bit.

    Args:
        manifests: Folders with a metadata.csv each, whose columns file_name, label and speaker name the recordings, the
            word in each and who says it: several recordings of each word by each speaker. A column split (of speakers:
            train, val, test) says who is held out; without it a third of the speakers is. Without speakers for
            validation, scores are calibrated on those held out for the test.
        out: Folder for the assistant, checkpoints, the log and results. With synthesised words alone it also gets
            recordings to try it on: folders `voice`, to be enrolled, and `clips`.
        preset: How long to train, how large a network, and on how many synthesised words; None: quick, or brief for
            synthesised words alone.
        updates: Instead of the preset's.
        seed: Of everything random.
        synthesised: Add the built-in corpus of synthesised words, or train on it alone (the extra "synth").
        noise: Folders with a metadata.csv of noise, mixed into training recordings and told from words; none:
            artificial noise.
        root: Folder that the recordings lie in, if it is not that of their metadata.csv; may be given several times.
        json: Write the result as a line of JSON.
        dry_run: Say what would be read, trained and written, and about how long it takes; write nothing.
        processes: Several processes that train together.
    """
    if not manifests and not synthesised:
        raise ValueError("no folder of recordings to train on; name one or more, or add --synthesised.")
    from jaxmeta.cli.output import aside, results_of, show
    from jaxmeta.data.word_corpora import FEATURES, SYNTHESISED, load_log_mels, load_words, noise_features
    from jaxmeta.training.runtime import begin
    from jaxmeta.verification.building import SILENCE, check_speakers

    numbers = ASSISTANTS[preset or ("quick" if manifests else "brief")].with_updates(updates)
    if dry_run:
        from jaxmeta.cli.planning.training import plan_assistant

        plan = plan_assistant(manifests, out, numbers, noise=noise, roots=root, seed=seed)
        plan.show("train assistant", as_json=json)
        return
    begin()
    invented, load = numbers.invented if synthesised else None, partial(load_log_mels, roots=root)
    with processes.joined() as leave:
        with prepared_together(manifests, FEATURES, root):
            data = load_words(manifests, invented=invented, seed=seed, load=load)
            val = {name: data.val.get(name, corpus) for name, corpus in data.test.items()}
            check_speakers(data.train, val, val)
            background = noise_features(noise, seed=seed)
            if len(background) < 2 * SILENCE:
                raise ValueError(f"--noise gives {len(background)} stretches of two seconds; {2 * SILENCE} are needed.")
        print(f"training on {data.train.describe()}", file=sys.stderr)
        if synthesised:
            print(f"synthesised recordings: {data.folders[SYNTHESISED]}", file=sys.stderr)
        with aside(json):
            written = _train(data, val, background, numbers, out, seed, leave)
        if not written:
            return
        text = f"assistant written to {out}"
        if not manifests:
            from jaxmeta.words.examples import write_examples

            write_examples(data.test[SYNTHESISED], data.folders[SYNTHESISED], out)
            text += (
                f"\nrecordings to try it on: {out / 'voice'} to enrol, {out / 'clips'} to verify and to spot words in"
            )
        show("train assistant", {"out": str(out), "rows": results_of(out)}, text, as_json=json)


def _train(
    data: Any, val: Any, noise: Any, numbers: AssistantPreset, out: Path, seed: int, leave: Callable[[], bool]
) -> bool:
    """Train the network; in the process that goes on alone make it an assistant, and report. Says which one this is."""
    from jaxmeta.training.report import stamp
    from jaxmeta.verification.assistant import save_assistant
    from jaxmeta.verification.building import make_assistant, voices_of
    from jaxmeta.verification.training import AssistantTraining, speaker_stretches

    speakers = speaker_stretches(data.train.with_column("pool", data.train.columns["corpus"]))
    training = AssistantTraining(
        data.train, speakers, out, noise=noise, fingerprints=data.fingerprints, ways=numbers.ways,
        shots=numbers.shots, clips=numbers.clips, updates=numbers.updates, rate=numbers.rate, seed=seed,
    )  # fmt: skip
    fused = training.train_fused(numbers.width)
    if not leave():
        return False
    voices, run = voices_of(fused, speakers, seed), stamp(seed, sys.argv, data.fingerprints)
    assistant = make_assistant(
        fused, voices, words=data.train, val=val, val_words=val, noise=noise, width=numbers.width, seed=seed,
        origin=run,
    )  # fmt: skip
    save_assistant(out, assistant)
    _report(out, voices if assistant.card.top else voices._replace(cohort=None), data.test, run, seed)
    return True


def _report(out: Path, voices: Any, tested: Any, run: dict, seed: int) -> None:
    """Errors of verification of test speakers, as a table and in results.json and results.md."""
    from jaxmeta.training.report import write_titled_tables
    from jaxmeta.verification.protocols.speakers import verify_in_conditions

    rows, _ = verify_in_conditions([voices], tested, (1, 5), seed)
    write_titled_tables(out, {"Speakers that it was not trained on": rows}, run)
