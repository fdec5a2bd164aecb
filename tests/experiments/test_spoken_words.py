"""The spoken-words experiment on a tiny corpus of tones: what is trained on, what is reported, what is refused."""

import dataclasses
import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from experiments.spoken_words import __main__ as spoken_words
from experiments.spoken_words import data, evaluation, learners, methods
from experiments.spoken_words.__main__ import Config, main
from experiments.spoken_words.recipes import PRESETS, Name
from jaxmeta.data.audio import write_audio
from jaxmeta.data.corpus import Corpus, load_corpus
from jaxmeta.data.manifest import write_manifest
from jaxmeta.models.words import residual

ROOT = Path(__file__).parents[2]


def tones(folder: Path, words=12, speakers=3, takes=4) -> Path:
    """A manifest of chirps: the word is the slope, the speaker the pitch; half of both are for testing."""
    columns = {name: [] for name in ("file_name", "label", "speaker", "split", "word_split")}
    for word in range(words):
        for speaker in range(2 * speakers):
            for take in range(takes):
                time = np.arange(4000) / 16000
                pitch = 300 + 60 * speaker + 5 * take
                wave = 0.3 * np.sin(2 * np.pi * (pitch * time + 600 * (word + 1) * time**2))
                name = f"audio/{word}_{speaker}_{take}.flac"
                (folder / "audio").mkdir(parents=True, exist_ok=True)
                write_audio(folder / name, wave.astype(np.float32), 16000)
                split, word_split = ("test" if speaker >= speakers else "train"), ("test" if word % 2 else "train")
                for column, value in zip(columns, (name, f"word{word}", f"s{speaker}", split, word_split), strict=True):
                    columns[column].append(value)
    write_manifest(folder, columns)
    return folder


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory):
    return tones(tmp_path_factory.mktemp("data") / "tones")


def corpus(**columns: list[str]) -> Corpus:
    rows = len(next(iter(columns.values())))
    start, length = np.arange(rows, dtype=np.int64), np.ones(rows, np.int32)
    return Corpus(np.zeros((rows, 2), np.float32), start, length, {k: np.array(v) for k, v in columns.items()})


def test_rows_of_a_split_agree_in_speaker_and_word():
    both = corpus(split=["train", "test", "test"], word_split=["test", "train", "test"])
    assert data.rows(both, "test").start.tolist() == [2]
    assert len(data.rows(corpus(label=["a", "b"]), "test")) == 2


def test_a_corpus_without_splits_has_words_and_speakers_held_out_for_good():
    plain = corpus(label=list("aabbccdd"), speaker=list("xyzxyzxy"))
    split, again = (data.with_splits(plain, "plain", 0) for _ in range(2))
    for name, column, heldout in (("split", "speaker", 1), ("word_split", "label", 2)):
        np.testing.assert_array_equal(split.columns[name], again.columns[name])
        parts = [set(split.columns[column][split.columns[name] == part]) for part in ("test", "train")]
        assert len(parts[0]) == heldout and not parts[0] & parts[1]
    with pytest.raises(ValueError, match="no column 'label'"):
        data.with_splits(corpus(speaker=["x"]), "plain", 0)
    with pytest.raises(ValueError, match="no row has word_split='test'"):
        data.with_splits(corpus(label=["a"], word_split=["train"]), "plain", 0)


def test_word_batches_give_recorded_speech_half_and_every_word_of_a_pool_alike():
    pools = ["recorded"] * 4 + ["synthesised", "invented", "invented"]
    words = data.WordBatches(corpus(corpus=["c"] * 7, label=list("aaabxyz"), pool=pools), size=8, seed=0)
    np.testing.assert_allclose(words.probability, [1 / 12] * 3 + [1 / 4, 1 / 4, 1 / 8, 1 / 8])
    assert words.names.tolist() == ["c/a", "c/b", "c/x", "c/y", "c/z"]
    first, again = words(3), words(3)
    np.testing.assert_array_equal(first.query.targets, again.query.targets)


def test_training_never_speaks_a_test_word(monkeypatch, corpus_folder):
    """What is handed to the synthesiser is told of every test label, and of the known corpora's test words."""
    told = {}

    def synthesise(pseudo, exclude, seed):
        told["exclude"] = set(exclude)
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "_synthesise", synthesise)
    with pytest.raises(KeyboardInterrupt):
        data.load_data([corpus_folder], 1, 0)
    assert {"word1", "word11", *data.SPELLINGS} <= told["exclude"]
    assert "word0" not in told["exclude"]


def test_the_floor_is_the_cosine_to_class_means_by_numpy(corpus_folder):
    """One episode by hand: 24 segments, standardised, unit vectors, cosine."""
    import jax

    from jaxmeta.data.sampling.episodes import episode_sampler
    from jaxmeta.models.layers import segment_pool
    from jaxmeta.models.words import standardise

    heard = load_corpus(corpus_folder, data.FEATURES, progress=False)
    episode = jax.tree.map(lambda leaf: leaf[0], episode_sampler(heard, ways=3, shots=2, queries=4, tasks=1, seed=0)(0))

    def unit(x):
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    def features(batch):
        return unit(np.asarray(standardise(segment_pool(*batch.inputs, 24))).reshape(len(batch.targets), -1))

    means = unit(np.stack([features(episode.support)[episode.support.targets == c].mean(0) for c in range(3)]))
    method = methods.floor(Path())
    encoder, _ = method.encoder
    support, query = (
        batch._replace(inputs=encoder.apply({}, {}, batch.inputs, jax.random.key(0), False)[0]) for batch in episode
    )
    learner = method.build(3, 0)
    fast, _ = learner.adapt({}, {}, support, jax.random.key(0))
    logits, _ = learner.predict({}, {}, fast, query.inputs, jax.random.key(0), False)
    np.testing.assert_allclose(logits, features(episode.query) @ means.T, atol=1e-5)


@pytest.mark.parametrize("name", ["protonet", "r2d2"])
def test_closed_forms_have_the_same_rows_whether_each_recording_is_encoded_once_or_in_every_episode(
    tmp_path, corpus_folder, name
):
    import jax

    from jaxmeta import Ragged

    heard = load_corpus(corpus_folder, data.FEATURES, progress=False)
    network = functools.partial(residual, width=16)
    clip = Ragged(np.ones((2, 8, heard.frames.shape[1]), np.float32), np.array([8, 5], np.int32))
    params, state = learners.learners(network, None)[name](3, 0).init(jax.random.key(0), clip)
    protocol, rows = evaluation.Protocol(3, 4, 30, 1, "layer"), []
    for norm in ("layer", "batch"):  # of which only the first may be encoded once
        method = methods.closed_form(name, network, params, state, tmp_path / norm, 0.0, norm)
        assert (method.encoder is None) == (norm == "batch")
        rows += evaluation.evaluate([evaluation.Test(method, "tones", heard, 2, 0)], protocol)
    assert 100 / 3 < rows[0]["accuracy"] < 100  # a row that tells methods apart
    # A query between two prototypes may fall to either by rounding.
    assert rows[0]["accuracy"] == pytest.approx(rows[1]["accuracy"], abs=0.5)
    assert rows[0] | {"accuracy": 0, "ci95": 0} == rows[1] | {"accuracy": 0, "ci95": 0}


def test_a_row_is_computed_once_unless_the_code_or_the_weights_change(monkeypatch, tmp_path, corpus_folder):
    heard = load_corpus(corpus_folder, data.FEATURES, progress=False)
    calls = []
    monkeypatch.setattr(evaluation, "_row", lambda test, encoding, protocol, advance: calls.append(test) or {"n": 1})
    monkeypatch.setattr(evaluation, "source_digest", lambda *packages: "before")
    test = evaluation.Test(methods.floor(tmp_path)._replace(encoder=None), "tones", heard, 1, 0)
    protocol = evaluation.Protocol(3, 4, 8, 1, "layer")
    assert evaluation.evaluate([test], protocol) == evaluation.evaluate([test], protocol) == [{"n": 1}]
    assert len(calls) == 1
    trained = test._replace(method=test.method._replace(params={"weight": np.ones(2)}))
    evaluation.evaluate([trained], protocol)
    monkeypatch.setattr(evaluation, "source_digest", lambda *packages: "after")
    evaluation.evaluate([test, trained], protocol)
    assert len(calls) == 4


def test_fine_tuning_starts_from_chance(corpus_folder):
    import jax

    network = functools.partial(residual, width=16)
    baseline = methods.classifier(network, 7)
    heard = load_corpus(corpus_folder, data.FEATURES, progress=False)
    from jaxmeta.training.fit import initial_state, make_optimizer

    train = initial_state(baseline, make_optimizer(1, 1e-3), heard.frames.shape[1], 0)
    method = methods.fine_tuned(network, train.params, train.state, 5, Path())
    from jaxmeta import Ragged

    clip = Ragged(np.ones((2, 8, heard.frames.shape[1]), np.float32), np.array([8, 5], np.int32))
    predict = jax.jit(method.build(5, 1).predict, static_argnums=5)
    logits, _ = predict(method.params, {}, method.params, clip, jax.random.key(0), False)
    np.testing.assert_array_equal(logits, np.zeros((2, 5)))


@pytest.mark.slow
def test_whole_course_and_another_manifest(monkeypatch, tmp_path, corpus_folder):
    """Trains two updates on tones alone, writes every promised field, resumes as a no-op, and evaluates elsewhere."""
    heard = load_corpus(corpus_folder, data.FEATURES, progress=False)
    monkeypatch.setattr(
        data, "load_data",
        lambda corpora, pseudo, seed: data.Data(
            data.rows(heard, "train").with_column("corpus", "tones").with_column("pool", "recorded"),
            {"tones": data.rows(heard, "test")}, {}, data.load_noise(seed)[:2], {"tones": heard.fingerprint},
            {"tones": corpus_folder},
        ),
    )  # fmt: skip
    monkeypatch.delenv("JAXMETA_DATA", raising=False)
    monkeypatch.setattr(spoken_words, "STEPS_CURVE", (1,))  # every other number of steps is one more compilation
    config = Config(updates=2, ways=3, shots=(1,), queries=3, episodes=4, steps=1, curve=True, workdir=tmp_path / "run")
    main(config)
    written = json.loads((tmp_path / "run" / "protonet" / "results.json").read_text())
    promised = {"corpus", "method", "ways", "shots", "steps", "accuracy", "ci95", "episodes", "transductive"}
    assert all(promised <= set(row) for row in written["rows"])
    assert {row["method"] for row in written["rows"]} == {"protonet", "fine-tuned classifier", "cosine of log-mels"}
    assert {"seed", "argv", "commit", "device", "packages", "data"} <= set(written["run"])
    assert list(written["run"]["seconds"]) == [
        "preparing the speech", "training the classifier", "training protonet", "testing", "writing the results",
    ]  # fmt: skip
    for picture in ("steps_tones.png", "accuracy_tones.png"):
        assert (tmp_path / "run" / "protonet" / picture).stat().st_size > 1000
    elsewhere = main(Config(evaluate=corpus_folder, workdir=config.workdir, shots=(1,), ways=3, queries=3, episodes=4))
    assert elsewhere["rows"][0]["accuracy"] == written["rows"][0]["accuracy"]
    with pytest.raises(ValueError, match="another config"):
        main(dataclasses.replace(config, seed=1))


def test_evaluating_without_a_run_says_so(tmp_path):
    with pytest.raises(ValueError, match="holds no run"):
        main(Config(evaluate=tmp_path, workdir=tmp_path / "none"))


def test_an_unknown_corpus_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXMETA_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="corpora='nowhere'"):
        data.find_corpora(("nowhere",))
    assert data.find_corpora(()) == []
    (tmp_path / "here").mkdir()
    with pytest.raises(ValueError, match="twice"):
        data.find_corpora(("here", str(tmp_path / "here")))


def test_every_learner_has_a_recipe_in_every_preset():
    names = set(learners.learners(residual, None))
    assert names == set(get_args(Name)) and all(set(recipes) == names for recipes in PRESETS.values())


def test_a_typo_in_a_flag_says_what_was_meant():
    command = [sys.executable, "-m", "experiments.spoken_words", "--shot", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0 and "--shots" in done.stdout + done.stderr
