"""A small random Whisper whose decoder is trained on the recordings of five people, and what its folder is good for."""

import json
import shutil

import jax
import numpy as np
import pytest

from jaxmeta.bundle import BundleError
from jaxmeta.cli.main import main
from jaxmeta.recognition.pretrained import presets
from jaxmeta.recognition.pretrained.adapter import is_adapted, load_adapted, read_adapted
from jaxmeta.recognition.pretrained.decoder import training
from jaxmeta.recognition.pretrained.whisper import load_whisper
from jaxmeta.training.checkpoint import checkpoints
from jaxmeta.tree import named
from tests.cli.test_cli import fails
from tests.models.pretrained.checkpoints import WHISPER
from tests.recognition.conftest import interrupted, run_interrupted
from tests.recognition.pretrained.decoder.conftest import command, planned


@pytest.mark.slow
def test_the_folder_holds_adapters_of_both_parts_and_writes_in_the_case_of_the_transcripts(trained, base, capsys):
    read = read_adapted(trained)
    # Ten matrices of the decoder's layer, six of the uppermost one of the encoder.
    assert len(read.adapters) == 16 and {path.split("/")[1] for path in read.adapters if path[0] == "e"} == {"layers_1"}
    assert all(np.any(each["up"]) for each in read.adapters.values())
    card = read.card
    assert (card.rank, card.layers, card.silence, card.longest, card.case) == (2, 1, 0.5, 2.5, "upper")
    assert card.base == str(base) and card.adapted and "argv" in card.origin
    assert json.loads((trained / "results.json").read_bytes())["rows"][0]["speakers"] == 2


@pytest.mark.slow
def test_only_what_learns_is_in_checkpoints(trained):
    path = checkpoints(trained / "training" / "adapters" / "checkpoints")[-1]
    held = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    learnt = named(read_adapted(trained).adapters).values()
    # Weights and two moments of AdamW in float32, and what says where each of them is.
    assert held < 3 * sum(4 * leaf.size + 1_000 for leaf in learnt)


@pytest.mark.slow
def test_an_interrupted_training_resumes_in_its_stage(trained, base, speech, tmp_path, monkeypatch, capsys):
    make, out, calls = training.token_batches, tmp_path / "out", []
    # The first stage is done, and only loaded.
    shutil.copytree(trained / "training" / "frozen", out / "training" / "frozen")

    def second_stage(*arguments, **options):
        calls.append(1)
        return (interrupted(make, 1) if len(calls) == 2 else make)(*arguments, **options)

    run_interrupted(command(speech, base, out), out, monkeypatch, training, "token_batches", second_stage)
    jax.tree.map(np.testing.assert_array_equal, read_adapted(out).adapters, read_adapted(trained).adapters)


@pytest.mark.slow
def test_it_transcribes_and_adapts_to_a_voice_and_is_exported(trained, speech, tmp_path, capsys):
    files = [str(speech / "audio" / f"{row}.wav") for row in range(2)]
    main(["transcribe", str(trained), *files])
    said = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in said] == files and all(text == text.upper() for _, text in said)
    mine, options = tmp_path / "mine", ["--folds", "2", "--steps", "2", "--always", "--json"]
    main(["adapt", str(trained), str(speech), "--out", str(mine), *options])
    assert json.loads(capsys.readouterr().out)["adapted"]
    before, after = read_adapted(trained), read_adapted(mine)
    moved = {path for path, each in after.adapters.items() if np.any(each["up"] != before.adapters[path]["up"])}
    assert moved == set(filter(is_adapted, after.adapters)) and len(moved) == 4
    assert after.card.habits == before.card.habits and after.card.origin["adaptation"]["recordings"] == 6
    # Undecided, it stays as it was; and what is adapted adapts again.
    main(["adapt", str(mine), str(speech), "--out", str(tmp_path / "kept"), "--folds", "2", "--steps", "0", "--json"])
    assert not json.loads(capsys.readouterr().out)["adapted"]
    jax.tree.map(np.testing.assert_array_equal, read_adapted(tmp_path / "kept").adapters, after.adapters)
    main(["export", str(mine), "--to", "huggingface", "--out", str(tmp_path / "merged"), "--bits", "32"])
    assert "16 matrices adapted" in capsys.readouterr().out
    merged, adapted = load_whisper(tmp_path / "merged"), load_adapted(mine)[0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), merged.params, adapted.params)


@pytest.mark.slow
def test_a_folder_belongs_to_one_base_and_damage_is_noticed(trained, base, tmp_path):
    moved = shutil.copytree(base, tmp_path / "moved")
    assert load_adapted(trained, moved)[1].layers == 1
    (moved / "config.json").write_text((moved / "config.json").read_text() + " ")
    with pytest.raises(BundleError, match="made with another network than that of"):
        load_adapted(trained, moved)
    mine = shutil.copytree(trained, tmp_path / "mine")
    content = bytearray((mine / "weights.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (mine / "weights.npz").write_bytes(content)
    with pytest.raises(BundleError, match="damaged"):
        load_adapted(mine)


@pytest.mark.slow
def test_a_dry_run_counts_what_learns_and_refuses_what_is_damaged(trained, base, speech, tmp_path, capsys, monkeypatch):
    out, ctc_preset = tmp_path / "out", presets.BASE_PRESETS["quick"]
    pairs = ctc_preset.meta._replace(support=1, query=1)
    monkeypatch.setitem(presets.BASE_PRESETS, "quick", ctc_preset._replace(meta=pairs))
    assert planned(command(speech, base, out), capsys)["updates"] == 2 + 3
    assert planned(command(speech, base, out, "--layers", "0"), capsys)["updates"] == 2
    ctc = [*command(speech, base, out)[:-1], "ctc", "--updates", "4"]
    for options, updates in ((["--adapters", "0"], 4), (["--layers", "0"], 4), (["--learner", "maml"], 3 * 4)):
        assert planned([*ctc, *options], capsys)["updates"] == updates
    # Queries and outputs of the attention of the decoder's one layer to itself and to the encoder.
    assert planned(["adapt", trained, speech, "--out", out], capsys)["weights"] == 4 * 2 * 2 * WHISPER["d_model"]
    public = ["adapt", base, speech, "--out", out, "--rank", "3"]
    assert planned(public, capsys)["weights"] == 4 * 2 * 3 * WHISPER["d_model"]
    mine = shutil.copytree(trained, tmp_path / "mine")
    (mine / "weights.npz").write_bytes(b"")
    said = fails(["export", str(mine), "--to", "huggingface", "--out", str(out), "--dry-run"], capsys)
    assert "weights.npz" in said and not out.exists()


def test_options_that_do_not_fit_are_refused(base, speech, tmp_path, capsys):
    out = tmp_path / "out"
    ours = ["train", "recogniser", str(speech), "--out", str(out), "--head", "decoder"]
    assert "need a public network; give its folder by --base" in fails(ours, capsys)
    cases = {
        "--encoder cannot be used with": ["--encoder", "gru"],
        "give --layers 0 to train it alone": ["--adapters", "0"],
        "has 2": ["--layers", "3"],
        "no token '<|fr|>'": ["--language", "fr"],
    }
    for message, options in cases.items():
        assert message in fails(command(speech, base, out, *options), capsys)
    (hubert := tmp_path / "hubert").mkdir()
    (hubert / "config.json").write_text('{"model_type": "hubert"}')
    assert "has no decoder; give --head ctc" in fails(command(speech, hubert, out), capsys)
    ctc = [*ours[:-1], "ctc", "--base", str(base), "--language", "en"]
    assert "--language cannot be used with" in fails(ctc, capsys)
    assert not out.exists()
