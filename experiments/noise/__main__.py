"""What noise does to a recogniser, and what adaptation to a speaker in that noise gives back.

    python -m experiments.noise --preset quick                  # 5 minutes of processor time, no data
    JAXMETA_DATA=DIR python -m experiments.noise --preset full  # hours

A CTC recogniser of characters is trained on many speakers in noise of some types. Then speakers that it never heard are
recognised in silence, in noise of seen and unseen types at 20, 10, 5 and 0 dB, and in rooms; unadapted, adapted to five
transcribed utterances in the same condition (by fine-tuning, and by MAML whose tasks were speakers in conditions), and
adapted at test time to the sound of what is to be recognised, without transcripts. The same utterances are heard in
every condition. Rates and steps are chosen on validation speakers in seen noise, with the same grid for all.

The quick preset synthesises speech, noise and rooms; the full one reads `en_nonnative_sentences`, `noise_esc10` (half
of its types seen), `noise_long` and `rir_iosr` under JAXMETA_DATA. Writes results.json, results.md and a plot for each
group of noises. Expected numbers: experiments/README.md.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from experiments.adapt_asr.recipes import PLAIN
from experiments.noise.recipes import PRESETS, TUNED, Plan
from jaxmeta.recognition.meta_training import replaced

if TYPE_CHECKING:
    from experiments.adapt_asr.data import SpeechData
    from experiments.adapt_asr.methods import Method
    from experiments.noise.conditions import Sounds
    from experiments.noise.report import Setting
    from jaxmeta.types import PyTree


@dataclass(frozen=True)
class Config:
    """Recognition in noise, before and after adaptation."""

    preset: Literal["quick", "full"] = "quick"
    """Which speech and noise, and how long to train."""
    methods: tuple[str, ...] = ()
    """Which methods; none: those of the preset."""
    updates: int | None = None
    """Updates of training in noise, instead of the preset's."""
    meta_updates: int | None = None
    """Updates of meta-training, instead of the preset's."""
    speakers: int | None = None
    """Test speakers, instead of the preset's number."""
    plain: Path | None = None
    """Working directory of `adapt_asr`: training goes on from its plainly trained recogniser, and fewer updates do."""
    seed: int = 0
    """Of everything random."""
    workdir: Path = Path("runs/noise")
    """Checkpoints, logs and results; the same command resumes there."""


def main(config: Config) -> dict:
    """Train, adapt, and write the results; returns what results.json holds.

    Raises:
      ValueError: no data, an unknown method, or a working directory that holds another run.
    """
    from experiments.adapt_asr.report import Trained
    from experiments.noise.methods import noise_methods
    from experiments.noise.report import choose, table
    from jaxmeta.models.acoustic import Size

    plan = _plan(config)
    data, sounds = _data(config)
    known = noise_methods(data.vocabulary.size, plan.recipe.encoder, Size(plan.recipe.width, plan.recipe.depth))
    if unknown := [name for name in plan.methods if name not in known]:
        raise ValueError(f"methods has {unknown[0]!r}; there are {', '.join(known)}.")
    print(f"training on {data.train.describe()}; {len(sounds.bank)} stretches of noise", file=sys.stderr)
    weights = _train(config, plan, data, sounds)
    params = {name: _params(name, known[name], config, plan, data, sounds, weights) for name in plan.methods}
    tuned, tested = _settings(config, plan, data, sounds)
    chosen = {name: choose(name, known[name], params[name], tuned, plan.rates, plan.steps) for name in plan.methods}
    unadapted = Trained("unadapted", known["fine-tune all"].build, weights, 0.0, 0, 0.0)
    return _write(config, data, sounds, table(unadapted, chosen, known, tested))


def _plan(config: Config) -> Plan:
    plan = PRESETS[config.preset]
    recipe = replaced(plan.recipe, config.meta_updates, updates=config.updates)
    return plan._replace(
        recipe=recipe, methods=config.methods or plan.methods, speakers=config.speakers or plan.speakers
    )


def _data(config: Config) -> tuple[SpeechData, Sounds]:
    from experiments.adapt_asr.data import recorded_sentences, synthesised_sentences
    from experiments.noise.conditions import RECORDED, artificial_sounds, recorded_sounds

    if config.preset == "quick":
        data = synthesised_sentences(config.seed)
        voices = [data.folder / name for name in data.train.columns["file_name"][::10]]
        return data, artificial_sounds(voices, config.seed)
    data, home = recorded_sentences(), Path(os.environ["JAXMETA_DATA"])
    if missing := [name for name in RECORDED if not (home / name).is_dir()]:
        raise ValueError(f"JAXMETA_DATA={str(home)!r} holds no {missing[0]}; point it there, or use --preset quick.")
    return data, recorded_sounds(home, config.seed)


def _train(config: Config, plan: Plan, data: SpeechData, sounds: Sounds) -> PyTree:
    """Weights of the recogniser that is trained on all speakers at once, in noise."""
    from experiments.noise.training import plain_weights, train_in_noise

    start = None if config.plain is None else plain_weights(config.plain, data, plan.recipe, config.seed)
    return train_in_noise(
        data, sounds.bank, plan, config.seed, config.workdir / "plain",
        _decides(config, plan, data, sounds), start,
    )  # fmt: skip


def _params(
    name: str, method: Method, config: Config, plan: Plan, data: SpeechData, sounds: Sounds, weights: PyTree
) -> PyTree:
    """What a method starts from with a new speaker: meta-trained, or the weights as they are."""
    from experiments.noise.training import meta_train_in_noise

    meta = plan.recipe.meta
    start = method.start(weights, meta.inner_rate)
    if method.meta is None:
        return start
    return meta_train_in_noise(
        method.meta(meta.inner_rate, meta.steps), start, data, sounds.bank, plan, config.seed,
        config.workdir / name, _decides(config, plan, data, sounds) | meta.decides() | {"method": name},
    )  # fmt: skip


def _settings(config: Config, plan: Plan, data: SpeechData, sounds: Sounds) -> tuple[list[Setting], list[Setting]]:
    """Validation speakers in the conditions of `TUNED`, and test speakers in all of them."""
    from experiments.noise.report import settings

    def part(name: str, corpus, conditions, speakers: int) -> list[Setting]:
        return settings(
            corpus, data.folder, data.vocabulary, conditions, speakers, config.seed, config.workdir / "heard" / name
        )

    tuned = [condition for condition in sounds.conditions if condition.name in TUNED]
    return part("val", data.val, tuned, plan.validation), part("test", data.test, sounds.conditions, plan.speakers)


def _write(config: Config, data: SpeechData, sounds: Sounds, rows: list[dict]) -> dict:
    """Print the table and write results.json, results.md and the plots."""
    from experiments.adapt_asr.report import plot
    from experiments.noise.report import show
    from jaxmeta.training.report import stamp, write_results

    run = stamp(config.seed, sys.argv, data.fingerprints | {"noise": sounds.digest})
    text = show(rows)
    print(text)
    config.workdir.mkdir(parents=True, exist_ok=True)
    (config.workdir / "results.md").write_text(f"{text}\n`{' '.join(map(str, run['argv']))}`\n", encoding="utf-8")
    write_results(config.workdir, rows, run)
    for kind in dict.fromkeys(row["kind"] for row in rows if row["snr"] is not None):
        own = [row for row in rows if row["kind"] == kind]
        plot(config.workdir, kind, own, "snr", f"signal over {kind} noise (dB)")
    return {"rows": rows, "run": run}


def _decides(config: Config, plan: Plan, data: SpeechData, sounds: Sounds) -> dict:
    """What plainly trained weights depend on."""
    held = {name: getattr(plan.recipe, name) for name in PLAIN}
    plain = None if config.plain is None else str(config.plain.resolve())
    rest = {"buckets": plan.buckets, "seed": config.seed, "noise": sounds.digest, "plain": plain}
    return held | rest | {"data": data.fingerprints}


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.noise", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
