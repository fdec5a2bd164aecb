"""Artefacts that somebody made to do harm: refused with one line, and nothing large is unpacked or run."""

import io
import json
import tracemalloc
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from jaxmeta import Model
from jaxmeta.compress.artefact import ArtefactError, digest, load
from jaxmeta.compress.export import export_model

pytest.importorskip("flatbuffers", reason='jax.export needs the extra "export"')
KERNEL = {"kernel": jnp.ones((8, 2))}


def linear(params, state, inputs, *_):
    return inputs @ params["kernel"], state


def solving(params, state, inputs, *_):
    return jnp.linalg.solve(inputs.T @ inputs + jnp.eye(8), params["kernel"]), state


def exported(path, function):
    model = Model(lambda key, inputs: (KERNEL, {}), function)
    return export_model(path, model, KERNEL, {}, jnp.ones((3, 8)), platforms=("cpu",))


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    with zipfile.ZipFile(exported(tmp_path_factory.mktemp("model") / "model.zip", linear)) as file:
        return {name: file.read(name) for name in file.namelist()}


def written(path, parts, *, sealed=True, packed=(), **card):
    """The parts as a file, with hashes that are right unless it is not to be sealed, and a card with some changes."""
    bomb = parts["card.json"][:1] == b"\0"
    held = {} if bomb else json.loads(parts["card.json"])
    if sealed:
        held["sha256"] = {name: digest(content) for name, content in parts.items() if name != "card.json"}
    content = parts["card.json"] if bomb else json.dumps(held | card).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, part in {**parts, "card.json": content}.items():
            file.writestr(name, part, zipfile.ZIP_DEFLATED if name in packed else zipfile.ZIP_STORED)
    return path


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def claiming(shape):
    """An archive of one array whose header claims a shape, with nothing behind it."""
    header, buffer = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("0000.npy", header.getvalue())
    return buffer.getvalue()


def unclosed():
    """An archive of one array whose header is a parenthesis without its other half: numpy reads it as Python's."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': ((8, 2), }\n"
        file.writestr("0000.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    return buffer.getvalue()


def test_a_whole_artefact_is_loaded(parts, tmp_path):
    model = load(written(tmp_path / "a.zip", parts))
    np.testing.assert_array_equal(model.predict((), [np.ones((4, 8), np.float32)])[0], np.full((4, 2), 8.0))


@pytest.mark.parametrize("name", ["predict", "card.json"])
def test_a_part_that_unpacks_to_far_more_than_it_holds_is_not_unpacked(parts, tmp_path, name):
    path = written(tmp_path / "a.zip", parts | {name: bytes(200_000_000)}, sealed=False, packed=(name,))
    tracemalloc.start()
    try:
        with pytest.raises(ArtefactError, match="would unpack to 200,000,000 bytes"):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_members_that_the_card_does_not_list_are_never_read(parts, tmp_path):
    extra = parts | {"bomb": bytes(200_000_000)}
    path = written(tmp_path / "a.zip", extra, packed=("bomb",), sha256=json.loads(parts["card.json"])["sha256"])
    tracemalloc.start()
    try:
        assert load(path).predict is not None
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("weights", "shape"),
    [
        (npz(a=np.zeros((8, 2), np.float32)), [8, 3]),
        (npz(a=np.zeros(8, np.float32), b=np.zeros(2, np.float32)), [8]),
        (npz(), [8, 2]),
        (claiming((10**9, 10**6)), [8, 2]),
        (claiming((10**9, 10**6)), [10**9, 10**6]),
        (npz(a=np.array(["text"])), [1]),
        (unclosed(), [8, 2]),
        (b"", [8, 2]),
        (b"PK\x03\x04" + bytes(50), [8, 2]),
    ],
)
def test_weights_that_are_not_what_the_card_says_are_not_allocated(parts, tmp_path, weights, shape):
    path = written(tmp_path / "a.zip", parts | {"weights.npz": weights}, weights=[[shape, "float32"]])
    with pytest.raises(ArtefactError, match=r"a\.zip"):
        load(path)


def test_packed_weights_are_refused(parts, tmp_path):
    with pytest.raises(ArtefactError, match=r"weights\.npz is compressed"):
        load(written(tmp_path / "a.zip", parts, packed=("weights.npz",)))


@pytest.mark.parametrize("hashes", [{}, None, [], "x", {"predict": 3}, {"weights.npz": "0" * 64}, {"predict": None}])
def test_no_part_is_used_without_its_hash(parts, tmp_path, hashes):
    with pytest.raises(ArtefactError, match=r"a\.zip"):
        load(written(tmp_path / "a.zip", parts, sealed=False, sha256=hashes))


@pytest.mark.parametrize(
    "card",
    [b"", b"null", b"[]", b"3", b"\xff", b"[" * 100_000, b'{"format": 1}', b"NaN", b'{"a": ' * 5_000],
)
def test_a_malformed_card_is_one_line(parts, tmp_path, card):
    with pytest.raises(ArtefactError, match=r"a\.zip: card\.json is no artefact's card") as info:
        load(rewritten(tmp_path / "a.zip", parts, card))
    assert "\n" not in str(info.value)


def rewritten(path, parts, card):
    with zipfile.ZipFile(path, "w") as file:
        for name, part in {**parts, "card.json": card}.items():
            file.writestr(name, part)
    return path


@pytest.mark.parametrize("field", ["format", "weights", "platforms", "sha256"])
@pytest.mark.parametrize("value", [None, "x", -1, [3], {"a": 1}, 1e400, [[[-1], "float32"]], [[["x"], 3]]])
def test_a_value_of_another_type_is_one_line(parts, tmp_path, field, value):
    with pytest.raises(ArtefactError, match=r"a\.zip"):
        load(written(tmp_path / "a.zip", parts, **{field: value}))


@pytest.mark.parametrize("program", [b"", b"x", bytes(100), b"\xff" * 1000, bytes(range(256)) * 20])
def test_a_program_that_is_none_is_one_line(parts, tmp_path, program):
    with pytest.raises(ArtefactError, match=r"a\.zip: this jax .* cannot read predict"):
        load(written(tmp_path / "a.zip", parts | {"predict": program}))


def test_two_parts_of_one_name_are_refused(parts, tmp_path):
    path = written(tmp_path / "a.zip", parts)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as file:
        file.writestr("predict", parts["predict"])
    with pytest.raises(ArtefactError, match="two parts of one name"):
        load(path)


def test_a_program_that_calls_out_of_itself_does_not_run_unless_it_is_allowed_to(tmp_path):
    path = exported(tmp_path / "a.zip", solving)
    with pytest.raises(ArtefactError, match=r"predict calls lapack_\w+, .* load it with allow=\['lapack_") as info:
        load(path)
    allowed = str(info.value).split("allow=[")[1].split("]")[0].replace("'", "").split(", ")
    inputs = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    expected = np.linalg.solve(inputs.T @ inputs + np.eye(8), np.ones((8, 2)))
    np.testing.assert_allclose(load(path, allow=allowed).predict((), [inputs])[0], expected, atol=1e-4)


def test_a_target_that_is_registered_but_not_allowed_is_refused(parts, tmp_path):
    target = "xla_ffi_python_cpu_callback"
    call = jax.ffi.ffi_call(target, jax.ShapeDtypeStruct((3,), jnp.float32))
    unchecked = [export.DisabledSafetyCheck.custom_call(target)]
    program = export.export(jax.jit(lambda weights, *_: call(weights[0])), disabled_checks=unchecked)
    content = program((jax.ShapeDtypeStruct((8, 2), jnp.float32),), (), ()).serialize()
    with pytest.raises(ArtefactError, match=f"predict calls {target}"):
        load(written(tmp_path / "a.zip", parts | {"predict": bytes(content)}))
