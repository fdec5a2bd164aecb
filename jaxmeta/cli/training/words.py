"""`jaxmeta train words MANIFEST... --out DIR`"""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional

from jaxmeta.cli.ranges import Count, Roots, Seed, Updates, Within
from jaxmeta.cli.training.together import Processes, prepared_together
from jaxmeta.words.presets import EPISODES, PRESETS, LearnerName


def train_words(
    manifests: Positional[tuple[Path, ...]] = (),
    *,
    out: Path,
    learner: LearnerName = "protonet",
    preset: Literal["brief", "quick", "full"] | None = None,
    ways: Annotated[int, Within(2, 100_000)] = 5,
    shots: tuple[Count, ...] = (1, 5),
    queries: Count = 15,
    episodes: Count | None = None,
    steps: Annotated[int, Within(0, 100_000)] = 5,
    updates: Updates | None = None,
    seed: Seed = 0,
    synthesised: bool = False,
    noise: tuple[Path, ...] = (),
    root: Roots = (),
    json: bool = False,
    dry_run: bool = False,
    processes: OmitArgPrefixes[Processes] = Processes(),
) -> None:
    """Train a learner of new words from a few recordings of each, and test it on words and voices it never heard.

    Its rows stand beside the same network trained as a classifier and fine-tuned, and a floor that needs no training.
    The same command resumes, bit for bit, and computes no row twice.

    Args:
        manifests: Folders with a metadata.csv each, whose columns file_name and label name the recordings and the word
            in each. Further columns are speaker, split (of speakers: train, val, test) and word_split (of words);
            without the splits a third of the speakers and half of the words are held out for the test.
        out: Folder for checkpoints, logs and results: one of the learner, and one of the classifier, which is shared
            by the learners that are trained into the same folder.
        learner: What is meta-trained.
        preset: How long to train, and on how many synthesised words; None: quick, or brief for synthesised words alone.
        ways: Words of a test episode.
        shots: Recordings of each word to adapt to, in test episodes.
        queries: Recordings of each word to recognise, in test episodes.
        episodes: Test episodes behind each row; None: 600, or 200 with the preset brief.
        steps: Inner steps of learners that have them.
        updates: Of the learner and of the classifier, instead of the preset's.
        seed: Of everything random.
        synthesised: Add the built-in corpus of synthesised words, or train on it alone (the extra "synth").
        noise: Folders with a metadata.csv of noise, mixed into training recordings; none: artificial noise.
        root: Folder that the recordings lie in, if it is not that of their metadata.csv; may be given several times.
        json: Write the result as a line of JSON.
        dry_run: Say what would be read, trained and written, and about how long it takes; write nothing.
        processes: Several processes that train together.
    """
    if not manifests and not synthesised:
        raise ValueError("no folder of recordings to train on; name one or more, or add --synthesised.")
    from jaxmeta.cli.output import results_of, show
    from jaxmeta.data.word_corpora import FEATURES, SYNTHESISED, load_log_mels, load_words, noise_features
    from jaxmeta.evaluation.few_shot import Protocol, check_feasible, evaluate, tests, write_report
    from jaxmeta.progress import stage, stages
    from jaxmeta.training.report import stamp
    from jaxmeta.training.runtime import begin
    from jaxmeta.words.training import train_words as train

    preset = preset or ("quick" if manifests else "brief")
    chosen = PRESETS[preset][learner].with_updates(updates)
    protocol = Protocol(ways, queries, episodes or EPISODES[preset], seed + 1, "layer")
    if dry_run:
        from jaxmeta.cli.planning.training import plan_words

        plan = plan_words(manifests, out, learner, chosen, shots, protocol, noise=noise, roots=root, seed=seed)
        plan.show("train words", as_json=json)
        return
    begin()
    invented, load = chosen.pseudo if synthesised else None, partial(load_log_mels, roots=root)
    with processes.joined() as leave, stages(5) as seconds:
        with stage("preparing the speech"), prepared_together(manifests, FEATURES, root):
            data = load_words(manifests, invented=invented, seed=seed, load=load)
            check_feasible(data.test, shots, protocol)
            background = noise_features(noise, seed=seed)
        print(f"training on {data.train.describe()}", file=sys.stderr)
        if synthesised:
            print(f"synthesised recordings: {data.folders[SYNTHESISED]}", file=sys.stderr)
        methods = train(
            data.train, out, preset=chosen, noise=background, fingerprints=data.fingerprints, learner=learner,
            ways=ways, steps=steps, seed=seed,
        )  # fmt: skip
        if not leave():
            return
        with stage("testing"):
            rows = evaluate(tests(methods, data.test, shots), protocol)
        with stage("writing the results"):
            run = stamp(seed, sys.argv, data.fingerprints)
        table = write_report(out / learner, rows, run | {"seconds": dict(seconds)})
        show("train words", {"out": str(out / learner), "rows": results_of(out / learner)}, table, as_json=json)
