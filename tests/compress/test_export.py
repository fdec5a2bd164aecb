"""Exported models and learners: the same numbers at any size, in a process without this package, and damage."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Model, Ragged, anil, losses
from jaxmeta.compress import artefact
from jaxmeta.compress.artefact import ArtefactError, load
from jaxmeta.compress.export import export_learner, export_model
from jaxmeta.compress.quantize import dequantise_params, quantise_params
from jaxmeta.models.acoustic import Size, recogniser
from jaxmeta.models.clip_encoders import residual
from jaxmeta.recognition.adaptation import fine_tuning
from tests.programs import compiled

pytest.importorskip("flatbuffers", reason='jax.export needs the extra "export"')
KEY = jax.random.key(0)
KERNEL = {"kernel": jnp.ones((8, 2))}
LINEAR = Model(lambda key, inputs: (KERNEL, {}), lambda params, state, inputs, *_: (inputs @ params["kernel"], state))


def speech(rows, frames, seed=0):
    lengths = np.random.default_rng(seed).integers(frames // 2, frames + 1, rows).astype(np.int32)
    return Ragged(jax.random.normal(jax.random.key(seed), (rows, frames, 8)), lengths)


def transcribed(rows, frames, labels, seed=0):
    lengths = np.random.default_rng(seed).integers(1, labels + 1, rows).astype(np.int32)
    values = np.random.default_rng(seed).integers(1, 5, (rows, labels)).astype(np.int32)
    return Batch(speech(rows, frames, seed), Ragged(values, lengths), np.ones(rows, np.float32))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A recogniser whose head adapts, its weights as int8, and the artefact of it."""
    model = recogniser(5, "gru", Size(8, 1))
    params, state = compiled(model.init)(KEY, speech(1, 32))
    learner, small = fine_tuning(model, "head", 0.1, 2), quantise_params(params)
    path = tmp_path_factory.mktemp("export") / "voice.zip"
    about = {"what": "a test"}
    return learner, params, small, export_learner(path, learner, small, state, transcribed(3, 32, 4), about=about)


def flat(batch):
    return jax.tree.leaves(batch.inputs), jax.tree.leaves(batch.targets), batch.weight


def test_an_exported_learner_adapts_and_predicts_as_the_library_does(exported):
    learner, _, small, path = exported
    exported, params = load(path), dequantise_params(small)
    batch = transcribed(5, 57, 6)  # not the numbers of the export
    fast, expected = exported.adapt(*flat(batch)), compiled(learner.adapt)(params, {}, batch, KEY)[0]
    for actual, leaf in zip(fast, jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(actual, leaf, atol=1e-5)
    predict = compiled(lambda clips: learner.predict(params, {}, expected, clips, KEY, False)[0])
    for frames in (16, 40, 41, 90, 200):
        clips = speech(frames % 3 + 1, frames, seed=frames)
        outputs = exported.predict(fast, jax.tree.leaves(clips))
        for actual, leaf in zip(outputs, jax.tree.leaves(predict(clips)), strict=True):
            np.testing.assert_allclose(actual, leaf, atol=1e-5)


@pytest.mark.slow
def test_attention_and_words_are_exported_too(tmp_path):
    for model in (recogniser(5, "conformer", Size(8, 1)), residual(3, width=8)):
        params, state = compiled(model.init)(KEY, speech(2, 30))
        exported = load(export_model(tmp_path / "model.zip", model, params, state, speech(2, 30), platforms=("cpu",)))
        assert exported.adapt is None and exported.start is None and exported.card["platforms"] == ["cpu"]
        clips = speech(3, 50)
        expected = compiled(lambda clips, p=params, m=model, s=state: m.apply(p, s, clips, KEY, False)[0])(clips)
        for actual, leaf in zip(exported.predict((), jax.tree.leaves(clips)), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(actual, leaf, atol=1e-5)


def test_what_it_starts_from_is_the_model_itself_and_only_the_head_is_a_users(exported):
    _, _, small, path = exported
    exported = load(path)
    start = exported.start()
    head = dequantise_params(small)["head"]
    assert sum(leaf.nbytes for leaf in start) == sum(leaf.nbytes for leaf in jax.tree.leaves(head))
    for actual, leaf in zip(start, jax.tree.leaves(head), strict=True):
        np.testing.assert_array_equal(actual, leaf)
    assert exported.card["what"] == "a test" and exported.card["inputs"][0] == [["m", "s", "8"], "float32"]


@pytest.mark.slow
def test_codes_are_stored_as_codes(exported):
    _, params, _, path = exported
    with zipfile.ZipFile(path) as file:
        stored = np.load(file.open("weights.npz"))
        assert {stored[name].dtype.name for name in stored.files} == {"float32", "int8"}
        kernels = sum(leaf.size for leaf in jax.tree.leaves(params) if leaf.ndim > 1)
        assert sum(stored[name].size for name in stored.files if stored[name].ndim > 1) >= kernels


@pytest.mark.slow
def test_a_process_with_only_jax_and_numpy_adapts_alike(exported, tmp_path):
    learner, _, small, path = exported
    batch, clips = transcribed(2, 40, 3), speech(2, 48, seed=1)
    arrays = {f"i{n}": leaf for n, leaf in enumerate(jax.tree.leaves(batch.inputs))}
    arrays |= {f"t{n}": leaf for n, leaf in enumerate(jax.tree.leaves(batch.targets))}
    arrays |= {f"c{n}": leaf for n, leaf in enumerate(jax.tree.leaves(clips))} | {"weight": batch.weight}
    np.savez(tmp_path / "in.npz", **arrays)
    code = f"""
import importlib.util, sys, numpy as np
spec = importlib.util.spec_from_file_location("artefact", {artefact.__file__!r})
artefact = importlib.util.module_from_spec(spec); sys.modules["artefact"] = artefact; spec.loader.exec_module(artefact)
x = np.load("in.npz")
one = artefact.load({str(path)!r})
fast = one.adapt((x["i0"], x["i1"]), (x["t0"], x["t1"]), x["weight"])
np.save("out.npy", one.predict(fast, (x["c0"], x["c1"]))[0])
assert not {{"jaxmeta", "flax", "optax", "librosa"}} & set(sys.modules), "imported more than jax and numpy"
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    params = dequantise_params(small)
    fast, _ = compiled(learner.adapt)(params, {}, batch, KEY)
    expected = compiled(learner.predict, static_argnums=5)(params, {}, fast, clips, KEY, False)[0].values
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-5)


@pytest.mark.slow
def test_a_word_learner_with_labels_is_exported_too(tmp_path):
    learner = anil(residual(3, width=8), losses.cross_entropy, optax.sgd(0.1), 2)
    batch = Batch(speech(6, 40), jnp.arange(6) % 3, jnp.ones(6))
    params, state = compiled(learner.init)(KEY, batch.inputs)
    exported = load(export_learner(tmp_path / "words.zip", learner, params, state, batch))
    fast = exported.adapt(*flat(batch))
    expected = compiled(learner.adapt)(params, state, batch, KEY)[0]
    clips = speech(4, 70)
    outputs = compiled(learner.predict, static_argnums=5)(params, state, expected, clips, KEY, False)[0]
    np.testing.assert_allclose(exported.predict(fast, jax.tree.leaves(clips))[0], outputs, atol=1e-5)


@pytest.fixture(scope="module")
def small_artefact(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "model.zip"
    return export_model(path, LINEAR, KERNEL, {}, jnp.ones((3, 8)))


def rewritten(source: Path, target: Path, **changes):
    """The artefact with parts changed by functions of their bytes, or left out where the function is None."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            change = changes.get(name.split(".")[0], lambda content: content)
            if change is not None:
                new.writestr(name, change(old.read(name)))
    return target


def card(**changes):
    return lambda content: json.dumps(json.loads(content) | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": lambda content: content[:-1] + b"x"}, "weights.npz is damaged"),
        ({"predict": lambda content: b"x" + content[1:]}, "predict is damaged"),
        ({"predict": None}, "has no predict; copy it again"),
        ({"card": None}, "is no artefact, for it has no card.json"),
        ({"card": lambda content: b"{}"}, "no artefact's card"),
        ({"card": card(format=2)}, "is of format 2, and this reads 1"),
        ({"card": card(weights=[[[1], "float32"]])}, "holds other shapes than card.json says"),
        ({"card": card(platforms=["tpu"])}, "was exported for tpu, and this is cpu"),
    ],
)
def test_a_damaged_or_foreign_artefact_is_refused_with_the_reason(small_artefact, tmp_path, changes, message):
    with pytest.raises(ArtefactError, match=message):
        load(rewritten(small_artefact, tmp_path / "changed.zip", **changes))


def test_other_files_are_no_artefacts(tmp_path, small_artefact):
    (tmp_path / "text").write_text("no zip")
    with pytest.raises(ArtefactError, match="text: is no artefact, or is damaged"):
        load(tmp_path / "text")
    (tmp_path / "half").write_bytes(small_artefact.read_bytes()[:1000])
    with pytest.raises(ArtefactError, match="half: is no artefact, or is damaged"):
        load(tmp_path / "half")


def test_the_cards_own_keys_are_its_own(tmp_path):
    with pytest.raises(ValueError, match="about has 'format'"):
        export_model(tmp_path / "x.zip", LINEAR, KERNEL, {}, jnp.ones((3, 8)), about={"format": 3})
    assert not list(tmp_path.iterdir())
