"""Enrolment as a folder, what may be added to it, and words found in recordings."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import Batch, Ragged, protonet
from jaxmeta.bundle import BundleError
from jaxmeta.data.features import extract
from jaxmeta.data.recordings import read_features
from jaxmeta.files.cards import CardError
from jaxmeta.learners.enrolment import enrolment
from jaxmeta.learners.joint import joint
from jaxmeta.losses import cross_entropy
from jaxmeta.models.speaker import SPEAKER, WORD, part
from jaxmeta.speaker_losses import margin_softmax
from jaxmeta.verification.assistant import Embeddings, embed_recordings, embed_voices, load_assistant, save_assistant
from jaxmeta.verification.gate import Gate
from jaxmeta.verification.recordings import read_recordings, unlike_the_others
from jaxmeta.verification.spotting import peaks, spot, stretches
from jaxmeta.verification.user import absorb, enroll, load_user, save_user
from tests.files.test_bundle import seal
from tests.programs import compiled
from tests.verification.conftest import RATE, WORDS, waveform, write_voice


@pytest.fixture(scope="module")
def read(assistant, voice_folder):
    return read_recordings(assistant, voice_folder)


@pytest.fixture(scope="module")
def user(read):
    return enroll(read.embeddings, read.labels)


def test_an_assistant_comes_back_from_its_folder(assistant, tmp_path, voice_folder):
    save_assistant(tmp_path / "assistant", assistant)
    back = load_assistant(tmp_path / "assistant")
    assert back.card == assistant.card
    features = read_features(assistant.card.features, sorted(voice_folder.glob("*.wav")))
    for mine, theirs in zip(embed_recordings(assistant, features), embed_recordings(back, features), strict=True):
        np.testing.assert_array_equal(mine, theirs)


BAD_CARDS = [
    ({"kind": "x"}, "kind is 'x' and must be 'assistant'"),
    ({"format": 1}, "format is 1 and must be 2"),
    ({"width": 10**9}, "width is 1000000000 and must be at most"),
    ({"cohort": 10**9}, "cohort is float32\\[6, 8\\] and should be float32\\[1000000000, 8\\]"),
    ({"top": 7}, "top=7 must be at most cohort=6"),
    ({"stretch": 1}, "stretch=1 must be 2 or more"),
    ({"voice_calibration": [1.0]}, "voice_calibration is \\[1.0\\] and must be a list of slope, offset"),
    ({"voice_calibration": [1.0, "a"]}, "voice_calibration.offset is 'a' and must be a number"),
]


@pytest.mark.parametrize(("change", "message"), BAD_CARDS, ids=[message[:20] for _, message in BAD_CARDS])
def test_an_assistant_whose_card_is_wrong_is_refused_in_one_line(assistant, tmp_path, change, message):
    folder = save_assistant(tmp_path / "assistant", assistant)
    path = folder / "assistant.json"
    seal(path, json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises((CardError, BundleError), match=message) as caught:
        load_assistant(folder)
    assert "\n" not in str(caught.value) and "jaxmeta train assistant" in str(caught.value)


def test_a_folder_that_is_no_assistant_is_said(tmp_path):
    with pytest.raises(BundleError, match=r"assistant.json is missing"):
        load_assistant(tmp_path)


def test_long_recordings_are_the_mean_direction_of_their_stretches(assistant):
    frames = np.random.default_rng(0).normal(size=(100, 24)).astype(np.float32)
    whole = embed_voices(assistant, [frames])[0]
    parts = embed_voices(assistant, [frames[start : start + 40] for start in (0, 20, 40, 60)]).sum(0)
    np.testing.assert_allclose(whole, parts / np.linalg.norm(parts), atol=1e-6)


def test_who_enrols_is_kept_as_means_and_comes_back(assistant, user, read, tmp_path):
    np.testing.assert_allclose(user.prototype, unit(read.embeddings.voices.sum(0)), atol=1e-6)
    for word in WORDS:
        rows = [row for row, label in enumerate(read.labels) if label == word]
        expected = read.embeddings.words[rows].mean(0)
        np.testing.assert_allclose(user.prototypes[user.words.index(word)], expected, rtol=1e-5, atol=1e-6)
    save_user(tmp_path / "me", assistant, user)
    _, back = load_user(tmp_path / "me")
    assert back.words == user.words and back.counts == user.counts == (3, 3) and back.clips == 6
    np.testing.assert_array_equal(back.voice, user.voice)
    np.testing.assert_array_equal(back.sums, user.sums)
    assert not list((tmp_path / "me").rglob("*.wav"))


def test_enrolling_is_the_adaptation_of_the_joint_learner_to_one_support_set(assistant, voice_folder):
    whole = assistant._replace(
        card=replace(assistant.card, stretch=100)
    )  # clips are of one stretch, as learners have them
    recordings = read_recordings(whole, voice_folder)
    user = enroll(recordings.embeddings, recordings.labels)
    features = read_features(
        assistant.card.features, [voice_folder / name for name in recordings.manifest.columns["file_name"]]
    )
    lengths = np.array([len(frames) for frames in features], np.int32)
    values = np.stack([np.pad(frames, ((0, 64 - len(frames)), (0, 0))) for frames in features])
    learner = joint({
        WORD: protonet(part(assistant.model, WORD), cross_entropy, 2),
        SPEAKER: enrolment(part(assistant.model, SPEAKER), margin_softmax(0.0), 1),
    })  # fmt: skip
    words = jnp.array([user.words.index(label) for label in recordings.labels])
    batch = Batch(Ragged(jnp.asarray(values), jnp.asarray(lengths)), words, jnp.ones(len(words)))
    support = {WORD: batch, SPEAKER: batch._replace(targets=jnp.zeros_like(words))}
    fast, _ = compiled(learner.adapt)(assistant.params, {}, support, jax.random.key(0))
    np.testing.assert_allclose(user.prototypes, fast[WORD], atol=1e-5)
    np.testing.assert_allclose(user.prototype, fast[SPEAKER][0], atol=1e-5)
    predict = compiled(learner.predict, static_argnums=5)
    scores, _ = predict(assistant.params, {}, fast, batch.inputs, jax.random.key(0), False)
    np.testing.assert_allclose(scores[SPEAKER][:, 0], recordings.embeddings.voices @ user.prototype, atol=1e-5)


def test_a_stranger_does_not_move_a_user(assistant, user, voice_folder, other_folder):
    mine, theirs = (read_recordings(assistant, folder) for folder in (voice_folder, other_folder))
    gate = Gate(0.5, 0.9)
    same, decisions = absorb(assistant, user, theirs.embeddings, theirs.labels, gate)
    assert decisions == ["reject"] * 6 and same is user
    more, decisions = absorb(assistant, user, mine.embeddings, ["hum"] * 6, gate)
    assert decisions == ["accept"] * 6 and more.counts == (9, 3) and more.clips == 12
    both = Embeddings(*(np.concatenate(parts) for parts in zip(mine.embeddings, theirs.embeddings, strict=True)))
    mixed, _ = absorb(assistant, user, both, ["hum"] * 12, gate)
    np.testing.assert_allclose(mixed.sums, more.sums, rtol=1e-6)
    np.testing.assert_allclose(mixed.voice, more.voice, rtol=1e-6)


def test_adding_in_parts_is_enrolling_at_once(assistant, user, voice_folder):
    read = read_recordings(assistant, voice_folder)
    embeddings, labels = read.embeddings, read.labels
    first = enroll(Embeddings(embeddings.words[:4], embeddings.voices[:4]), labels[:4])
    rest = Embeddings(embeddings.words[4:], embeddings.voices[4:])
    added, _ = absorb(assistant, first, rest, labels[4:], Gate(0.5, 0.5))
    assert added.words == user.words and added.counts == user.counts
    np.testing.assert_allclose(added.sums, user.sums, rtol=1e-5, atol=1e-6)


def test_normalised_scores_are_used_where_the_card_says_so(assistant, user, read):
    plain = assistant.voice_ratios(user.prototype, read.embeddings.voices)
    np.testing.assert_allclose(plain, 400 * read.embeddings.voices @ user.prototype - 383, rtol=1e-4, atol=1e-3)
    normed = assistant._replace(card=replace(assistant.card, top=4)).voice_ratios(
        user.prototype, read.embeddings.voices
    )
    assert normed.shape == plain.shape and not np.allclose(normed, plain)


def test_a_recording_by_somebody_else_is_noticed(assistant, voice_folder, other_folder):
    mine, theirs = (read_recordings(assistant, folder).embeddings for folder in (voice_folder, other_folder))
    mixed = Embeddings(*(np.concatenate([a, b[:1]]) for a, b in zip(mine, theirs, strict=True)))
    assert unlike_the_others(assistant, mixed) == [6] and unlike_the_others(assistant, mine) == []
    assert unlike_the_others(assistant, Embeddings(mine.words[:2], mine.voices[:2])) == []


def test_words_are_found_where_they_are_said(assistant, user):
    pause = 1e-4 * np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    sound = np.concatenate([pause, waveform("hum", "low", 7), pause, waveform("whistle", "low", 8), pause])
    frames = extract(sound, replace(assistant.card.features, trim_db=None))
    actual = spot(assistant, user, frames, 0.0)
    loud = [each for each in actual if each.end - each.start > 0.4]
    assert [each.word for each in loud] == ["hum", "whistle"]
    np.testing.assert_allclose([(each.start, each.end) for each in loud], [(1.0, 1.6), (2.6, 3.2)], atol=0.15)
    assert spot(assistant, user, frames, 1e9) == []
    with pytest.raises(ValueError, match="no words are enrolled"):
        spot(assistant, user._replace(words=()), frames, 0.0)


def test_stretches_lose_the_silence_at_their_ends_and_peaks_do_not_overlap():
    frames = np.full((300, 4), -20.0)
    frames[130:170] = 0.0
    places, clips = stretches(frames, 100.0)
    assert [130, 170] in places.tolist() and all(len(c) == b - a for c, (a, b) in zip(clips, places, strict=True))
    assert len({tuple(place) for place in places.tolist()}) == len(places)
    chosen = peaks(np.array([[0, 10], [5, 15], [10, 20], [30, 40]]), np.array([1.0, 3.0, 2.0, 0.0]))
    assert chosen == [1, 3]


def test_bad_enrolments_are_said(assistant, user, tmp_path, voice_folder):
    with pytest.raises(ValueError, match="one recording at least"):
        enroll(Embeddings(np.zeros((0, 64)), np.zeros((0, 8))), None)
    with pytest.raises(ValueError, match="'silence' stands for"):
        enroll(Embeddings(np.zeros((1, 64)), np.ones((1, 8))), ["silence"])
    folder = write_voice(tmp_path / "two", takes=1, speaker=["a", "b"])
    with pytest.raises(ValueError, match="row 3: is by 'b' and the first by 'a'"):
        read_recordings(assistant, folder)
    with pytest.raises(BundleError, match=r"no user \(user.json is missing\); run `jaxmeta enroll`"):
        load_user(tmp_path)


BAD_USERS = [
    ({"kind": "x"}, "kind is 'x'"),
    ({"words": 3}, "words is 3 and must be an object"),
    ({"words": {"hum": 0}}, "hum=0 must be 1 or more"),
    ({"clips": True}, "clips is True and must be an integer"),
    ({"recordings": {}}, "recordings is {} and must be a list"),
    ({"recordings": ["a", 3]}, "recordings.1 is 3 and must be"),
    ({"words": {"hum": 3}}, "the weights do not fit user.json: words is float32"),
]


@pytest.mark.parametrize(("change", "message"), BAD_USERS, ids=[message[:20] for _, message in BAD_USERS])
def test_a_user_whose_card_is_wrong_is_refused_in_one_line(assistant, user, tmp_path, change, message):
    path = save_user(tmp_path / "me", assistant, user) / "user.json"
    seal(path, json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises((CardError, BundleError), match=message) as caught:
        load_user(tmp_path / "me")
    assert "\n" not in str(caught.value) and "jaxmeta enroll" in str(caught.value)


def test_a_user_with_the_assistant_of_another_is_refused(assistant, user, tmp_path):
    folder = save_user(tmp_path / "me", assistant, user)
    save_assistant(folder / "assistant", assistant._replace(unknown=2 * assistant.unknown))
    with pytest.raises(BundleError, match=r"assistant/assistant.json: damaged, or changed"):
        load_user(folder)


def unit(vector):
    return vector / np.linalg.norm(vector)
