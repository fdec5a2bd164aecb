"""Folders of card and weights: malformed cards give one line, flipped bits are noticed, NaN is not written."""

import hashlib
import json
import shutil
import tracemalloc
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta.bundle import BundleError, BundleKind, open_bundle, save_bundle
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.files.cards import OPTIONAL, CardError, Place, build
from jaxmeta.files.durable import write_bytes
from jaxmeta.models.layers import speech_form
from jaxmeta.recognition.recogniser import Recogniser, RecogniserCard, load_recogniser, network, save_recogniser

FEATURES = FeatureConfig(n_mels=16, hop_length=160, normalize="none")


def tiny():
    """A recogniser whose weights are zeros: nothing is compiled."""
    card, vocabulary = (
        RecogniserCard("dnn", {"width": 16, "depth": 1, "widths": {}}, FEATURES),
        build_vocabulary(["ab"]),
    )
    params, _ = jax.eval_shape(network(card, vocabulary).init, jax.random.key(0), speech_form(1, 8, 16))
    return Recogniser(card, vocabulary, jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), params))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_recogniser(tmp_path_factory.mktemp("bundle") / "recogniser", tiny())


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "recogniser")


def seal(path, text):
    """Write a card whose own hash is right, whatever it says."""
    own = json.loads(path.read_text())["sha256"][path.name]
    content = text.replace(own, "0" * 64).encode()
    path.write_bytes(content.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode()))


def put(*keys):
    """A change to a card: an entry, at the end of these keys, of this value."""
    *keys, name, value = keys

    def change(card):
        inner = card
        for key in keys:
            inner = inner[key]
        inner[name] = value

    return change


def drop(*keys):
    *keys, name = keys

    def change(card):
        inner = card
        for key in keys:
            inner = inner[key]
        del inner[name]

    return change


HOSTILE = [
    # what is done to the card, what the message names
    (put("kind", "something else"), "kind is 'something else' and must be 'recogniser'"),
    (put("kind", 7), "kind is 7"),
    (put("kind", None), "kind is None"),
    (drop("kind"), "kind is missing"),
    (put("format", 1), "format is 1 and must be 2"),
    (put("format", 99), "format is 99 and must be 2"),
    (put("format", "2"), "format is '2' and must be 2"),
    (put("format", 2.0), "format is 2.0 and must be 2"),
    (put("format", True), "format is True"),
    (drop("format"), "format is missing"),
    (drop("builder"), "builder is missing"),
    (put("builder", 3), "builder is 3 and must be a string"),
    (put("builder", ["gru"]), "builder is ['gru']"),
    (put("builder", "os.system"), "builder is 'os.system' and must be one of dnn, gru, lstm, conformer"),
    (put("options", None), "options is None and must be an object"),
    (put("options", [16, 1]), "options is [16, 1]"),
    (put("options", "width", "16"), "options.width is '16' and must be an integer"),
    (put("options", "width", 16.0), "options.width is 16.0"),
    (put("options", "width", 10**9), "options.width is 1000000000 and must be at most"),
    (put("options", "width", 10**30), "options.width is 1000000000"),
    (put("options", "width", -4), "width=-4 must be 1 or more"),
    (put("options", "width", 0), "width=0 must be 1 or more"),
    (put("options", "width", 24), "the weights do not fit card.json"),
    (put("options", "depth", 10**9), "depth=1000000000 must be at most 100"),
    (put("options", "depth", True), "options.depth is True"),
    (put("options", "depth", 2), "the weights do not fit card.json: encoder/Dense_1/bias is missing"),
    (drop("options", "depth"), "options.depth is missing"),
    (put("options", "colour", 1), "options.colour is 1 and must be left out"),
    (put("options", "widths", [3]), "options.widths is [3] and must be an object"),
    (put("options", "widths", {"front/Convolution_0": 10**9}), "options.widths.front/Convolution_0 is 1000000000"),
    (put("options", "widths", {"front/Convolution_0": "a"}), "options.widths.front/Convolution_0 is 'a'"),
    (put("features", "logmel"), "features is 'logmel' and must be an object"),
    (drop("features", "n_mels"), "features.n_mels is missing"),
    (put("features", "n_mels", "16"), "features.n_mels is '16'"),
    (put("features", "n_mels", 10**9), "FeatureConfig.n_mels"),
    (put("features", "kind", "tune"), "features.kind is 'tune' and must be one of logmel, mfcc"),
    (put("features", "hop_length", 0), "FeatureConfig.hop_length"),
    (put("features", "fmin", "NUMBER"), "features.fmin is nan and must be a finite number"),
    (put("features", "fmax", None), "features.fmax is None and must be a number"),
    (put("subsampling", 2), "subsampling is 2 and must be 4"),
    (put("subsampling", 10**8), "subsampling=100000000 must lie between 1 and 1,000"),
    (put("adaptation", "some"), "adaptation is 'some' and must be one of all, head, norms, low_rank"),
    (put("rate", "NUMBER"), "rate is nan and must be a finite number"),
    (put("rate", -1), "rate=-1.0 must be a finite number of 0 or more"),
    (put("steps", 1.5), "steps is 1.5 and must be an integer"),
    (put("steps", 10**9), "steps=1000000000 must lie between 0 and 100,000"),
    (put("case", "Upper"), "case is 'Upper' and must be one of as it is, upper, lower"),
    (put("origin", 5), "origin is 5 and must be an object"),
    (put("origin", json.loads('{"a":' * 60 + "1" + "}" * 60)), "origin.a.a.a"),
    (put("more", 1), "more is 1 and must be left out"),
    (put("line\nbreak", 1), "line\\nbreak is 1"),
    (put("sha256", {}), "sha256.card.json is missing"),
    (drop("sha256", "weights.npz"), "sha256.weights.npz is missing"),
    (put("sha256", "weights.npz", 5), "sha256.weights.npz is 5 and must be a string"),
    (put("sha256", "../../x", "0"), "sha256.../../x is '0' and must be left out"),
]


@pytest.mark.parametrize(("change", "message"), HOSTILE, ids=[message[:40] for _, message in HOSTILE])
def test_a_malformed_card_gives_one_line_with_file_key_value_and_remedy(folder, change, message):
    path = folder / "card.json"
    card = json.loads(path.read_text())
    change(card)
    seal(path, json.dumps(card).replace('"NUMBER"', "NaN"))
    tracemalloc.start()
    with pytest.raises((CardError, BundleError)) as caught:
        load_recogniser(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    said = str(caught.value)
    assert message in said and "\n" not in said and len(said) < 600
    assert str(folder) in said and "give a folder that `jaxmeta train recogniser`" in said
    assert peak < 20e6


TEXTS = {
    "nothing": (b"", "is not JSON"),
    "half": (b'{"format": 2, "ki', "is not JSON"),
    "bytes": (b"\xff\xfe\x00", "is not JSON"),
    "a list": (b"[1, 2]", "must be an object"),
    "a number": (b"7", "must be an object"),
    "a deep list": (b"[" * 200_000, "nested deeper than 32"),
    "a deep object": (b'{"a":' * 200_000, "nested deeper than 32"),
    "a key twice": (b'{"format": 2, "format": 2}', "format is there twice"),
    "infinity": (b'{"rate": 1e999}', "rate is inf and must be a finite number"),
    "digits": (b'{"rate": ' + b"9" * 5_000 + b"}", "is not JSON"),
    "large": (b'{"a": "' + b"x" * 17_000_000 + b'"}', "at most 16,000,000 are read"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_no_card_at_all_gives_one_line(folder, name):
    content, message = TEXTS[name]
    (folder / "card.json").write_bytes(content)
    with pytest.raises(CardError) as caught:
        load_recogniser(folder)
    assert message in str(caught.value) and str(folder / "card.json") in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_a_flipped_bit_anywhere_is_refused(folder):
    rng, tried = np.random.default_rng(0), 0
    for name in ("card.json", "vocabulary.json", "weights.npz"):
        path = folder / name
        content = path.read_bytes()
        for place in rng.choice(len(content), min(len(content), 100), replace=False):
            damaged = bytearray(content)
            damaged[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            with pytest.raises((CardError, BundleError), match="recogniser"):
                load_recogniser(folder)
            tried += 1
        path.write_bytes(content)
    assert tried > 230 and load_recogniser(folder).card == tiny().card


def test_missing_files_are_named(folder):
    for name in ("vocabulary.json", "weights.npz"):
        (folder / name).rename(folder / "elsewhere")
        with pytest.raises(BundleError, match=f"{name}: is missing"):
            load_recogniser(folder)
        (folder / "elsewhere").rename(folder / name)
    load_recogniser(folder)


@dataclass(frozen=True)
class Empty:
    """A card that says nothing."""


KIND = BundleKind("test", "test.json", 1, (), "make it again")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_never_written_and_leave_what_is_there(tmp_path, bad):
    folder = save_bundle(tmp_path / "a", KIND, {}, {"w": {"k": np.ones(3, np.float32)}})
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    wrong = {"w": {"k": np.array([1, bad, 1], np.float32)}}
    with pytest.raises(ValueError, match=r"1 of the 3 weights w/k are not finite, so that nothing is written; train"):
        save_bundle(folder, KIND, {}, wrong)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    with pytest.raises(ValueError, match="not finite"):
        save_bundle(tmp_path / "b", KIND, {}, wrong)
    assert not (tmp_path / "b").exists()


def test_weights_of_a_type_that_numpy_does_not_have_are_refused(tmp_path):
    with pytest.raises(ValueError, match="w is bfloat16, which numpy has no type for"):
        save_bundle(tmp_path / "a", KIND, {}, {"w": jnp.ones(3, jnp.bfloat16)})


def test_arrays_come_back_bit_by_bit_and_numpy_reads_them(tmp_path):
    weights = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": {"c": np.zeros((0, 4), np.int32)}}
    folder = save_bundle(tmp_path / "a", KIND, {}, weights)
    again = save_bundle(tmp_path / "b", KIND, {}, weights)
    assert (folder / "weights.npz").read_bytes() == (again / "weights.npz").read_bytes()
    back = open_bundle(folder, KIND, Empty).weights(weights)
    jax.tree.map(np.testing.assert_array_equal, back, weights)
    with np.load(folder / "weights.npz") as arrays:
        np.testing.assert_array_equal(arrays["a"], weights["a"])


def test_a_folder_that_was_not_finished_has_no_card(tmp_path, monkeypatch):
    def killed(path, content):
        if path.name == KIND.card:
            raise KeyboardInterrupt
        write_bytes(path, content)

    folder = save_bundle(tmp_path / "a", KIND, {}, {"w": np.ones(3)})
    with monkeypatch.context() as patch:
        patch.setattr("jaxmeta.bundle.write_bytes", killed)
        with pytest.raises(KeyboardInterrupt):
            save_bundle(folder, KIND, {}, {"w": np.zeros(3)})
    with pytest.raises(BundleError, match=f"{KIND.card} is missing"):
        open_bundle(folder, KIND, Empty)


@dataclass(frozen=True)
class Later:
    width: int
    start: str | None = field(default=None, metadata=OPTIONAL)


def test_what_files_of_earlier_versions_lack_has_its_default_and_all_else_must_be_there(tmp_path):
    place = Place(tmp_path / "card.json", "", "train again")
    assert build(Later, {"width": 3}, place) == Later(3)
    assert build(Later, {"width": 3, "start": "maml"}, place) == Later(3, "maml")
    with pytest.raises(CardError, match="width is missing"):
        build(Later, {"start": "maml"}, place)
    with pytest.raises(CardError, match="start is 4 and must be"):
        build(Later, {"width": 3, "start": 4}, place)
