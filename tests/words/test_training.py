"""Learners of spoken words: every one has a preset, training resumes, and what is trained is read again."""

import functools
from typing import get_args

import jax
import numpy as np
import pytest

from jaxmeta import Ragged
from jaxmeta.data.corpus import load_corpus
from jaxmeta.data.word_corpora import FEATURES, load_words, noise_features
from jaxmeta.evaluation import few_shot
from jaxmeta.models.clip_encoders import residual
from jaxmeta.words.learners import learners
from jaxmeta.words.presets import PRESETS, LearnerName, WordsPreset
from jaxmeta.words.training import closed_form, train_words, trained_words
from tests.words.conftest import tones_folder  # noqa: F401

SMALL = WordsPreset(2, 2, 0, 3, ((1, 2, 1),), 1e-3, 16, "random")


def test_every_learner_has_a_preset_in_every_preset():
    names = set(learners(residual, None))
    assert names == set(get_args(LearnerName)) and all(set(presets) == names for presets in PRESETS.values())


@pytest.mark.parametrize("name", ["protonet", pytest.param("r2d2", marks=pytest.mark.slow)])
def test_closed_forms_have_the_same_rows_whether_each_recording_is_encoded_once_or_in_every_episode(
    tmp_path,
    tones_folder,  # noqa: F811
    name,
):
    heard = load_corpus(tones_folder, FEATURES, progress=False)
    network = functools.partial(residual, width=16)
    clip = Ragged(np.ones((2, 8, heard.frames.shape[1]), np.float32), np.array([8, 5], np.int32))
    params, state = learners(network, None)[name](3, 0).init(jax.random.key(0), clip)
    protocol, rows = few_shot.Protocol(3, 4, 30, 1, "layer"), []
    for norm in ("layer", "batch"):  # of which only the first may be encoded once
        method = closed_form(name, network, params, state, tmp_path / norm, 0.0, norm)
        assert (method.encoder is None) == (norm == "batch")
        rows += few_shot.evaluate([few_shot.Test(method, "tones", heard, 2, 0)], protocol)
    assert 100 / 3 < rows[0]["accuracy"] < 100  # a row that tells methods apart
    # A query between two prototypes may fall to either by rounding.
    assert rows[0]["accuracy"] == pytest.approx(rows[1]["accuracy"], abs=0.5)
    assert rows[0] | {"accuracy": 0, "ci95": 0} == rows[1] | {"accuracy": 0, "ci95": 0}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tones_folder):  # noqa: F811
    """A folder of two updates on tones, the words, and the methods."""
    folder, data = tmp_path_factory.mktemp("words"), load_words([tones_folder])
    train = functools.partial(
        train_words, data.train, folder, noise=noise_features()[:2], fingerprints=data.fingerprints, ways=3
    )
    return folder, data, train, train(preset=SMALL)


@pytest.mark.slow
def test_a_finished_run_is_only_loaded_and_evaluates_alike(trained):
    folder, data, train, methods = trained
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("checkpoints/*"))
    run, read = trained_words(folder, "protonet")
    for again in (train(preset=SMALL), read):
        for one, other in zip(methods, again, strict=True):
            assert one.name == other.name
            jax.tree.map(np.testing.assert_array_equal, one.params, other.params)
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("checkpoints/*")) == before
    assert run["ways"] == 3 and run["training_ways"] == 3 and run["data"] == data.fingerprints
    protocol = few_shot.Protocol(3, 4, 4, 1, "layer")
    rows = few_shot.evaluate(few_shot.tests(read, data.test, (1,)), protocol)
    assert [row["method"] for row in rows] == ["protonet", "fine-tuned classifier", "cosine of log-mels"]


def test_a_run_of_other_settings_and_a_missing_one_are_refused(trained):
    folder, _, train, _ = trained
    with pytest.raises(ValueError, match=r"another config: .*seed=0 there, 1 here"):
        train(preset=SMALL, seed=1)
    with pytest.raises(ValueError, match="holds no run of maml"):
        trained_words(folder, "maml")
    with pytest.raises(ValueError, match="largest feasible"):
        train(preset=SMALL._replace(batches=((50, 50, 1),)))
