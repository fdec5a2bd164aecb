"""The noise experiment: what is heard in training and in each condition, adaptation without transcripts, the table."""

from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from experiments.adapt_asr.methods import Method
from experiments.adapt_asr.protocol import Heard
from experiments.adapt_asr.report import Trained
from experiments.noise import __main__ as noise
from experiments.noise import conditions, report, training
from experiments.noise.conditions import Condition, artificial_sounds, recorded_sounds
from experiments.noise.methods import each_utterance
from experiments.noise.recipes import METHODS, PRESETS, TUNED
from experiments.noise.sounds import artificial_rooms, babble, swelling
from jaxmeta import Batch, Episode, Model, Ragged, unlabelled
from jaxmeta.data.audio import write_audio
from jaxmeta.data.augmentation.banks import coloured_noise
from jaxmeta.data.augmentation.transforms import chain
from jaxmeta.data.augmentation.waveform import heard_in
from jaxmeta.data.corpus import load_corpus
from jaxmeta.data.manifest import write_manifest
from jaxmeta.data.sampling.support_query_splits import adaptation_episodes
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.recognition.corpora import FEATURES
from jaxmeta.sequence_losses import confidence

RATE = 16_000


def write(folder: Path, names: list[str], seconds=0.1, **columns: list[str]) -> Path:
    """A manifest of short noises, each of a level of its own."""
    for number, name in enumerate(names):
        wave = np.random.default_rng(number).normal(size=round(seconds * RATE)) * 0.1 / (number + 1)
        write_audio(folder / name, wave.astype(np.float32), RATE)
    write_manifest(folder, {"file_name": names, **columns})
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The three folders of recorded noise, in small: four types in five folds, long noise, and two kinds of rooms."""
    home = tmp_path_factory.mktemp("home")
    kinds, folds = ("rain", "wind", "sea", "saw"), ("1", "2", "3", "4", "5")
    both = [(kind, fold) for kind in kinds for fold in folds]
    (home / "noise_esc10").mkdir()
    write(
        home / "noise_esc10", [f"{kind}_{fold}.wav" for kind, fold in both],
        label=[kind for kind, _ in both], fold=[fold for _, fold in both],
    )  # fmt: skip
    (home / "noise_long").mkdir()
    write(home / "noise_long", ["babble.wav", "street.wav"], source=["a", "b"])
    (home / "rir_iosr").mkdir()
    write(home / "rir_iosr", ["dead.wav", "hall.wav"], room=["anechoic", "room_a"])
    return home


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """Two speakers with 16 short utterances each."""
    folder = tmp_path_factory.mktemp("speech")
    names = [f"{speaker}{index}.wav" for speaker in "xy" for index in range(16)]
    return write(folder, names, transcription=["ab"] * 32, speaker=[name[0] for name in names])


def kinds_of(files):
    return {name.split("_")[0] for name in files}


def test_types_are_seen_or_unseen_and_no_recording_is_in_both_training_and_test(home):
    sounds = recorded_sounds(home, seed=0)
    noises = {c.kind: c.transform.apply.keywords["noises"] for c in sounds.conditions if c.snr == 0}
    seen, unseen = noises["seen"], noises["unseen"]
    assert len(kinds_of(seen.files)) == len(kinds_of(unseen.files)) == 2
    assert not kinds_of(seen.files) & kinds_of(unseen.files)
    # Folds 4 and 5 are the test's; the bank holds the three others of the two seen types.
    assert all(name[-5] in "45" for name in (*seen.files, *unseen.files)) and len(seen.files) == 4
    assert sounds.bank.shape == (6, 501, FEATURES.n_mels)
    assert noises["background"].files == ("babble.wav", "street.wav")


def test_rooms_without_echo_are_no_condition(home):
    rooms = recorded_sounds(home, seed=0).conditions[-1].transform.apply.keywords["rooms"]
    assert len(rooms) == 1


def test_every_group_of_noises_is_heard_at_every_level_and_rates_are_chosen_in_seen_noise_only(home, speech):
    artificial = artificial_sounds([speech / "x0.wav"], seed=0)
    levels = [f"{kind} {snr} dB" for kind in ("seen", "unseen") for snr in (20, 10, 5, 0)]
    assert [condition.name for condition in artificial.conditions] == ["clean", *levels, "room"]
    names = {condition.name for condition in recorded_sounds(home, seed=0).conditions}
    assert set(TUNED) <= set(levels) & names and all(name.startswith("seen") for name in TUNED)


def test_noise_of_the_test_is_none_of_that_of_training(speech):
    artificial = artificial_sounds([speech / "x0.wav"], seed=0)
    heard = artificial.conditions[1].transform.apply.keywords["noises"]
    training = coloured_noise(48, seed=0)
    alike = np.abs(heard @ training.T) / heard.shape[1]
    # Unit power: the same stretch would give 1; brown noise of five seconds is alike by chance at a few lowest tones.
    assert alike.max() < 0.9


def test_babble_of_one_voice_is_that_voice_over_and_over(speech):
    from jaxmeta.data.audio import read_audio

    voice = read_audio(speech / "x0.wav", RATE)
    expected = np.resize(voice / np.sqrt(np.mean(voice.astype(float) ** 2)), (2, 4 * len(voice)))
    np.testing.assert_allclose(babble([speech / "x0.wav"], 2, 0.4, RATE, voices=1), expected, atol=1e-5)


def test_swelling_noise_has_unit_power_and_the_same_fine_structure():
    steady = coloured_noise(2, 1.0)
    swollen = swelling(steady, RATE)
    np.testing.assert_allclose(np.mean(swollen**2, axis=1), 1, rtol=1e-4)
    level = np.log(swollen / steady)
    np.testing.assert_allclose(level.std(axis=1), 1, rtol=1e-3)
    fast = np.abs(np.fft.rfft(level - level.mean(axis=1, keepdims=True)))[:, 9:]  # one second: bins are 1 Hz apart
    assert fast.max() < 1e-3 * len(level[0])
    np.testing.assert_allclose(swelling(steady, RATE, strength=0.0), steady, rtol=1e-3)


def test_rooms_begin_with_the_direct_path_and_decay_exponentially():
    rooms = artificial_rooms(20, seconds=0.8).astype(float)
    assert np.all(rooms[:, 0] == 1) and np.abs(rooms[:, 1:]).max() < 0.5
    energy = np.square(rooms[:, 1:])
    assert np.all(energy.sum(axis=1) > 0.2) and np.all(energy.sum(axis=1) < 2.1)
    # Of noise, so that energies over 0.1 s scatter by a few percent: 60 dB in 0.3 to 0.8 s is 20 to 7.5 dB in 0.1 s.
    early, late = energy[:, :1600].sum(axis=1), energy[:, 1600:3200].sum(axis=1)
    fall = 10 * np.log10(early / late)
    assert fall.min() > 6.5 and fall.max() < 21.5 and np.ptp(fall) > 5


def test_a_condition_gives_chosen_recordings_the_features_that_the_whole_corpus_would_have(home, speech):
    condition = recorded_sounds(home, seed=3).conditions[2]
    whole = load_corpus(speech, FEATURES, transform=condition.transform, progress=False)
    clean = load_corpus(speech, FEATURES, progress=False)
    mask = np.arange(32) % 5 == 1
    heard, expected = heard_in(clean.select(mask), speech, condition.transform), whole.select(mask)
    for row in range(len(expected)):
        mine, other = (c.frames[c.start[row] : c.start[row] + c.length[row]] for c in (heard, expected))
        np.testing.assert_array_equal(mine, other)
    np.testing.assert_array_equal(heard.columns["file_name"], expected.columns["file_name"])
    assert heard.fingerprint != clean.fingerprint
    assert heard_in(clean, speech, None) is clean


def test_speakers_say_the_same_in_every_condition(home, speech, tmp_path):
    corpus = load_corpus(speech, FEATURES, progress=False)
    vocabulary = build_vocabulary(["ab"])
    conditions = recorded_sounds(home, seed=0).conditions[:2]
    clean, noisy = report.settings(corpus, speech, vocabulary, conditions, 2, 0, tmp_path)
    for protocol, other in ((clean.told, noisy.told), (clean.alone, noisy.alone)):
        assert protocol.kept.path != other.kept.path
        for one, another in zip(protocol.episodes.groups, other.episodes.groups, strict=True):
            files = [setting.told.episodes.corpus.columns["file_name"] for setting in (clean, noisy)]
            np.testing.assert_array_equal(files[0][one.query], files[1][another.query])
            np.testing.assert_array_equal(files[0][one.support], files[1][another.support])
    assert len(clean.told.episodes.corpus) == 2 * (report.SHOTS + report.QUERY)


def test_without_transcripts_the_queries_themselves_are_adapted_to(speech):
    corpus = load_corpus(speech, FEATURES, progress=False)
    told = adaptation_episodes(corpus, build_vocabulary(["ab"]), supports=(5,), query=10, seed=0)
    alone = report.by_themselves(told)
    episode, before = alone(10, [0]), told(5, [0])
    np.testing.assert_array_equal(episode.support.inputs.values, episode.query.inputs.values)
    np.testing.assert_array_equal(episode.query.inputs.values, before.query.inputs.values)
    np.testing.assert_array_equal(episode.support.weight, 1)


def softmax_of_frames() -> Model:
    """Logits [N, T, C] by one linear layer, and a bias."""

    def init(key, inputs):
        return {"kernel": jax.random.normal(key, (inputs.values.shape[-1], 4)), "bias": np.zeros(4, np.float32)}, {}

    def apply(params, state, inputs, key, train):
        return inputs._replace(values=inputs.values @ params["kernel"] + params["bias"]), state

    return Model(init, apply)


def test_each_utterance_adapts_by_itself():
    model, key = softmax_of_frames(), jax.random.key(0)
    signal = confidence()
    alone = unlabelled(model, signal, signal, optax.sgd(1.0), 3, adapt_only=lambda path: path == "bias")
    inputs = Ragged(jax.random.normal(key, (3, 6, 5)), np.array([6, 4, 2], np.int32))
    batch = Batch(inputs, np.zeros(3), np.ones(3, np.float32))
    params, _ = model.init(key, inputs)

    def heard(learner):
        def run(batch):
            fast, _ = learner.adapt(params, {}, batch, key)
            return learner.predict(params, {}, fast, batch.inputs, key, False)[0]

        return jax.jit(run)

    outputs, by_itself = heard(each_utterance(alone))(batch), heard(alone)
    for row in range(3):
        expected = by_itself(jax.tree.map(lambda leaf, row=row: leaf[row : row + 1], batch))
        np.testing.assert_allclose(outputs.values[row], expected.values[0], rtol=1e-5, atol=1e-6)
        assert outputs.lengths[row] == inputs.lengths[row]
    assert np.abs(np.asarray(outputs.values - by_itself(batch).values)).max() > 1e-3


def test_a_task_is_heard_in_one_noise_at_one_level(monkeypatch):
    """Bands of the noises differ, so that what is added tells which one it was, and how loud."""
    monkeypatch.setattr(training, "augmentation", chain)
    monkeypatch.setattr(training, "SNRS", (20.0, 5.0))
    bank = np.full((3, 7, 3), -40.0, np.float32)
    bank[np.arange(3), :, np.arange(3)] = 0.0
    augment = jax.jit(training.one_condition(bank))

    def batch(rows):
        return Batch(Ragged(np.zeros((rows, 5, 3), np.float32), np.full(rows, 5)), np.zeros(rows), np.ones(rows))

    found = []
    for seed in range(30):
        heard = augment(jax.random.key(seed), Episode(batch(2), batch(3)))
        added = np.concatenate([np.exp(part.inputs.values) - 1 for part in heard])
        np.testing.assert_allclose(added, np.broadcast_to(added[0, 0], added.shape), atol=1e-4)
        # The speech has power 3 in each frame: the noise, in one band, has 3 / 10 ** (SNR / 10).
        power = added[0, 0].sum()
        level = "none" if power < 1e-3 else round(float(10 * np.log10(3 / power)))
        found.append((int(added[0, 0].argmax()) if power > 1e-3 else -1, level))
    assert {level for _, level in found} == {"none", 20, 5}
    assert {which for which, _ in found} == {-1, 0, 1, 2}


def heard(*texts: str) -> Heard:
    return Heard(["abcd", "abcd", "abcdefgh", "ab"], list(texts), ["x", "x", "y", "y"])


def test_rates_are_sums_over_the_test_and_changes_are_points():
    before, after = heard("abcd", "", "abcd", "ab"), heard("abcd", "abc", "abcdef", "ab")
    found = report.rates_of(after, before)
    assert found["cer"] == pytest.approx(100 * 3 / 18) and found["change"] == pytest.approx(100 * (3 - 8) / 18)
    assert found["wer"] == pytest.approx(100 * 2 / 4)
    # The draws are x twice, x and y, or y twice: 1 of 8, 3 of 18 and 2 of 10 labels wrong.
    assert found["cer_low"] == pytest.approx(12.5) and found["cer_high"] == pytest.approx(20.0)


class Stub:
    """A setting in which the recogniser hears what a test says."""

    def __init__(self, condition: Condition, answers: dict):
        self.condition, self.answers = condition, answers
        self.told = type("Told", (), {"episodes": type("Episodes", (), {"groups": ("x", "y")})})

    def hear(self, method: Trained, labels: bool) -> Heard:
        return self.answers[method.rate, method.steps]

    def unadapted(self, method: Trained) -> Heard:
        return heard("abcd", "", "abcd", "ab")


def test_the_best_rate_and_steps_over_all_conditions_are_chosen():
    right, good, bad = heard("abcd", "abcd", "abcdefgh", "ab"), heard("abcd", "abc", "abcdefgh", "ab"), heard(*4 * [""])
    quiet = Stub(Condition("seen", 10.0, None), {(0.1, 1): right, (0.1, 5): good, (1.0, 1): bad, (1.0, 5): right})
    loud = Stub(Condition("seen", 0.0, None), {(0.1, 1): bad, (0.1, 5): good, (1.0, 1): bad, (1.0, 5): bad})
    method = Method(lambda rate, steps: None, lambda weights, rate: weights)
    best = report.choose("some", method, {}, [quiet, loud], (0.1, 1.0), (1, 5))
    assert (best.rate, best.steps) == (0.1, 5) and best.error == pytest.approx(100 * 2 / 36)
    edits = report.together([right.characters, bad.characters])
    np.testing.assert_array_equal(edits.errors, np.r_[right.characters.errors, bad.characters.errors])


def test_the_table_tells_what_needed_transcripts_and_what_is_not_adapted():
    setting = Stub(Condition("seen", 5.0, None), {(0.1, 1): heard("abcd", "abc", "abcdef", "ab")})
    known = {name: Method(None, None, labels=name == "told") for name in ("told", "silent")}
    methods = {name: Trained(name, None, {}, 0.1, 1, 0.0) for name in known}
    rows = report.table(Trained("unadapted", None, {}, 0.0, 0, 0.0), methods, known, [setting])
    assert [(row["method"], row["transcribed"], row["condition"]) for row in rows] == [
        ("unadapted", 0, "seen 5 dB"), ("told", 5, "seen 5 dB"), ("silent", 0, "seen 5 dB"),
    ]  # fmt: skip
    assert rows[0]["change"] == 0 and rows[1]["change"] == pytest.approx(100 * (3 - 8) / 18)
    before, after, _ = report.show(rows).splitlines()[2:]
    assert before.startswith("| seen 5 dB | unadapted | 0 | – | – | 44.4 (") and before.endswith(" | – |")
    assert after.startswith("| seen 5 dB | told | 5 | 0.1 | 1 | 16.7 (12.5 to 20.0) | ") and "| -27.8 (" in after


def test_presets_and_flags(monkeypatch, tmp_path):
    assert all(set(plan.methods) <= set(METHODS) for plan in PRESETS.values())
    plan = noise._plan(noise.Config(updates=3, speakers=2, methods=("maml",)))
    assert (plan.recipe.updates, plan.speakers, plan.methods) == (3, 2, ("maml",))
    assert plan.recipe._replace(updates=0) == PRESETS["quick"].recipe._replace(updates=0)
    monkeypatch.setenv("JAXMETA_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"JAXMETA_DATA=.* holds no en_nonnative_sentences"):
        noise.main(noise.Config(preset="full", workdir=tmp_path / "run"))


def test_weights_that_are_not_there_are_named(monkeypatch, tmp_path, speech):
    from experiments.adapt_asr.data import SpeechData

    monkeypatch.setattr(training, "initial_state", lambda *form: None)  # looked at where there is a checkpoint
    corpus = load_corpus(speech, FEATURES, progress=False)
    data = SpeechData(corpus, corpus, corpus, build_vocabulary(["ab"]), {"own": "speech"})
    with pytest.raises(ValueError, match=f"--plain {tmp_path} holds no weights"):
        training.plain_weights(tmp_path, data, PRESETS["quick"].recipe, 0)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "run.json").write_text('{"data": {"other": "speech"}}')
    with pytest.raises(ValueError, match=r"was trained on .*other.*speech"):
        training.plain_weights(tmp_path, data, PRESETS["quick"].recipe, 0)


def test_noise_for_training_has_a_digest_of_its_own(home):
    first, again, other = (recorded_sounds(home, seed=seed) for seed in (0, 0, 1))
    assert first.digest == again.digest and isinstance(other, conditions.Sounds)
    np.testing.assert_array_equal(first.bank, again.bank)
