"""The experiment on adapting a recogniser to speakers: its data, protocol, choices and report."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.adapt_asr.__main__ import Config, main
from experiments.adapt_asr.data import SpeechData, copy_voice
from experiments.adapt_asr.protocol import Heard, Protocol, padded_lengths, row, supports_of_others
from experiments.adapt_asr.report import (
    Trained,
    baseline_of,
    choose,
    curve_of_steps,
    finalists,
    interval,
    show,
    show_safety,
    table,
)
from experiments.adapt_asr.safety import forgetting, gate
from jaxmeta import MetaLearner, Ragged
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.manifest import read_manifest
from jaxmeta.data.sampling.support_query_splits import adaptation_episodes
from jaxmeta.data.vocabulary import build_vocabulary

SPEAKERS = ("anna", "ben", "carl")


def corpus():
    """Utterances of 4 letters in 8 frames; each speaker has 14."""
    rows = len(SPEAKERS) * 14
    texts = np.random.default_rng(0).choice(["aaaa", "aaba", "abab"], rows)
    columns = {
        "file_name": np.array([f"{number}.wav" for number in range(rows)]),
        "recording": np.array([str(number) for number in range(rows)]),
        "speaker": np.repeat(SPEAKERS, 14),
        "transcription": texts,
    }
    return Corpus(np.zeros((8 * rows, 1), np.float32), 8 * np.arange(rows), np.full(rows, 8), columns)


def protocol(folder):
    episodes = adaptation_episodes(corpus(), VOCABULARY, supports=(0, 1, 2, 5, 10), query=4, seed=0)
    return Protocol(episodes, VOCABULARY, folder)


VOCABULARY = build_vocabulary(["ab"])


def writes(rate, steps):
    """A learner that writes as many letters "a" as steps * rate, once it has been adapted to something."""

    def adapt(params, state, support, key):
        return params["plain"] + steps * rate * (support.weight.sum() > 0), {}

    def predict(params, state, fast, inputs, key, train):
        letter = (jnp.arange(16) % 2 == 0) & (jnp.arange(16) < 2 * fast)
        logits = jnp.stack([1.0 - letter, letter.astype(float), jnp.full(16, -1.0)], -1)
        rows = len(inputs.values)
        return Ragged(jnp.broadcast_to(logits, (rows, 16, 3)), jnp.full(rows, 16)), state

    return MetaLearner(None, adapt, predict, None)


def trained(name, rate=1.0, steps=4, error=0.0, plain=0.0):
    return Trained(name, writes, {"plain": jnp.asarray(plain)}, rate, steps, error)


def test_speakers_are_padded_to_one_of_few_lengths(tmp_path):
    some = corpus()
    some.length[:14] = 5  # of the first speaker
    some.length[28:], some.start[28:] = 20, 0  # of the last speaker
    episodes = adaptation_episodes(some, VOCABULARY, supports=(0, 1, 2, 5, 10), query=4, seed=0)
    assert padded_lengths([episodes], 1) == [24] and padded_lengths([episodes, episodes], 3) == [8, 24]
    both = Protocol(episodes, VOCABULARY, tmp_path, [24, 8])
    assert [both.episode(index, 5).support.inputs.values.shape[1] for index in range(3)] == [8, 8, 24]


def test_the_protocol_adapts_to_the_shots_that_are_asked_for_and_keeps_what_it_heard(tmp_path):
    heard = protocol(tmp_path).hear("x", writes, {"plain": jnp.zeros(())}, 5, 1.0, 3)
    assert heard.heard == ["aaa"] * 12 and len(heard.said) == 12 and heard.speakers == list(np.repeat(SPEAKERS, 4))
    assert protocol(tmp_path).hear("x", writes, {"plain": jnp.zeros(())}, 0, 1.0, 3).heard == [""] * 12
    again = protocol(tmp_path)
    again._hear = None  # Would fail if it were called.
    assert again.hear("x", writes, {"plain": jnp.zeros(())}, 5, 1.0, 3) == heard


def test_what_adapts_to_another_speaker_is_asked_for_one_s_own_queries(tmp_path):
    some = corpus()
    some.frames[:] = np.repeat([1, 2, 3], 14 * 8)[:, None]  # each speaker's own, in every frame

    def writes_its_speaker(rate, steps):
        def adapt(params, state, support, key):
            return support.inputs.values.max(), {}

        return writes(rate, steps)._replace(adapt=adapt)

    episodes = adaptation_episodes(some, VOCABULARY, supports=(0, 1, 2, 5, 10), query=4, seed=0)
    own, others = (
        Protocol(each, VOCABULARY, tmp_path / name).hear("x", writes_its_speaker, {"plain": jnp.zeros(())}, 5, 1.0, 1)
        for name, each in (("own", episodes), ("others", supports_of_others(episodes)))
    )
    assert own.heard[::4] == ["a", "aa", "aaa"] and others.heard[::4] == ["aa", "aaa", "a"]
    assert own.said == others.said and others.speakers == own.speakers


def test_the_best_rate_and_steps_on_validation_speakers_are_chosen(tmp_path):
    from experiments.adapt_asr.methods import Method

    method = Method(writes, lambda weights, rate: weights)
    best = choose("x", method, {"plain": jnp.zeros(())}, protocol(tmp_path), 0.1)
    # Five steps at 1.0 write 5 letters, the nearest to four of all rates; 20 at 0.2 write 4.
    assert (best.rate, best.steps) == (1.0, 5)
    learned = choose("x", method._replace(scale=None), {"plain": jnp.zeros(())}, protocol(tmp_path), 0.2)
    assert (learned.rate, learned.steps) == (0.2, 20)


def test_the_baseline_is_the_fine_tuning_that_was_best_on_validation():
    methods = {name: trained(name, error=error) for name, error in
               (("fine-tune all", 9.0), ("fine-tune head", 8.0), ("maml", 1.0))}  # fmt: skip
    assert baseline_of(methods).name == "fine-tune head"
    assert baseline_of({"maml": trained("maml")}) is None
    methods |= {"anil": trained("anil", error=7.0)}
    assert [one.name for one in finalists(methods)] == ["fine-tune head", "maml"]
    assert [one.name for one in finalists({"anil": methods["anil"]})] == ["anil"] and finalists({}) == []


def test_a_row_compares_with_its_own_start_and_with_the_baseline():
    said, speakers = ["abcd"] * 4, ["x", "x", "y", "y"]
    before, after, other = (
        Heard(said, heard, speakers) for heard in (["abxx"] * 4, ["abcx"] * 4, ["abcd", "abxx", "abcd", "abxx"])
    )
    found = row(after, before, other)
    assert (found["cer"], found["gain"], found["against"]) == (25.0, 50.0, 0.0)
    assert row(after, before, another=before)["own"] == -25.0 and "own" not in found
    assert found["cer_low"] <= 25 <= found["cer_high"]
    assert interval(found, "cer") == "25.0 (25.0 to 25.0)" and interval(found, "none") is None


def test_tables_have_a_row_for_every_method_shots_and_steps(tmp_path):
    methods = {name: trained(name, plain=1.0, steps=steps) for name, steps in (("fine-tune all", 3), ("maml", 2))}
    tests = protocol(tmp_path)
    rows, curve = table(methods, tests, tests), curve_of_steps(list(methods.values()), tests)
    assert [found["shots"] for found in rows] == [0, 1, 2, 5, 10] * 2
    assert [found["steps"] for found in curve] == [0, 1, 2, 5, 10, 20] * 2
    assert [found.get("own") for found in rows] == [None, None, None, 0.0, None] * 2
    assert show(rows).count("\n") == 12 and "| fine-tune all | 0 |" in show(rows)


def test_the_gate_keeps_what_was_where_adaptation_does_harm(tmp_path):
    tests = protocol(tmp_path)
    good, bad = gate(trained("good", steps=4), tests), gate(trained("bad", steps=4, rate=9.0, plain=4.0), tests)
    assert good["adopted"] == 3 and good["gated"] < 50
    assert bad["adopted"] == 0 and bad["gated"] == pytest.approx(row(*_unadapted(tests))["cer"])


def _unadapted(tests):
    heard = tests.hear("bad", writes, {"plain": jnp.asarray(4.0)}, 0, 9.0, 4)
    return heard, heard


def test_forgetting_is_the_mean_change_on_other_speakers(tmp_path):
    found = forgetting(trained("x", steps=4, plain=4.0), protocol(tmp_path), corpus(), seed=0)
    assert found["source"] <= 50 and found["backward"] == 100.0  # four letters more where there are four
    rows = [{"method": "x", "shots": 10, "adopted": 1, "speakers": 3} | found]
    assert "+100.0 (+100.0 to +100.0)" in show_safety(rows)


def test_a_voice_is_copied_as_a_manifest(tmp_path):
    some = corpus()
    for name in some.columns["file_name"]:
        (tmp_path / name).write_bytes(name.encode())
    data = SpeechData(some, some, some, VOCABULARY, {}, tmp_path)
    read = read_manifest(copy_voice(data, tmp_path / "voice", 3))
    assert read.columns["transcription"].tolist() == some.columns["transcription"][:3].tolist()
    assert (tmp_path / "voice" / "02.wav").read_bytes() == b"1.wav"


def test_missing_data_and_unknown_methods_are_said(tmp_path, monkeypatch):
    monkeypatch.delenv("JAXMETA_DATA", raising=False)
    with pytest.raises(ValueError, match="holds no en_nonnative_sentences"):
        main(Config(preset="full", workdir=tmp_path))
