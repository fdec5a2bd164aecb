"""`jaxmeta train recogniser MANIFEST... --out DIR`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import OmitArgPrefixes, Positional

from jaxmeta.cli.ranges import Roots, Seed, Updates, Within
from jaxmeta.cli.training.together import Processes, prepared_together
from jaxmeta.recognition.presets import PRESETS, replaced

if TYPE_CHECKING:
    from jaxmeta.cli.training.decoder import DecoderTraining
    from jaxmeta.cli.training.on_base import TrainingOnBase
    from jaxmeta.recognition.corpora import TranscribedSpeech
    from jaxmeta.recognition.pretrained.decoder.training import TrainedDecoder
    from jaxmeta.recognition.recogniser import Recogniser


def train_recogniser(
    manifests: Positional[tuple[Path, ...]] = (),
    *,
    out: Path,
    preset: Literal["quick", "full"] = "quick",
    updates: Updates | None = None,
    encoder: Literal["dnn", "gru", "lstm", "conformer"] | None = None,
    size: Literal["tiny", "small", "base", "large"] | None = None,
    seed: Seed = 0,
    synthesised: bool = False,
    drop_infeasible: bool = False,
    base: Path | None = None,
    adapters: Annotated[int, Within(0, 1_000)] | None = None,
    layers: Annotated[int, Within(0, 1_000)] | None = None,
    head: Literal["ctc", "decoder"] | None = None,
    language: str | None = None,
    learner: Literal["maml", "fomaml", "reptile", "anil", "meta_sgd", "layer_rates"] | None = None,
    root: Roots = (),
    json: bool = False,
    dry_run: bool = False,
    processes: OmitArgPrefixes[Processes] = Processes(),
) -> None:
    """Train a recogniser of speech on folders of recordings with transcripts.

    Some speakers are held out, and the error on them is written at the end: those whose rows the column split calls
    val or test, or else a tenth of all. The folder that is written is what `jaxmeta adapt`, `jaxmeta transcribe` and
    `jaxmeta export` take. An interrupted command resumes where it was when it is given again.

    Args:
        manifests: Folders with a metadata.csv whose columns file_name and transcription name the recordings and say
            what is said in each; speaker and split are columns, too, where they are known.
        out: Folder for the recogniser and the results; must not exist yet, but for an interrupted training.
        preset: How large a network, and how long to train.
        updates: Updates of training, instead of the preset's; with --base, of each of its stages.
        encoder: Kind of network, instead of the preset's; with --base, kind of the head.
        size: Of the network, instead of the preset's; from 0.2 to 5 million weights. Not with --base.
        seed: Of everything random.
        synthesised: Train on synthesised English sentences instead of recordings; needs the extra "synth". The folder
            then holds `voice`, too: recordings of a speaker who was held out.
        drop_infeasible: Leave out recordings that are too short for their transcripts, instead of stopping.
        base: Folder of a public Whisper, wav2vec2, HuBERT or WavLM (config.json, model.safetensors). Its weights stay
            frozen; what is on top of the encoder learns first, then low-rank adapters of the encoder together with it.
            The result holds what learnt.
        adapters: Rank of the adapters on --base, instead of the preset's; 0: the head of CTC alone learns.
        layers: Uppermost layers of the encoder of --base that get adapters, instead of the preset's.
        head: What is on top of the encoder of --base: "decoder", which is that of a Whisper, of which low-rank adapters
            learn, or "ctc", a new head; without it the decoder where there is one.
        language: Of the recordings, such as "de", for the decoder of a Whisper of many languages; English without it.
        learner: With --base, meta-learns from where `jaxmeta adapt` starts, with the speakers as tasks; meta_sgd and
            layer_rates learn the rates of its steps too.
        root: Folder that the recordings lie in, if it is not that of their metadata.csv; may be given several times.
        json: Write the result as a line of JSON.
        dry_run: Say what would be read, trained and written, and about how long it takes; write nothing.
        processes: Several processes that train together.
    """
    from jaxmeta.cli.output import results_of, show
    from jaxmeta.data.synthesis.sentences import accented_sentences
    from jaxmeta.progress import stage, stages
    from jaxmeta.recognition.corpora import FEATURES, copy_voice, read_corpora
    from jaxmeta.recognition.training import train_recogniser
    from jaxmeta.training.runtime import begin

    training = replaced(PRESETS[preset], updates=updates, encoder=encoder, size=size)
    on_base = _on_base(
        base, preset, size, head, language, updates=updates, kind=encoder, rank=adapters, layers=layers, learner=learner
    )
    _check(manifests, out, synthesised)
    if dry_run:
        from jaxmeta.cli.planning.training import plan_recogniser

        plan = plan_recogniser(manifests, out, training, on_base, drop=drop_infeasible, roots=root, seed=seed)
        plan.show("train recogniser", as_json=json)
        return
    begin()
    with processes.joined() as leave, stages(4) as seconds:
        with stage("preparing the speech"), prepared_together(() if on_base else manifests, FEATURES, root):
            folders = [accented_sentences(seed)] if synthesised else manifests
            read = read_corpora if on_base is None else on_base.read
            speech = read(folders, seed=seed, drop=drop_infeasible or synthesised, roots=root)
        _describe(speech, training.max_frames / 100 if on_base is None else on_base.longest)
        with stage("training"):
            config = {"data": sorted(speech.fingerprints.values())}
            if on_base is None:
                trained: Recogniser | TrainedDecoder = train_recogniser(
                    speech.train, speech.held_out, speech.vocabulary, training, out / "training", seed=seed,
                    config=config,
                )  # fmt: skip
            else:
                trained = on_base.train(speech, out / "training", seed, config)
        if not leave():
            return
        if synthesised:
            copy_voice(speech.held_out.select(split="test"), folders[0], out / "voice")
        text = f"{_test_and_write(trained, speech, out, seed, seconds)}written to {out}"
        if synthesised:
            text += f"\nrecordings of a voice to try it on: {out / 'voice'}"
        show("train recogniser", {"out": str(out), "rows": results_of(out)}, text, as_json=json)


def _check(manifests: tuple[Path, ...], out: Path, synthesised: bool) -> None:
    if synthesised == bool(manifests):
        raise ValueError("name one or more folders of recordings, or give --synthesised instead; not both, not none.")
    if (out / "results.json").exists():
        raise ValueError(f"--out {out} exists and holds a trained recogniser; name a new folder, or delete it.")
    if out.exists() and not (out / "training").is_dir():
        raise ValueError(f"--out {out} exists and holds no interrupted training; name a new folder, or delete it.")


def _on_base(
    base: Path | None, preset: str, size: str | None, head: str | None, language: str | None, **given: Any
) -> TrainingOnBase | DecoderTraining | None:
    """Training on a public network, where one is given."""
    from jaxmeta.cli.pretrained.whisper import refuse
    from jaxmeta.cli.training.decoder import prepare_decoder, usual_head
    from jaxmeta.cli.training.on_base import prepare

    if base is None:
        if any(each is not None for each in (given["rank"], given["layers"], given["learner"], head, language)):
            raise ValueError(
                "--adapters, --layers, --head, --language and --learner need a public network; give its folder by "
                "--base."
            )
        return None
    refuse({"--size": size}, base, "whose size is what it is")
    if head == "decoder" and usual_head(base) != head:
        raise ValueError(f"--head decoder: {base} has no decoder; give --head ctc, or leave the option out.")
    if (head or usual_head(base)) == "ctc":
        refuse({"--language": language}, base, "with a head for CTC, which learns any language")
        return prepare(base, preset, **given)
    refuse({"--encoder": given.pop("kind")}, base, "whose own decoder learns; give --head ctc for a new head")
    return prepare_decoder(base, preset, language or "en", **given)


def _describe(speech: TranscribedSpeech, longest: float) -> None:
    """Say on standard error what is trained on and what is held out; recordings of more seconds are left out."""
    config = speech.train.config
    left_out = 0 if config is None else int((speech.train.length > longest * config.frame_rate).sum())
    print(
        f"training on {speech.train.describe()}; {speech.vocabulary.size - 1} characters; held out: "
        f"{speech.held_out.describe()}, by {speech.how}"
        + (f"; {left_out:,} recordings longer than {longest:g} s are left out" if left_out else ""),
        file=sys.stderr,
    )


def _test_and_write(
    trained: Recogniser | TrainedDecoder, speech: TranscribedSpeech, out: Path, seed: int, seconds: dict[str, float]
) -> str:
    """Test on the held-out speakers, and write the recogniser, then the results, whose file says that all is there."""
    from jaxmeta.progress import stage
    from jaxmeta.recognition.recogniser import Recogniser
    from jaxmeta.recognition.validation import error_table, held_out_errors, text_errors
    from jaxmeta.training.report import stamp, write_results

    with stage("testing on the speakers held out"):
        if isinstance(trained, Recogniser):
            rows = held_out_errors(trained, speech.held_out, seed)
        else:
            rows = text_errors(trained.texts(speech.held_out), speech.held_out, seed)
    with stage("writing the recogniser"):
        run = stamp(seed, sys.argv, speech.fingerprints)
        trained.save(out, run)
        table = error_table(rows)
        (out / "results.md").write_text(f"{table}\n`{' '.join(map(str, run['argv']))}`\n", encoding="utf-8")
        write_results(out, rows, run | {"seconds": dict(seconds)})
    return table
