"""What the commands that train would do, and every error that lists and headers of files show before any training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxmeta.cli.planning.plan import START, Plan, Reading, audio, network_seconds, recordings, weights_of
from jaxmeta.data.word_corpora import FEATURES, Words, load_words

if TYPE_CHECKING:
    from jaxmeta.cli.training.decoder import DecoderTraining
    from jaxmeta.cli.training.on_base import TrainingOnBase
    from jaxmeta.evaluation.few_shot import Protocol
    from jaxmeta.recognition.corpora import TranscribedSpeech
    from jaxmeta.recognition.presets import RecogniserPreset
    from jaxmeta.verification.presets import AssistantPreset
    from jaxmeta.words.presets import LearnerName, WordsPreset

CLIP = 64
"""Frames of a word, about."""
PLACES = 2
"""Of the spectrum at which a convolution uses a weight, for each frame: strides halve both, layer by layer."""
SYNTHESIS = 60.0
"""Seconds of processor time to synthesise the built-in words and sentences, the first time."""
INNER = 4
"""What an update with an inner loop costs, in updates of a closed form."""
DECODER = 1.4e-8
"""Seconds of processor time for each weight of a Whisper's decoder, in an update (tiny.en)."""
META = 8
"""What an update of a start for a decoder costs, in updates of its training (layer_rates, three steps)."""
EMBEDDING = 250.0
"""Seconds of processor time to embed an hour of speech for a wake word, and what is made for the word itself."""


def manifests(folders: Sequence[Path], roots: Sequence[Path]) -> list[Reading]:
    """What lists name."""
    from jaxmeta.data.manifest import read_manifest

    return [recordings(folder, read_manifest(folder, roots).clips()) for folder in folders]


def declared_words(folders: Sequence[Path], roots: Sequence[Path], seed: int) -> Words:
    """As `load_words` of recordings, without features."""
    from jaxmeta.cli.planning.declared import declared_corpus

    return load_words(folders, seed=seed, load=partial(declared_corpus, config=FEATURES, roots=roots))


def plan_words(
    folders: Sequence[Path],
    out: Path,
    learner: LearnerName,
    preset: WordsPreset,
    shots: Sequence[int],
    protocol: Protocol,
    *,
    noise: Sequence[Path],
    roots: Sequence[Path],
    seed: int,
) -> Plan:
    """Of `jaxmeta train words`; without folders, the words would be synthesised."""
    from jaxmeta.evaluation.few_shot import check_feasible
    from jaxmeta.models.clip_encoders import residual
    from jaxmeta.words.presets import METRIC

    if folders:
        check_feasible(declared_words(folders, roots, seed).test, shots, protocol)
    weights = weights_of(residual(width=preset.width), FEATURES.n_mels)
    own = preset.updates * (1 if learner in METRIC else INNER)
    seconds = network_seconds(weights, 160 * CLIP * PLACES, own + preset.baseline_updates)
    seconds += 0 if folders else SYNTHESIS
    reads = manifests([*folders, *noise], roots)
    return Plan(reads, out / learner, seconds, f"{learner}, and a classifier beside it", weights, preset.updates)


def plan_assistant(
    folders: Sequence[Path], out: Path, preset: AssistantPreset, *, noise: Sequence[Path], roots: Sequence[Path],
    seed: int,
) -> Plan:  # fmt: skip
    """Of `jaxmeta train assistant`; without folders, the words would be synthesised."""
    from jaxmeta.models.speaker import word_and_speaker
    from jaxmeta.verification.building import check_speakers
    from jaxmeta.verification.training import EMBEDDING

    if folders:
        data = declared_words(folders, roots, seed)
        val = {name: data.val.get(name, corpus) for name, corpus in data.test.items()}
        check_speakers(data.train, val, val)
    weights = weights_of(word_and_speaker(None, width=preset.width, embedding=EMBEDDING), FEATURES.n_mels)
    seconds = network_seconds(weights, (160 + 2 * preset.clips) * CLIP * PLACES, preset.updates)
    seconds += 0 if folders else SYNTHESIS
    reads = manifests([*folders, *noise], roots)
    return Plan(reads, out, seconds, "a network for words and voices", weights, preset.updates)


def plan_recogniser(
    folders: Sequence[Path], out: Path, preset: RecogniserPreset, on_base: TrainingOnBase | DecoderTraining | None, *,
    drop: bool, roots: Sequence[Path], seed: int,
) -> Plan:  # fmt: skip
    """Of `jaxmeta train recogniser`; without folders, the sentences would be synthesised."""
    from jaxmeta.cli.planning.declared import declared_corpus
    from jaxmeta.cli.training.on_base import TrainingOnBase
    from jaxmeta.recognition.corpora import FEATURES as LOG_MELS
    from jaxmeta.recognition.corpora import read_corpora

    speech: TranscribedSpeech | None = None
    if folders:
        read: Callable[..., TranscribedSpeech] = read_corpora if on_base is None else on_base.read
        speech = read(folders, seed=seed, drop=drop, roots=roots, load=declared_corpus)
    reads = manifests(folders, roots)
    if on_base is not None:
        plan = _on_base(on_base, out, reads) if isinstance(on_base, TrainingOnBase) else _decoder(on_base, out, reads)
        return plan._replace(seconds=plan.seconds + (0 if folders else SYNTHESIS))
    from jaxmeta.models.acoustic import SIZES, recogniser

    characters = 30 if speech is None else speech.vocabulary.size
    weights = weights_of(recogniser(characters, preset.encoder, SIZES[preset.encoder][preset.size]), LOG_MELS.n_mels)
    seconds = network_seconds(weights, preset.frames_per_batch, preset.updates)
    seconds += 0 if folders else SYNTHESIS
    return Plan(reads, out, seconds, f"a recogniser ({preset.encoder}, {preset.size})", weights, preset.updates)


def _on_base(on_base: TrainingOnBase, out: Path, reads: list[Reading]) -> Plan:
    from jaxmeta.cli.planning.plan import folder

    training = on_base.training
    adapts = training.rank > 0 and training.layers > 0
    updates = training.frozen.updates + training.adapted.updates * adapts
    meta = 0 if on_base.learner is None else training.meta.updates
    below = sum(leaf.size for leaf in _leaves(on_base.encoder.params))
    # The frozen layers run once over all recordings, at about 50 frames a second; those above them at each update.
    hours = sum(each.hours for each in reads)
    seconds = network_seconds(below // 3, 180_000 * hours, 1) + network_seconds(
        below * training.layers // on_base.encoder.layers, training.frames_per_batch, updates + INNER * meta
    )
    trains = f"a head{' and adapters' * adapts} on a public encoder"
    trains += f", then a start for adaptation by {on_base.learner}" if meta else ""
    return Plan([*reads, folder(on_base.folder)], out, seconds, trains, None, updates + meta)


def _decoder(training: DecoderTraining, out: Path, reads: list[Reading]) -> Plan:
    from jaxmeta.cli.planning.plan import folder

    whisper, preset = training.base.recogniser, training.training
    encoder, decoder = (sum(leaf.size for leaf in _leaves(whisper.params[part])) for part in ("encoder", "decoder"))
    later = preset.adapted.updates * (preset.layers > 0)
    upper = encoder * preset.layers // whisper.config.encoder_layers
    # The encoder runs once over all recordings; the layers that adapt once more at each update of the second stage, and
    # back, but without gradients of weights and at twice the rate of smaller networks.
    seconds = network_seconds(encoder // 3, 180_000 * sum(each.hours for each in reads), 1)
    seconds += network_seconds(upper // 3, preset.frames_per_batch, later)
    meta = 0 if training.learner is None else preset.meta.updates
    seconds += DECODER * decoder * (preset.frozen.updates + later + META * meta)
    trains = "adapters of a public Whisper's decoder"
    trains += f", then a start for adaptation by {training.learner}" if meta else ""
    reads = [*reads, folder(training.base.folder)]
    return Plan(reads, out, seconds, trains, None, preset.frozen.updates + later + meta)


def _leaves(params: Any) -> list[Any]:
    import jax

    return jax.tree.leaves(params)


def plan_wakeword(
    positive: Path, files: Mapping[str, Sequence[Path]], embedding: Path, out: Path, updates: int
) -> Plan:
    """Of `jaxmeta train wakeword`; files are those of speech, noise and rooms, by the name of the option."""
    from jaxmeta.cli.planning.plan import folder
    from jaxmeta.words.wake.recordings import audio_files

    reads = [audio(positive, audio_files(positive)), folder(embedding)]
    reads += [audio(name, some) for name, some in files.items() if some]
    hours = sum(each.hours for each in reads)
    return Plan(reads, out, 3 * START + EMBEDDING * hours, "the head of a wake word", None, updates)
