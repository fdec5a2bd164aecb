"""An adapted Whisper as a folder in Hugging Face's form: what it holds, and what transformers computes with it."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxmeta.cli.main import main
from jaxmeta.models.pretrained.whisper import write_whisper
from jaxmeta.models.pretrained.whispers.taught import taught_adapters
from jaxmeta.recognition.interchange.huggingface import export_huggingface
from jaxmeta.recognition.pretrained.adapter import AdapterCard, is_adapted, load_adapted, new_adapters, save_adapter
from jaxmeta.recognition.pretrained.bases import base_hash
from jaxmeta.recognition.pretrained.whisper import load_whisper
from jaxmeta.recognition.recogniser import save_recogniser
from jaxmeta.tree import named
from jaxmeta.types import Ragged
from tests.cli.test_cli import fails
from tests.models.pretrained.checkpoints import log_mels
from tests.programs import compiled
from tests.recognition.conftest import recogniser  # noqa: F401
from tests.recognition.pretrained.conftest import whisper_folder  # noqa: F401


def adapt(base, folder, layers=None):
    """A folder of adapters that change a Whisper much: as a voice has them, or a decoder and layers of the encoder."""
    params, card = load_whisper(base).params, AdapterCard(str(base), base_hash(base), 2, "en", True)
    adapters = new_adapters(params, 2, jax.random.key(0))
    if layers is not None:
        card = replace(card, matrices="layers", layers=layers)
        adapters = taught_adapters(params, 2, layers, 2, jax.random.key(0))
    rng = np.random.default_rng(0)
    drawn = {
        # Large ones everywhere would blow up rounding.
        path: {name: (1.0 if is_adapted(path) else 0.1) * rng.normal(size=leaf.shape).astype("f4")
               for name, leaf in each.items()}
        for path, each in adapters.items()
    }  # fmt: skip
    return save_adapter(folder, card, drawn), drawn


@pytest.fixture(scope="module")
def half(whisper_folder, tmp_path_factory):  # noqa: F811
    """The same Whisper in float16, with files for what makes features, and adapters of it."""
    base = shutil.copytree(whisper_folder, tmp_path_factory.mktemp("half") / "base")
    config = json.loads((base / "config.json").read_text()) | {"torch_dtype": "float16"}
    write_whisper(base, config, load_whisper(base, np.float16).params)
    (base / "preprocessor_config.json").write_text('{"feature_size": 16}')
    (base / "generation_config.json").write_text('{"suppress_tokens": [5]}')
    (base / "notes.txt").write_text("mine")
    return base, *adapt(base, base.parent / "adapters")


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "dtype", "places"), [(None, "float16", 3), (32, "float32", 6)])
def test_sums_are_those_of_the_base_and_products_in_the_type_of_the_base(half, bits, dtype, places, tmp_path):
    base, folder, adapters = half
    exported = export_huggingface(folder, tmp_path / "out", bits=bits)
    assert exported.adapted == len(adapters) and dtype in str(exported)
    before, after = named(load_whisper(base).params), named(load_whisper(tmp_path / "out").params)
    for path, leaf in before.items():
        expected = np.asarray(leaf, np.float64)
        if path in adapters:
            product = np.float64(adapters[path]["down"]) @ np.float64(adapters[path]["up"])
            expected = expected + product.reshape(expected.shape)
        assert after[path].dtype == dtype
        np.testing.assert_allclose(np.float64(after[path]), expected, rtol=10.0**-places, atol=10.0**-places)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["torch_dtype"] == dtype
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json", "generation_config.json", "preprocessor_config.json"
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.slow
def test_sums_that_half_floats_cannot_hold_are_refused_and_leave_nothing(half, tmp_path):
    base, _, adapters = half
    large = jax.tree.map(lambda leaf: 1e3 * leaf, adapters)
    save_adapter(tmp_path / "large", AdapterCard(str(base), base_hash(base), 2, "en", True), large)
    with pytest.raises(ValueError, match="are not finite, so that nothing is written"):
        export_huggingface(tmp_path / "large", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export_huggingface(tmp_path / "large", tmp_path / "out", bits=32)


@pytest.mark.slow
def test_the_command_writes_a_new_folder_and_says_what_it_cannot_export(half, recogniser, tmp_path, capsys):  # noqa: F811
    base, folder, _ = map(str, half)
    out = str(tmp_path / "out")
    main(["export", folder, "--to", "huggingface", "--out", out])
    assert "8 matrices adapted" in capsys.readouterr().out
    again = ["export", folder, "--to", "huggingface", "--out", out]
    assert "exists; name a new folder" in fails(again, capsys)
    new = str(tmp_path / "new")
    assert "--bits 8 cannot be used" in fails([*again[:-1], new, "--bits", "8"], capsys)
    said = fails(["export", folder, "--to", "onnx", "--out", new], capsys)
    assert "use --to huggingface" in said and "optimum-cli export onnx" in said
    assert "adapt it first" in fails(["export", base, "--to", "huggingface", "--out", new], capsys)
    ours = str(save_recogniser(tmp_path / "ours", recogniser))
    assert "transformers has no class" in fails(["export", ours, "--to", "huggingface", "--out", new], capsys)
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_transformers_computes_and_decodes_as_the_adapted_whisper(whisper_folder, tmp_path):  # noqa: F811
    transformers = pytest.importorskip("transformers", reason='needs the extra "parity"')
    torch = pytest.importorskip("torch", reason='needs the extra "parity"')
    folder, _ = adapt(whisper_folder, tmp_path / "adapters", layers=1)
    export_huggingface(folder, tmp_path / "out")
    network, report = transformers.WhisperForConditionalGeneration.from_pretrained(
        tmp_path / "out", output_loading_info=True, attn_implementation="eager"
    )
    assert not any(report[f"{kind}_keys"] for kind in ("missing", "unexpected", "mismatched"))
    ours, _ = load_adapted(folder)
    speech = log_mels([500, 500], 16)
    tokens = np.random.default_rng(0).integers(0, 31, (2, 5))
    mels = torch.tensor(speech.values).transpose(1, 2)
    with torch.no_grad():
        expected = network.eval()(input_features=mels, decoder_input_ids=torch.tensor(tokens)).logits.numpy()
        written = transformers.GenerationMixin.generate(
            network, input_features=mels, decoder_input_ids=torch.tensor([[3, 4], [3, 4]]), max_new_tokens=6,
            do_sample=False, num_beams=1, suppress_tokens=None, begin_suppress_tokens=None,
        ).numpy()[:, 2:]  # fmt: skip

    def run(params, speech):
        memory = ours.network.encode(params, speech)
        return ours.network.decode(params, memory, tokens), ours.network.greedy(params, memory, [3, 4], 2, 6)

    logits, labels = compiled(run)(ours.params, speech)
    assert isinstance(labels, Ragged) and len(np.unique(labels.values)) > 2
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())
    for row, length, other in zip(labels.values, labels.lengths, written, strict=True):
        ended = np.append(other, 2)
        np.testing.assert_array_equal(row[:length], ended[: int(np.argmax(ended == 2))])
