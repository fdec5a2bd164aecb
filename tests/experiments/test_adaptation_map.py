"""The map of adaptation: what is skipped, its data, and the quick preset in small."""

import json

import numpy as np
import pytest

from experiments.adaptation_map.__main__ import PRESETS, Config, _finalists, main
from experiments.adaptation_map.data import SPELLINGS, spellings, synthesised_sentences, synthesised_words
from experiments.adaptation_map.zero_shot import __main__ as zero_shot
from jaxmeta.evaluation.choosing import ChosenMethod
from jaxmeta.models.acoustic import output_lengths
from jaxmeta.recognition.corpora import FEATURES
from jaxmeta.recognition.shifts.zero_shot import folded, in_words


def test_the_full_preset_is_skipped_without_a_base_and_says_why(capsys, tmp_path):
    assert main(Config(preset="full", workdir=tmp_path)) == {}
    assert "skipped: the full preset needs --base FOLDER" in capsys.readouterr().out


def test_one_speaker_is_refused(tmp_path):
    with pytest.raises(ValueError, match="speakers=1 must be 2 or more"):
        main(Config(speakers=1, workdir=tmp_path))


def test_the_floor_needs_utterances(tmp_path):
    with pytest.raises(ValueError, match="utterances=0 must be 1 or more"):
        zero_shot.main(zero_shot.Config(tmp_path, 0))


def test_spellings_name_the_slots_of_words_in_order():
    zh = spellings("zh")
    assert [zh[word] for word in sorted(SPELLINGS["zh"])] == [f"w{slot:02d}" for slot in range(12)]
    # Slots are those of the glosses: disable, eight, four, left, move ...
    arabic = spellings("ar-test")
    assert arabic["تعطيل"] == "w00" and arabic["8"] == arabic["ثمانيه"] == "w01" and arabic["تصغير"] == "w09"
    assert all(folded(text) == text for text in [*zh, *arabic])


def test_words_count_in_every_form_of_their_letters():
    zh = spellings("zh")
    for form, word in (
        ("數字", "数字"),
        ("飯店", "饭店"),
        ("復旦", "复旦"),
        ("複旦", "复旦"),
        ("識別", "识别"),
        ("識别", "识别"),
    ):
        assert zh[form] == zh[word]
    assert in_words("總工，語言。中國語", zh) == f"{zh['总工']} {zh['语言']} {zh['中国']} 語"
    arabic = spellings("ar-test")
    assert in_words("أَرْبَعَة، إثنين", arabic) == f"{arabic['اربعه']} {arabic['اثنين']}"
    assert in_words("التَّالى", arabic) == arabic["التالي"]


def test_the_gate_judges_fine_tuning_and_the_best_start_if_there_is_one():
    tuned, worse, better = (ChosenMethod(name, None, {}, 0.1, 20, error=error) for name, error in (
        ("fine-tune", 9.0), ("maml", 8.0), ("anil", 7.0),
    ))  # fmt: skip
    assert _finalists([tuned, worse, better]) == [tuned, better]
    assert _finalists([tuned]) == [tuned]


def test_recordings_are_needed_for_the_full_preset(monkeypatch, tmp_path):
    from experiments.adaptation_map.data import recorded_words

    monkeypatch.delenv("JAXMETA_DATA", raising=False)
    with pytest.raises(ValueError, match="JAXMETA_DATA='' lacks zh_en_words"):
        recorded_words(FEATURES, output_lengths, 10)


@pytest.fixture(scope="module")
def synthesised():
    pytest.importorskip("espeakng_loader", reason='needs the extra "synth"')


@pytest.mark.slow
def test_what_is_taught_is_not_trained_on(synthesised):
    sentences = synthesised_sentences(FEATURES)
    texts = sentences.allowed().columns["transcription"].tolist()
    assert texts and not any(word in text for text in texts for word in (*sentences.words, *sentences.val_words))
    assert not {*sentences.seen} & {*sentences.unseen}
    words = synthesised_words(FEATURES, output_lengths, 50)
    taught = {*words.tests, words.validation}
    assert len(words.train) == 50 and not taught & {*words.train.columns["language"].tolist()}
    split = words.others.columns["split"]
    voices = [set(words.others.columns["speaker"][split == part]) for part in ("train", "test")]
    assert all(voices) and not voices[0] & voices[1]
    assert set(" ".join(words.others.columns["transcription"]).split()) <= set(words.vocabulary.units)


@pytest.mark.slow
def test_the_quick_preset_draws_the_map(synthesised, monkeypatch, tmp_path):
    small = PRESETS["quick"]._replace(
        methods=("prototypes", "test time"), speakers=(2, 2), queries=4, words=400, updates=2
    )
    monkeypatch.setitem(PRESETS, "quick", small._replace(word_updates=2, training=(12, 12), tasks=(4, 12)))
    for name, values in (("RATES", (0.1, 0.3)), ("STEPS", (2, 4)), ("WORD_STEPS", (2, 4))):
        monkeypatch.setattr(f"experiments.adaptation_map.__main__.{name}", values)
    monkeypatch.setattr("experiments.adaptation_map.data.PRESETS", {"quick": _few_updates()})
    main(Config(meta_updates=1, shifts=("language", "vocabulary", "speaker"), workdir=tmp_path))
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    gains = [row for row in rows if "error" in row]
    assert {row["shift"] for row in gains} == {
        "tr", "cmn", "taught words", "other utterances", "speaker"
    }  # fmt: skip
    for row in gains:
        assert np.isfinite(row["error"]) and (row["utterances"] == 0 or row["change_low"] <= row["change_high"])
    methods = {name: {row["method"] for row in gains if row["shift"] == name} for name in ("cmn", "speaker")}
    assert "prototypes" in methods["cmn"] and "test time" in methods["speaker"]
    assert all(row["adopted"] <= row["groups"] for row in rows if "adopted" in row)


def _few_updates():
    from jaxmeta.recognition.presets import PRESETS as RECOGNISERS

    return RECOGNISERS["quick"]._replace(updates=2)
