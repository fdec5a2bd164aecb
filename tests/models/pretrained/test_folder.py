"""Folders of weights: what is read, and what is refused."""

import json
import pickle

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta.models.pretrained.folder import file_name, read_config, read_weights, write_folder
from jaxmeta.models.pretrained.whisper import read_whisper, write_whisper
from tests.models.pretrained.checkpoints import WHISPER, random_whisper

pytest.importorskip("safetensors", reason='needs the extra "pretrained"')
PARAMS = {
    "layers_0": {"fc": {"kernel": np.arange(6, dtype=np.float16).reshape(2, 3), "bias": np.ones(3, np.float16)}},
    "conv": {"kernel": np.arange(24, dtype=np.float16).reshape(3, 2, 4)},
    "norm": {"scale": np.full(3, 2, np.float16)},
}
CONFIG = {"model_type": "net"}


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path, CONFIG, PARAMS, "net.")
    return tmp_path


def tensors(path):
    from safetensors.numpy import load_file

    return load_file(path)


def rewrite(folder, changed):
    """The weights again, but for what is given: name -> array, or None for none."""
    from safetensors.numpy import save_file

    found = tensors(folder / "model.safetensors") | changed
    save_file({name: value for name, value in found.items() if value is not None}, folder / "model.safetensors")


def test_files_hold_the_names_and_shapes_of_pytorch(folder):
    found = tensors(folder / "model.safetensors")
    assert {name: value.shape for name, value in found.items()} == {
        "net.layers.0.fc.weight": (3, 2),
        "net.layers.0.fc.bias": (3,),
        "net.conv.weight": (4, 2, 3),
        "net.norm.weight": (3,),
    }
    np.testing.assert_array_equal(found["net.layers.0.fc.weight"], [[0, 3], [1, 4], [2, 5]])
    assert file_name("encoder/rel_attn_embed/embedding") == "encoder.layers.0.attention.rel_attn_embed.weight"


@pytest.mark.parametrize(("dtype", "expected"), [(None, jnp.float16), (jnp.bfloat16, jnp.bfloat16)])
def test_weights_are_read_as_they_are_stored_or_in_another_type(folder, dtype, expected):
    read = read_weights(folder, PARAMS, "net.", dtype=dtype)
    assert read["conv"]["kernel"].dtype == expected
    np.testing.assert_array_equal(read["layers_0"]["fc"]["kernel"].astype(np.float32), [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(read["conv"]["kernel"].astype(np.float32), PARAMS["conv"]["kernel"])


def test_shards_are_the_whole_and_the_prefix_may_be_absent(folder):
    from safetensors.numpy import save_file

    found = {name.removeprefix("net."): each for name, each in tensors(folder / "model.safetensors").items()}
    names = sorted(found)
    files = {name: f"model-0000{1 + (index > 1)}-of-00002.safetensors" for index, name in enumerate(names)}
    for file in set(files.values()):
        save_file({name: found[name] for name in names if files[name] == file}, folder / file)
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": files}))
    read = read_weights(folder, PARAMS, "net.")
    np.testing.assert_array_equal(read["norm"]["scale"], PARAMS["norm"]["scale"])
    index.write_text(json.dumps({"weight_map": files | {"more": files[names[0]]}}))
    with pytest.raises(ValueError, match="names more, which its shards do not hold"):
        read_weights(folder, PARAMS, "net.")
    index.write_text(json.dumps({"weight_map": {"conv.weight": "../elsewhere.safetensors"}}))
    with pytest.raises(ValueError, match="files in the same folder"):
        read_weights(folder, PARAMS, "net.")
    index.write_text(json.dumps({"weight_map": dict.fromkeys(names, "lost.safetensors")}))
    with pytest.raises(FileNotFoundError, match=r"lost.safetensors is missing; fetch the folder again"):
        read_weights(folder, PARAMS, "net.")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"net.norm.weight": None}, r"lacks weights norm.weight and has none that this network does not"),
        ({"net.more": np.ones(1)}, r"lacks weights none and has more that"),
        ({"net.norm.weight": np.ones(4)}, r"norm.weight has the shape \(4,\) here, this network needs \(3,\)"),
        ({"net.norm.weight": np.array([1, np.nan, 1], np.float16)}, r"norm.weight holds numbers that are not finite"),
    ],
)
def test_weights_of_another_network_are_refused(folder, changed, message):
    rewrite(folder, changed)
    with pytest.raises(ValueError, match=message):
        read_weights(folder, PARAMS, "net.")


def test_weights_that_the_network_does_not_have_may_be_named(folder):
    rewrite(folder, {"net.more.weight": np.ones(1)})
    assert set(read_weights(folder, PARAMS, "net.", unused=("more.",))) == set(PARAMS)


def test_a_truncated_file_is_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is damaged or no safetensors file"):
        read_weights(folder, PARAMS, "net.")


def test_a_pickle_is_refused_unread(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds neither model.safetensors nor model.safetensors.index.json"):
        read_weights(folder, PARAMS, "net.")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(ValueError, match=r"as a pickle \(pytorch_model.bin\).* convert it with transformers"):
        read_weights(folder, PARAMS, "net.")


def test_a_foreign_architecture_is_refused(folder):
    assert read_config(folder, ("other", "net")) == CONFIG
    with pytest.raises(ValueError, match="model_type='net'; this reader needs wav2vec2 or hubert"):
        read_config(folder, ("wav2vec2", "hubert"))
    (folder / "config.json").write_text("[")
    with pytest.raises(ValueError, match="is no JSON object"):
        read_config(folder, ("net",))
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing"):
        read_config(folder, ("net",))


def test_a_variant_that_is_not_computed_is_refused(tmp_path):
    write_whisper(tmp_path, WHISPER | {"activation_function": "swish"}, PARAMS)
    with pytest.raises(ValueError, match=r"activation_function='swish'; this reader knows 'gelu' or"):
        read_whisper(tmp_path)


@pytest.mark.slow
def test_whisper_is_read_as_it_was_written(tmp_path):
    params = random_whisper(WHISPER)
    write_whisper(tmp_path, WHISPER, params)
    config, read = read_whisper(tmp_path, np.float16)
    assert config.vocab_size == 30 and read["decoder"]["layers_0"]["fc1"]["kernel"].dtype == np.float16
    np.testing.assert_array_equal(
        read["encoder"]["conv1"]["kernel"], params["encoder"]["conv1"]["kernel"].astype(np.float16)
    )
