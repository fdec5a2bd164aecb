"""Every kind of file that is written, with something small in it, and how it is read.

Arrays are made by numpy: nothing is compiled.
"""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import numpy as np
import soundfile

from jaxmeta.data import file_hashes
from jaxmeta.data.cache import cached_array, cached_features
from jaxmeta.data.extraction import extract_chunks, read_chunk
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.manifest import Manifest, read_manifest, write_manifest
from jaxmeta.data.vocabulary import build_vocabulary, load_vocabulary
from jaxmeta.evaluation.result_cache import ResultCache
from jaxmeta.files.sealed import read_sealed, write_sealed
from jaxmeta.models.layers import speech_form
from jaxmeta.models.speaker import word_and_speaker
from jaxmeta.recognition.recogniser import Recogniser, RecogniserCard, load_recogniser, network, save_recogniser
from jaxmeta.training.checkpoint import restore, save
from jaxmeta.training.health import Health, read_health, write_health
from jaxmeta.training.runlog import RunLog, read_metrics
from jaxmeta.training.update import TrainState
from jaxmeta.verification.assistant import Assistant, AssistantCard, load_assistant, save_assistant
from jaxmeta.verification.calibration import Calibration
from jaxmeta.verification.user import User, load_user, save_user

MELS = FeatureConfig(n_mels=16, hop_length=160, normalize="none")
LINE = Calibration(1.0, 0.0)


class Written(NamedTuple):
    """Something on the disk."""

    read: Callable[[], Any]
    """What it says, as comparable values."""
    files: list[Path]
    """Those that damage is done to."""
    mended: bool = False
    """Whether what is damaged is made again, for it can be computed."""
    alone: bool = False
    """Whether nothing else says which file it is: a whole one of the same name, from elsewhere, is a whole one."""
    shorter: bool = False
    """Whether the first part of it is right too: a log, which a killed process leaves short."""


def below(folder: Path) -> list[Path]:
    """All files in a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def leaves(value: Any) -> list[Any]:
    """Numbers and texts of a tree, arrays as their bytes."""
    return [
        (str(leaf.dtype), leaf.shape, np.asarray(leaf).tobytes()) if hasattr(leaf, "shape") else leaf
        for leaf in jax.tree.leaves(value)
    ]


def filled(form: Any, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), form)


def checkpoint(folder: Path, seed: int = 0) -> Written:
    rng = np.random.default_rng(seed)
    params = {"kernel": rng.normal(size=(8, 8)).astype(np.float32), "bias": np.zeros(3, np.float32)}
    train = TrainState(np.int32(3), np.zeros(2, np.uint32), params, {}, {"count": np.int32(3)})
    save(folder, train)
    return Written(lambda: leaves(restore(folder, train)), below(folder))


def recogniser(folder: Path, seed: int = 0) -> Written:
    card = RecogniserCard("dnn", {"width": 16, "depth": 1, "widths": {}}, MELS)
    vocabulary = build_vocabulary(["abc"[: 2 + seed % 2]])
    form, _ = jax.eval_shape(network(card, vocabulary).init, jax.random.key(0), speech_form(1, 8, 16))
    save_recogniser(folder, Recogniser(card, vocabulary, filled(form, seed)))

    def read() -> Any:
        loaded = load_recogniser(folder)
        return repr((loaded.card, loaded.vocabulary)), leaves(loaded.params)

    return Written(read, below(folder))


def tiny_assistant(seed: int) -> Assistant:
    rng, model = np.random.default_rng(seed), word_and_speaker(width=16, embedding=8)
    form, _ = jax.eval_shape(model.init, jax.random.key(0), speech_form(1, 8, 16))
    cohort, unknown, silence = (rng.normal(size=size).astype(np.float32) for size in ((6, 8), (3, 64), (2, 64)))
    card = AssistantCard(16, 8, MELS, 40, 6, 3, 2, 0, LINE, LINE, LINE)
    return Assistant(card, filled(form, seed), cohort, unknown, silence)


def assistant(folder: Path, seed: int = 0) -> Written:
    save_assistant(folder, tiny_assistant(seed))

    def read() -> Any:
        loaded = load_assistant(folder)
        return repr(loaded.card), leaves(loaded._replace(card=None))

    return Written(read, below(folder))


def user(folder: Path, seed: int = 0) -> Written:
    rng = np.random.default_rng(seed)
    voice, words = rng.normal(size=8).astype(np.float32), rng.normal(size=(2, 64)).astype(np.float32)
    save_user(folder, tiny_assistant(seed), User(voice, 4, ("hum", "whistle"), words, (2, 2)))

    def read() -> Any:
        network, known = load_user(folder)
        return repr((network.card, known.words, known.clips, known.counts)), leaves(known), leaves(network.params)

    return Written(read, below(folder))


def speech(folder: Path, seed: int) -> Manifest:
    """Three recordings of a quarter of a second."""
    rng, spoken = np.random.default_rng(seed), folder / "spoken"
    spoken.mkdir(parents=True)
    for row in range(3):
        soundfile.write(spoken / f"{row}.wav", 0.1 * rng.normal(size=4_000), 16_000)
    write_manifest(spoken, {"file_name": [f"{row}.wav" for row in range(3)]})
    return read_manifest(spoken)


def features(folder: Path, seed: int = 0) -> Written:
    """The cache of features, and the index of hashes, in the cache folder of the process."""
    manifest, cache = speech(folder, seed), folder / "cache"

    def read() -> Any:
        # Files that are a second old might change again within their time stamps, and would not be in the index.
        with (
            mock.patch.dict(os.environ, {"JAXMETA_HOME": str(cache)}),
            mock.patch.object(file_hashes, "_SETTLED", -60.0),
        ):
            hashes = file_hashes.content_hashes(manifest, progress=False)
            computed = cached_features(manifest, hashes, MELS, workers=1, progress=False)
        return leaves((np.array(computed.frames), computed.lengths)), computed.mixed

    read()
    return Written(read, below(cache), mended=True)


def chunks(folder: Path, seed: int = 0) -> Written:
    """Features of a part of the recordings, which an interrupted run finds again."""
    manifest, cache = speech(folder, seed), folder / "cache"
    hashes = file_hashes.content_hashes(manifest, progress=False)

    def read() -> Any:
        paths = extract_chunks(cache, manifest, hashes, MELS, None, 1, False)
        return [leaves(read_chunk(path)) for path in paths]

    read()
    return Written(read, below(cache), mended=True, alone=True)


def noise(folder: Path, seed: int = 0) -> Written:
    """An array of the cache, such as features of noise."""
    folder.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).normal(size=(4, 20, 16)).astype(np.float32)
    written = Written(lambda: leaves(cached_array(folder / "noise.npz", lambda: values)), [], mended=True, alone=True)
    written.read()
    return written._replace(files=below(folder))


def vocabulary(folder: Path, seed: int = 0) -> Written:
    folder.mkdir(parents=True, exist_ok=True)
    build_vocabulary([f"ab {'cd'[seed % 2]}"]).save(folder / "vocabulary.json")
    return Written(lambda: load_vocabulary(folder / "vocabulary.json"), below(folder), alone=True)


def settings(folder: Path, seed: int = 0) -> Written:
    """The files that say how a run goes: run.json, health.json and best.json."""
    folder.mkdir(parents=True, exist_ok=True)
    write_sealed(folder / "run.json", "run", {"rate": 0.1 + seed, "data": ["5f0a"], "recipe": {"updates": 40}})
    write_health(folder, Health(updates=40 + seed, average=0.25, first=2.5))
    write_sealed(folder / "best.json", "best", {"step": 20, "score": 0.75 + seed})

    def read() -> Any:
        run, best = (read_sealed(folder / f"{kind}.json", kind, "delete it") for kind in ("run", "best"))
        return run, best, read_health(folder)

    return Written(read, below(folder), alone=True)


def metrics(folder: Path, seed: int = 0) -> Written:
    with RunLog(folder, 100, stream=io.StringIO()) as log:
        for step in range(1, 40):
            log.write(step, {"loss": seed + 1 / step})
    return Written(lambda: json.dumps(read_metrics(folder)), [folder / "metrics.jsonl"], alone=True, shorter=True)


def results(folder: Path, seed: int = 0) -> Written:
    """The cache of results, which are computed again where the file is damaged."""

    def read() -> Any:
        cache = ResultCache(folder)
        return [cache.get(["words", row], lambda row=row: {"error": row / 7 + seed}) for row in range(8)]

    read()
    return Written(read, below(folder), mended=True, alone=True)


KINDS = {
    "checkpoints": checkpoint,
    "recognisers": recogniser,
    "assistants": assistant,
    "users": user,
    "features and their index": features,
    "chunks of features": chunks,
    "vocabularies": vocabulary,
    "run.json, health.json, best.json": settings,
    "metrics.jsonl": metrics,
    "results of evaluation": results,
    "features of noise": noise,
}
