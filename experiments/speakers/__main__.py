"""Does a recogniser gain from knowing who speaks: from a vector of the speaker, or from ten seconds of speech?

    JAXMETA_DATA=DIR python -m experiments.speakers --base FOLDER --weights resemblyzer_ge2e.safetensors

The encoder, such as that of Whisper tiny.en, stays frozen, as does the lowest layer of a CTC head that is trained on
all training speakers. What is above learns on.

- vector: frames are scaled and shifted by a linear map (FiLM) of a public embedding of the speaker, from five other
  utterances. The same network learns without a vector, with the speaker's, and with a stranger's, for as long.
- steps: three utterances, about ten seconds, adapt all weights at one learned rate for each layer, as Klejch et al.
  2019 do: meta-trained to first or second order, with transcripts or with those that the recogniser itself writes.

Writes results.json and results.md. All numbers: README.md in this folder.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jaxmeta.recognition.presets import MetaTraining

if TYPE_CHECKING:
    from experiments.speakers.data import Sentences
    from jaxmeta.data.corpus import Corpus
    from jaxmeta.data.sampling.support_query_splits import AdaptationEpisodes
    from jaxmeta.evaluation.adaptation import AdaptationProtocol
    from jaxmeta.evaluation.choosing import ChosenMethod
    from jaxmeta.evaluation.transcripts import Transcripts
    from jaxmeta.types import Model, PyTree, Ragged

RATE, BATCH = 1e-3, 32
SHOTS = 3
"""Utterances of ten seconds together."""
RATES, STEPS = (0.003, 0.01, 0.03, 0.1, 0.3), (1, 3, 10)
"""Of fine-tuning; learned rates are used with each number of steps, too. Chosen on validation speakers."""
META = MetaTraining(60, 1e-3, tasks=2, support=SHOTS, query=5, steps=3, inner_rate=0.03, longest=400)
COLUMNS: dict[str, str | tuple[str, str, str]] = {
    "part": "", "trained with": "", "tested with": "", "validation": ".1f", "rate": "g", "steps": "d",
    "CER": ("cer", "", ".1f"), "change": ("change", "", "+.2f"), "gain": ("gain", "", "+.1f"),
    "own": ("own", "", "+.2f"),
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """A recogniser that is told who speaks."""

    base: Path
    """Folder of a public encoder."""
    weights: Path
    """A safetensors file of Resemblyzer."""
    parts: tuple[Literal["vector", "steps"], ...] = ("vector", "steps")
    """Which questions to answer."""
    written: tuple[Literal["transcripts", "first pass"], ...] = ("transcripts", "first pass")
    """What steps are taught by: what was said, or what the recogniser wrote itself."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of everything that is trained on top of the frozen layers."""
    head_updates: int = 800
    """Of the head before anything is frozen, with one seed."""
    updates: int = 300
    """Of each network with or without a vector."""
    workdir: Path = Path("runs/speakers")
    """Checkpoints, logs and results; the same command resumes there."""


def main(config: Config) -> dict[str, Any]:
    """Train, adapt, and write the results; returns what results.json holds.

    Raises:
      ValueError: the corpus is missing, or other weights.
    """
    from experiments.speakers.data import load_sentences
    from jaxmeta.training.report import interval_table, stamp, write_tables

    sentences = load_sentences(config.base, config.workdir / "head", config.head_updates, BATCH)
    rows: list[dict[str, Any]] = []
    result: dict[str, Any] = {}
    for part in config.parts:
        rows += {"vector": vector_rows, "steps": step_rows}[part](config, sentences)
        run = stamp(config.seeds[0], sys.argv, sentences.fingerprints)
        result = write_tables(config.workdir, interval_table(rows, COLUMNS), rows, run)
    return result


def vector_rows(config: Config, sentences: Sentences) -> list[dict[str, Any]]:
    """Error rates of networks that learnt with no vector, the speaker's and a stranger's, over all seeds."""
    import numpy as np

    from experiments.speakers import data
    from jaxmeta.models.pretrained.context import with_modulation

    embeddings = data.speaker_vectors(config.weights)
    own = data.enrolled_elsewhere(sentences.train, embeddings, 0)
    white = data.whitening(own)
    model = with_modulation(sentences.upper.model(sentences.vocabulary.size), data.NUMBERS)
    own = white(own)
    taught = {"none": 0 * own, "own": own, "stranger's": strangers(sentences.train, own)}
    results: dict[tuple[str, str], list[Transcripts]] = {}
    validation: dict[tuple[str, str], list[float]] = {}
    for seed in config.seeds:
        for name, vectors in taught.items():
            corpus = data.with_vectors(sentences.train, vectors)
            params = _learn(config, sentences, model, corpus, name, seed)
            for tested in {"none": ("none",), "own": ("own", "stranger's", "none")}.get(name, ("none", name)):
                for episodes, into in ((sentences.val, validation), (sentences.test, results)):
                    told = enrolled(episodes, white(data.embeddings_of(episodes.corpus, embeddings)), tested)
                    texts = recognise(model, params, told, episodes, sentences)
                    error = texts if into is results else texts.rates()["cer"]
                    into.setdefault((name, tested), []).append(error)  # type: ignore[union-attr,arg-type]
    floor = _pooled(results["none", "none"])
    rows = []
    for (name, tested), seeds in results.items():
        pooled = _pooled(seeds)
        row: dict[str, Any] = {"part": "vector", "trained with": name, "tested with": tested} | pooled.rates()
        row |= {"validation": float(np.mean(validation[name, tested])), "each": [one.rates()["cer"] for one in seeds]}
        rows.append(row | _against(pooled, floor, _pooled(results["own", "stranger's"]), name == tested == "own"))
    return rows


def _learn(config: Config, sentences: Sentences, model: Model, corpus: Corpus, name: str, seed: int) -> PyTree:
    import jax.numpy as jnp

    from experiments.speakers.data import NUMBERS
    from jaxmeta.data.augmentation.transforms import augment_episode, spec_augment
    from jaxmeta.data.sampling.utterances import batch_sampler
    from jaxmeta.recognition.adaptation import LOSS
    from jaxmeta.training.fit import fit, supervised

    upper = sentences.upper
    masks = spec_augment(time_masks=2, time_width=8, frequency_masks=1, frequency_width=16, time_fraction=0.1)

    def augment(key, inputs: Ragged) -> Ragged:
        frames, vectors = inputs.values[..., :-NUMBERS], inputs.values[..., -NUMBERS:]
        frames, lengths = masks(key, inputs._replace(values=frames))
        return inputs._replace(values=jnp.concatenate([frames, vectors], -1), lengths=lengths)

    return fit(
        supervised(model, LOSS), batch_sampler(corpus, sentences.vocabulary, seed=seed, size=BATCH, buckets=2),
        config.updates, RATE, config.workdir / f"{name}-{seed}".replace("'", ""),
        augment=augment_episode(augment, on="query"), features=corpus.frames.shape[1], seed=seed,
        config={"vector": name, "updates": config.updates, "start": upper.digest, "seed": seed},
        params={"weights": upper.params, "film": jnp.zeros((NUMBERS, 2 * upper.width))},
    ).params  # fmt: skip


def strangers(corpus: Corpus, vectors: Any) -> Any:
    """The vectors of other utterances, each by another speaker."""
    import numpy as np

    names, index = np.unique(corpus.columns["speaker"], return_inverse=True)
    rng = np.random.default_rng(0)
    other = (index + rng.integers(1, len(names), len(index))) % len(names)
    rows = [np.flatnonzero(index == number) for number in range(len(names))]
    return vectors[[rng.choice(rows[number]) for number in other.tolist()]]


def enrolled(episodes: AdaptationEpisodes, vectors: Any, tested: str) -> Corpus:
    """The corpus of a test with the vector of five utterances that are not recognised; a stranger is the next one."""
    import numpy as np

    from experiments.speakers.data import with_vectors

    told, groups = np.zeros_like(vectors), episodes.groups
    for place, group in enumerate(groups):
        by = groups[(place + (tested == "stranger's")) % len(groups)]
        told[group.query] = 0 if tested == "none" else vectors[by.support].mean(0)
    return with_vectors(episodes.corpus, told)


def recognise(
    model: Model, params: PyTree, corpus: Corpus, episodes: AdaptationEpisodes, sentences: Sentences
) -> Transcripts:
    """What a network recognises of the queries of a test, by the best path."""
    import jax
    import numpy as np

    from experiments.speakers.data import ROWS
    from jaxmeta.decoding.greedy import greedy
    from jaxmeta.evaluation.transcripts import Transcripts
    from jaxmeta.recognition.transcription import transcribe_rows

    rows = np.concatenate([group.query for group in episodes.groups])
    run = jax.jit(lambda inputs: greedy(model.apply(params, {}, inputs, jax.random.key(0), False)[0]))
    texts = transcribe_rows(corpus, sentences.vocabulary, rows, episodes.padded, run, ROWS)
    said, speakers = (corpus.columns[name][rows].tolist() for name in ("transcription", "speaker"))
    return Transcripts(said, texts, speakers)


def step_rows(config: Config, sentences: Sentences) -> list[dict[str, Any]]:
    """Error rates after steps on ten seconds of speech, by one rate and by learned ones, over all seeds."""
    from experiments.speakers.data import first_pass
    from jaxmeta.evaluation.adaptation import AdaptationProtocol, supports_of_others

    rows: list[dict[str, Any]] = []
    for written in config.written:
        train, val, test = sentences.train, sentences.val, sentences.test
        labels = None
        if written == "first pass":
            labels, val, test = first_pass(sentences, train), _relabelled(sentences, val), _relabelled(sentences, test)
        protocols = [
            AdaptationProtocol(episodes, sentences.vocabulary, config.workdir / f"{name} {written}")
            for name, episodes in (("val", val), ("test", test), ("others", supports_of_others(test)))
        ]
        results: dict[str, list[tuple[ChosenMethod, Transcripts, Transcripts]]] = {}
        for seed in config.seeds:
            for method in _methods(config, sentences, protocols[0], labels, written, seed):
                adapted, others = (_adapted(method, protocol, SHOTS) for protocol in protocols[1:])
                results.setdefault(method.name, []).append((method, adapted, others))
        floor = _adapted(results["fine-tune"][0][0], protocols[1], 0)
        if not rows:
            rows.append({"part": "steps", "trained with": "-", "tested with": "nothing"} | floor.rates())
        for name, seeds in results.items():
            chosen, pooled = seeds[0][0], _pooled([each[1] for each in seeds])
            row = {"part": "steps", "trained with": name, "tested with": written, "validation": chosen.error}
            row |= {"rate": chosen.rate, "steps": chosen.steps} | pooled.rates()
            others = _pooled([each[2] for each in seeds])
            rows.append(row | _against(pooled, _pooled([floor] * len(seeds)), others, True))
    return rows


def _methods(
    config: Config, sentences: Sentences, val: AdaptationProtocol, labels: Ragged | None, written: str, seed: int
) -> list[ChosenMethod]:
    from jaxmeta import first_order, meta_sgd
    from jaxmeta.data.sampling.utterances import utterance_sampler
    from jaxmeta.evaluation.choosing import choose
    from jaxmeta.recognition.adaptation import LOSS
    from jaxmeta.recognition.pretrained.meta_training import FINE_TUNING, adapter_methods, meta_train
    from jaxmeta.types import Episode

    upper = sentences.upper
    model = upper.model(sentences.vocabulary.size)
    known = adapter_methods(model, upper.width)
    learned = known["layer_rates"]
    first = learned._replace(meta=lambda rate, steps: meta_sgd(model, LOSS, rate, steps, first_order()))
    true = utterance_sampler(
        sentences.train, sentences.vocabulary, support=SHOTS, query=META.query, tasks=META.tasks, seed=seed, buckets=1
    )
    support = true if labels is None else replace(true, labels=labels)
    methods = {"layer rates, second order": learned, "layer rates, first order": first}
    chosen = []
    for name, method in ({FINE_TUNING: known[FINE_TUNING]} | methods).items():
        params = meta_train(
            method, upper.params, lambda index: Episode(support(index).support, true(index).query), META,
            config.workdir / f"{name} {written} {seed}", width=upper.width, seed=seed,
            config={"method": name, "written": written, "start": upper.digest},
        )  # fmt: skip

        def error(rate: float, steps: int, name=name, method=method, params=params) -> float:
            texts = val.transcribe(name, method.build, params, SHOTS, rate, steps)
            return texts.rates()["cer"]

        rates = RATES if method.scale else (META.inner_rate,)
        chosen.append(choose(name, method.build, params, error, rates, STEPS))
    return chosen


def _relabelled(sentences: Sentences, episodes: AdaptationEpisodes) -> AdaptationEpisodes:
    from experiments.speakers.data import first_pass

    return replace(episodes, labels=first_pass(sentences, episodes.corpus))


def _adapted(method: ChosenMethod, protocol: AdaptationProtocol, shots: int) -> Transcripts:
    return protocol.transcribe(method.name, method.build, method.params, shots, method.rate, method.steps)


def _pooled(seeds: list[Transcripts]) -> Transcripts:
    """Of all seeds together; intervals draw speakers, with what every seed recognised of them."""
    from jaxmeta.evaluation.transcripts import Transcripts

    return Transcripts(*([row for each in seeds for row in each[part]] for part in range(3)))


def _against(texts: Transcripts, floor: Transcripts, other: Transcripts, own: bool) -> dict[str, float]:
    columns = texts.change_from(floor).columns("change") | texts.avoided(floor).columns("gain")
    return columns | (texts.change_from(other).columns("own") if own else {})


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.speakers", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
