"""Speakers: batches in which they are learnt, trials in which they are verified, and their cohort."""

import numpy as np

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.speakers import SpeakerBatches
from jaxmeta.models.speaker import unit
from jaxmeta.types import Model
from jaxmeta.verification.protocols.speakers import verify_across_languages, verify_in_conditions
from jaxmeta.verification.trials import enrolments, summary, trials, trials_in_a_row
from jaxmeta.verification.voices import Voices, with_cohort

SPEAKERS = np.repeat([f"s{n}" for n in range(6)], 8)
POOLS = np.where(SPEAKERS == "s0", "small", "large")


def corpus(frames=3):
    """Recordings whose frames all hold the number of the speaker as a direction."""
    rng = np.random.default_rng(0)
    number = np.char.lstrip(SPEAKERS, "s").astype(int)
    values = np.eye(6)[np.repeat(number, frames)] + 0.2 * rng.normal(size=(len(number) * frames, 6))
    start = frames * np.arange(len(number))
    columns = {"speaker": SPEAKERS, "pool": POOLS, "language": np.tile(["en", "zh"], len(number) // 2)}
    return Corpus(values.astype(np.float32), start, np.full(len(number), frames, np.int32), columns)


def test_batches_know_every_speaker_of_a_pool_alike_and_pools_by_the_root_of_their_size():
    batches = SpeakerBatches(corpus(), 64, 0)
    assert batches.names.tolist() == [f"large/s{n}" for n in range(1, 6)] + ["small/s0"]
    share = np.bincount(batches.classes, batches.probability)
    np.testing.assert_allclose(share[:5], share[0])
    np.testing.assert_allclose(share[5] / share[:5].sum(), 1 / np.sqrt(5), rtol=1e-12)
    episode = batches(3)
    assert episode.query.inputs.values.shape == (1, 64, 8, 6) and episode.query.targets.dtype == np.int32
    nearest = episode.query.inputs.values[0, :, :3].mean(1).argmax(1)
    assert (
        np.char.add("s", nearest.astype(str)) == np.char.partition(batches.names, "/")[episode.query.targets[0], 2]
    ).all()


def directions():
    """A network that takes a recording's mean frame as its embedding."""

    def apply(params, state, inputs, key, train):
        mean = inputs.values.sum(1) / inputs.lengths[:, None]
        return unit(mean), state

    return Model(lambda key, inputs: ({}, {}), apply)


def test_every_enrolment_meets_every_recording_that_it_does_not_hold():
    voices, some = Voices("x", directions(), {}, None), corpus()
    embedded = voices.embed(some)
    sets = enrolments(SPEAKERS, 3, 0)
    assert sets.rows.shape == (60, 3) and all(set(SPEAKERS[rows]) == {who} for rows, who in zip(*sets, strict=True))
    actual = trials(voices, sets, embedded, embedded, SPEAKERS)
    assert len(actual.scores) == 60 * (48 - 3) and actual.targets.sum() == 60 * 5
    figures = summary(actual, 0)
    assert figures["EER %"].value < 1 and figures["speakers"] == 6 and figures["trials"] == 2_700
    chance = trials(voices, sets, embedded, np.random.default_rng(0).permutation(embedded), SPEAKERS)
    assert 30 < summary(chance, 0)["EER %"].value < 70
    rows, drawn = verify_in_conditions([voices], {"c": some}, (3, 8), 0)  # with 8 enrolled, none is left to be tested
    assert [(row["corpus"], row["clips"]) for row in rows] == [("c", 3)] and rows[0]["EER %"] == figures["EER %"]
    np.testing.assert_array_equal(drawn["c, clean"]["x"].scores, actual.scores)


def test_a_cohort_is_a_direction_for_each_training_speaker_and_scores_are_normalised_by_it():
    voices = with_cohort("x", directions(), {}, corpus(), 0)
    np.testing.assert_allclose(np.linalg.norm(voices.cohort, axis=1), 1, rtol=1e-5)
    assert sorted(voices.cohort.argmax(1)) == list(range(6)) and voices.top == 6
    embedded = voices.embed(corpus())
    plain = voices._replace(cohort=None).scores(embedded[:2], embedded)
    np.testing.assert_allclose(plain, embedded[:2] @ embedded.T, rtol=1e-6)
    assert not np.allclose(voices.scores(embedded[:2], embedded), plain)


def test_one_language_is_enrolled_and_each_is_tested():
    twice = corpus()
    longer = Corpus(
        twice.frames, np.tile(twice.start, 2), np.tile(twice.length, 2),
        {name: np.tile(column, 2) for name, column in twice.columns.items()},
    )  # fmt: skip
    choice = Voices("x", directions(), {}, None)
    rows = verify_across_languages([choice], {"both": longer}, 5, 0)
    assert [row["heard in"] for row in rows] == ["en to en", "en to zh", "zh to en", "zh to zh"]
    assert [row["trials"] for row in rows] == [60 * (48 - 5), 60 * 48, 60 * 48, 60 * (48 - 5)]
    assistant = twice.with_column("language", "en")
    assert verify_across_languages([choice], {"one": assistant}, 5, 0) == []


def test_recordings_in_a_row_are_scored_by_their_mean_direction_and_apart_from_those_enrolled():
    vectors = unit(np.random.default_rng(1).normal(size=(48, 4)))
    voices = Voices("fixed", Model(lambda *_: ({}, {}), lambda *_: (None, {})), {}, None)
    enrolled = enrolments(SPEAKERS, 2, 0)
    scored = trials_in_a_row(voices, enrolled, vectors, SPEAKERS, 8, 0)
    # All eight recordings of a speaker are one row: no enrolment can be tested against its own speaker.
    assert not scored.targets.any() and len(scored.scores) == len(enrolled.rows) * 5
    prototype = unit(vectors[enrolled.rows[0]].sum(0))
    expected = sorted(prototype @ unit(vectors[name == SPEAKERS].sum(0)) for name in np.unique(SPEAKERS)[1:])
    np.testing.assert_allclose(sorted(scored.scores[:5]), expected, rtol=1e-6)
    # In rows of two, a row is left out where it shares a recording with the enrolment: at most two are.
    pairs = trials_in_a_row(voices, enrolled, vectors, SPEAKERS, 2, 0)
    counts = np.bincount(np.unique(pairs.claimed[pairs.targets], return_inverse=True)[1])
    assert ((counts >= 2 * 10) & (counts <= 3 * 10)).all()
