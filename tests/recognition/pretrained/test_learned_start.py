"""A recogniser on a public encoder whose start for a voice, and rates, are meta-learned by the command."""

import numpy as np
import pytest

from jaxmeta.cli.main import main
from jaxmeta.recognition.presets import MetaTraining
from jaxmeta.recognition.pretrained import presets
from jaxmeta.recognition.pretrained.on_base import load_any_recogniser
from jaxmeta.tree import named
from tests.cli.test_cli import fails
from tests.recognition.conftest import write_voice
from tests.recognition.pretrained.conftest import in_small
from tests.recognition.pretrained.test_on_base import SMALL, bases, command

__all__ = ["bases"]  # a fixture

SAID = ["ab", "ba ab", "bab", "a ba"] * 4
META = MetaTraining(2, 1e-2, tasks=1, support=2, query=2, steps=2, inner_rate=0.05, longest=100)


@pytest.fixture
def speech(tmp_path_factory, monkeypatch):
    in_small(monkeypatch, presets.BASE_PRESETS, SMALL._replace(meta=META), tmp_path_factory.mktemp("cache"))
    folder = tmp_path_factory.mktemp("speech") / "said"
    return write_voice(folder, SAID, speaker=list(np.repeat(["a", "b", "c", "d"], 4)))


@pytest.mark.slow
@pytest.mark.parametrize(("learner", "adapts"), [("layer_rates", "learned"), ("anil", "head")])
def test_adapt_goes_on_from_a_start_that_is_meta_learned(learner, adapts, bases, speech, tmp_path, capsys):
    main(command(speech, bases / "whisper", tmp_path / "start", "--learner", learner))
    start = load_any_recogniser(tmp_path / "start")
    assert (start.card.adaptation, start.card.steps) == (adapts, 2)
    main(["adapt", str(tmp_path / "start"), str(speech), "--out", str(tmp_path / "mine"), "--always"])
    mine = load_any_recogniser(tmp_path / "mine")
    before, after = named(start.params), named(mine.params)
    assert before.keys() == after.keys()
    moved = {path for path in before if not np.array_equal(before[path], after[path])}
    if learner == "anil":
        assert moved and all(path.startswith("head/") for path in moved)
        return
    rates = {path for path in before if path.startswith("rate/")}
    assert all(before[path].shape == () for path in rates) and {before[path].item() for path in rates} != {0.05}
    assert {path.split("/")[0] for path in moved} == {"head", "adapters"}
    capsys.readouterr()
    again = ["adapt", str(tmp_path / "start"), str(speech), "--out", str(tmp_path / "other"), "--rate", "0.1"]
    assert "has meta-learned rates" in fails(again, capsys)


def test_a_learner_needs_a_base(capsys, tmp_path):
    options = ["train", "recogniser", str(tmp_path), "--out", str(tmp_path / "out"), "--learner", "maml"]
    assert "need a public network; give its folder by --base" in fails(options, capsys)
