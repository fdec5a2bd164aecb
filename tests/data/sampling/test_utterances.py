"""Utterances: tasks of one speaker that never share a recording, and batches that visit everything about once."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.utterances import batch_sampler, utterance_sampler
from jaxmeta.data.vocabulary import build_vocabulary

quick = settings(max_examples=25, deadline=None, derandomize=True)


def make_corpus(speakers, frame_counts=None, copies=1):
    """Recordings of speakers (a name for each), `copies` rows each; every feature of row r's frame t is r + t / 1000.

    Row r says the number r // copies.
    """
    rows = len(speakers) * copies
    length = np.asarray([5] * rows if frame_counts is None else frame_counts, np.int32)
    start = np.cumsum(length, dtype=np.int64) - length
    clips = [np.full((n, 3), r) + np.arange(n)[:, None] / 1000 for r, n in enumerate(length)]
    numbers = np.repeat(np.arange(len(speakers)), copies)
    columns = {
        "file_name": np.array([f"{number}.wav" for number in numbers]),
        "speaker": np.repeat(np.array(speakers), copies),
        "recording": np.array([f"r{number}" for number in numbers]),
        "transcription": np.array([f"say {number}" for number in numbers]),
    }
    return Corpus(np.concatenate(clips).astype(np.float32), start, length, columns)


def vocabulary_of(corpus):
    return build_vocabulary(corpus.columns["transcription"].tolist())


def tasks_of(corpus, **arguments):
    arguments = {"support": 2, "query": 3, "tasks": 4, "seed": 0} | arguments
    return utterance_sampler(corpus, vocabulary_of(corpus), **arguments)


def batches_of(corpus, **arguments):
    return batch_sampler(corpus, vocabulary_of(corpus), **({"seed": 0} | arguments))


def check_batch(corpus, batch, rows):
    """Each row's frames, labels and lengths, and zeros beyond them."""
    vocabulary = vocabulary_of(corpus)
    assert batch.inputs.values.dtype == batch.weight.dtype == np.float32
    assert {a.dtype for a in (batch.inputs.lengths, *batch.targets)} == {np.dtype(np.int32)}
    assert batch.weight.shape == rows.shape and (batch.weight == 1).all()
    for place in np.ndindex(rows.shape):
        row = int(rows[place])
        frames, labels = int(corpus.length[row]), int(batch.targets.lengths[place])
        expected = np.zeros(batch.inputs.values.shape[2:], np.float32)
        expected[:frames] = (row + np.arange(frames) / 1000)[:, None]
        np.testing.assert_array_equal(batch.inputs.values[place], expected)
        assert batch.inputs.lengths[place] == frames
        assert vocabulary.decode(batch.targets.values[place][:labels]) == corpus.columns["transcription"][row]
        assert not batch.targets.values[place][labels:].any()


@quick
@given(
    frame_counts=st.lists(st.integers(1, 90), min_size=18, max_size=18),
    buckets=st.integers(1, 4),
    seed=st.integers(0, 2**40),
    index=st.integers(0, 10**6),
)
def test_a_task_is_one_speaker_and_its_arrays_are_its_rows(frame_counts, buckets, seed, index):
    corpus = make_corpus(["ann", "bob", "cid"] * 6, frame_counts)
    sampler = tasks_of(corpus, buckets=buckets, seed=seed)
    episode, (support, query) = sampler(index), sampler.rows(index)
    assert support.shape == (4, 2) and query.shape == (4, 3) and len(sampler.lengths) <= buckets
    for rows in np.concatenate([support, query], axis=1):
        assert len(set(rows)) == 5 and len(set(corpus.columns["speaker"][rows])) == 1
    for batch, rows in zip(episode, (support, query), strict=True):
        assert batch.inputs.values.shape[2] in sampler.lengths and batch.targets.values.shape[2] == 8
        check_batch(corpus, batch, rows)


@quick
@given(order=st.permutations(range(5)), seed=st.integers(0, 9))
def test_a_batch_depends_on_seed_and_index_alone(order, seed):
    corpus = make_corpus(["ann", "bob"] * 12)
    for make in (tasks_of, lambda corpus, seed: batches_of(corpus, seed=seed, size=4)):
        expected = {index: make(corpus, seed=seed).rows(index) for index in range(5)}
        sampler = make(corpus, seed=seed)
        for index in order:
            assert all(np.array_equal(a, b) for a, b in zip(sampler.rows(index), expected[index], strict=True))


def test_another_seed_or_index_gives_another_batch():
    corpus = make_corpus(["ann", "bob"] * 12)
    for make in (tasks_of, lambda corpus, seed: batches_of(corpus, seed=seed, size=12)):
        drawn = {make(corpus, seed=seed).rows(index)[0].tobytes() for seed in range(3) for index in range(3)}
        assert len(drawn) == 9


def test_tasks_do_not_depend_on_the_size_of_the_batch():
    corpus = make_corpus(["ann", "bob"] * 12)
    singly = np.concatenate([tasks_of(corpus, tasks=1).rows(index)[1] for index in range(6)])
    assert np.array_equal(singly, np.concatenate([tasks_of(corpus, tasks=3).rows(index)[1] for index in range(2)]))


def test_support_and_query_never_share_a_recording_and_every_copy_comes_up():
    corpus = make_corpus(["ann"] * 6, copies=3)
    support, query = tasks_of(corpus, tasks=100, support=3).rows(0)
    for rows in np.concatenate([support, query], axis=1):
        assert len(set(corpus.columns["recording"][rows])) == 6
    # Each of 18 copies is in support with probability 1/6: missing in 100 tasks once in 10 ** 8.
    assert set(support.ravel()) == set(range(18))


def test_speakers_with_enough_recordings_are_equally_likely_and_others_never_drawn():
    corpus = make_corpus(["ann"] * 5 + ["bob"] * 20 + ["cid"] * 4)
    sampler = tasks_of(corpus, tasks=400)
    speakers = Counter(corpus.columns["speaker"][sampler.rows(0)[0][:, 0]])
    # 200 of 400 expected of each, standard deviation 10.
    assert set(speakers) == {"ann", "bob"} and abs(speakers["ann"] - 200) < 50
    assert [source.name for source in sampler.sources] == ["ann", "bob"]


def test_within_may_be_several_columns():
    corpus = make_corpus(["ann", "bob"] * 12).with_column("noise", ["car"] * 12 + ["rain"] * 12)
    sampler = tasks_of(corpus, within=("noise", "speaker"), tasks=50)
    for rows in np.concatenate(sampler.rows(0), axis=1):
        assert len(set(corpus.columns["speaker"][rows])) == len(set(corpus.columns["noise"][rows])) == 1
    assert [source.name for source in sampler.sources] == ["car/ann", "car/bob", "rain/ann", "rain/bob"]


def test_too_few_recordings_are_an_error_with_their_counts():
    corpus = make_corpus(["ann"] * 4 + ["bob"] * 2)
    with pytest.raises(ValueError, match=r"support \+ query = 2 \+ 3 needs .*'speaker' with 5 rec.*'ann' 4, 'bob' 2\."):
        tasks_of(corpus)
    # Copies are not recordings.
    with pytest.raises(ValueError, match="these have: 'ann' 4"):
        tasks_of(make_corpus(["ann"] * 4, copies=2))


def test_long_utterances_are_left_out_not_cropped():
    corpus = make_corpus(["ann"] * 8, [30, 5, 6, 7, 8, 9, 30, 9])
    sampler = tasks_of(corpus, max_frames=9, tasks=40)
    kept = sampler.corpus.columns["file_name"][np.concatenate(sampler.rows(0), axis=1)]
    assert set(kept.ravel()) == {f"{number}.wav" for number in (1, 2, 3, 4, 5, 7)}
    assert batches_of(corpus, size=2, max_frames=9).lengths == (8, 16)
    with pytest.raises(ValueError, match="max_frames=4 leaves no utterance; the shortest has 5"):
        tasks_of(corpus, max_frames=4)


def test_another_column_can_be_the_target():
    corpus = make_corpus(["ann"] * 6).with_column("translation", [f"{number}" * 9 for number in range(6)])
    vocabulary = build_vocabulary("012345")
    sampler = utterance_sampler(
        corpus, vocabulary, support=2, query=2, tasks=1, seed=0, column="translation", within="speaker"
    )
    rows, targets = sampler.rows(0)[0][0], sampler(0).support.targets
    assert targets.values.shape == (1, 2, 16)
    assert [vocabulary.decode(values[:9]) for values in targets.values[0]] == [f"{row}" * 9 for row in rows]


def test_an_unknown_character_and_an_empty_text_name_the_recording():
    corpus = make_corpus(["ann"] * 6)
    vocabulary = vocabulary_of(corpus)
    for text, message in (("say ß", r"'5.wav' \(row 5 of the corpus\): 'say ß' has 'ß'"), ("", "'5.wav'.*is empty")):
        changed = corpus.with_column("transcription", [*corpus.columns["transcription"][:5], text])
        for make in (
            lambda c: utterance_sampler(c, vocabulary, support=1, query=1, tasks=1, seed=0),
            lambda c: batch_sampler(c, vocabulary, size=2, seed=0),
        ):
            with pytest.raises(ValueError, match=message):
                make(changed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"support": 0}, "support must be at least 1, got 0"),
        ({"query": 0}, "query must be at least 1"),
        ({"tasks": 0}, "tasks must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"buckets": 5}, "buckets must be at most 4, got 5"),
        ({"max_frames": 0}, "max_frames must be at least 1"),
        ({"within": "accent"}, "within: the corpus has no column 'accent'"),
        ({"column": "text"}, "column: the corpus has no column 'text'"),
    ],
)
def test_an_argument_out_of_range_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        tasks_of(make_corpus(["ann"] * 6), **change)


@quick
@given(
    frame_counts=st.lists(st.integers(1, 90), min_size=5, max_size=60),
    size=st.integers(1, 5),
    buckets=st.integers(1, 4),
    epoch=st.integers(0, 1000),
)
def test_an_epoch_visits_every_utterance_about_once(frame_counts, size, buckets, epoch):
    corpus = make_corpus(["ann"] * len(frame_counts), frame_counts)
    sampler = batches_of(corpus, size=size, buckets=buckets)
    visits = np.zeros(len(corpus), int)
    drawn = Counter()
    for index in range(epoch * sampler.batches, (epoch + 1) * sampler.batches):
        rows, padded = sampler.rows(index)
        assert len(set(rows)) == size and corpus.length[rows].max() <= padded
        visits[rows] += 1
        drawn[padded] += 1
    for padded, members in zip(sampler.lengths, sampler.members, strict=True):
        # A bucket's batches are those it fills, rounded up or down; that many utterances more or fewer are visited.
        assert (
            abs(drawn[padded] * size - len(members))
            < size + len(members) * abs(sampler.batches * size / len(corpus) - 1) + 1e-9
        )
        assert np.ptp(visits[members]) <= 1


def test_in_the_long_run_every_utterance_comes_up_alike():
    lengths = np.random.default_rng(0).gamma(4, 10, 101).astype(int) + 1
    corpus = make_corpus(["ann"] * 101, lengths)
    sampler = batches_of(corpus, size=8)
    visits = np.zeros(101)
    for index in range(300 * sampler.batches):
        np.add.at(visits, sampler.rows(index)[0], 1)
    # 300 epochs of 13 batches of 8 of 101; an epoch's luck is one batch of a bucket, at most 8 of its utterances.
    assert len(sampler.lengths) == 4
    np.testing.assert_allclose(visits / visits.mean(), 1, atol=0.1)


def test_batches_of_an_epoch_are_shuffled_and_another_epoch_is_in_another_order():
    corpus = make_corpus(["ann"] * 64, [8] * 32 + [40] * 32)
    sampler = batches_of(corpus, size=4)
    epochs = [[sampler.rows(16 * epoch + place)[1] for place in range(16)] for epoch in range(3)]
    assert all(sorted(epoch) == [8] * 8 + [40] * 8 and epoch != sorted(epoch) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert not np.array_equal(sampler.rows(0)[0], sampler.rows(16)[0])


def test_a_batch_is_one_task_with_support_and_query_alike():
    corpus = make_corpus(["ann"] * 12, [3, 30] * 6)
    sampler = batches_of(corpus, size=4)
    for index in range(3):
        episode, (rows, padded) = sampler(index), sampler.rows(index)
        assert episode.support is episode.query and episode.query.inputs.values.shape == (1, 4, padded, 3)
        check_batch(corpus, episode.query, rows[None])


def test_buckets_pad_less_than_one_length():
    lengths = np.random.default_rng(0).gamma(3, 20, 400).astype(int) + 1
    corpus = make_corpus(["ann"] * 400, lengths)

    def padding(buckets):
        sampler = batches_of(corpus, size=8, buckets=buckets)
        batches = [sampler.rows(index) for index in range(sampler.batches)]
        held = sum(corpus.length[rows].sum() for rows, _ in batches)
        return 1 - held / sum(len(rows) * padded for rows, padded in batches)

    # 400 of these lengths have a mean of 61 and a maximum of 203, so that one length is 0.7 padding.
    assert padding(1) > 0.65 and padding(4) < 0.25


def test_a_budget_of_frames_gives_short_utterances_larger_batches():
    corpus = make_corpus(["ann"] * 60, [8] * 30 + [16] * 20 + [40] * 10)
    sampler = batches_of(corpus, frames_per_batch=80)
    assert sampler.lengths == (8, 16, 40) and sampler.sizes == (10, 5, 2) and sampler.batches == 3 + 4 + 5
    shapes = Counter(sampler(index).query.inputs.values.shape[1:3] for index in range(12))
    assert shapes == {(10, 8): 3, (5, 16): 4, (2, 40): 5}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "size or frames_per_batch, not both; got None and None"),
        ({"size": 2, "frames_per_batch": 90}, "not both; got 2 and 90"),
        ({"size": 0}, r"size must lie in \[1, 6\], the number of utterances, got 0"),
        ({"size": 7}, "got 7"),
        ({"frames_per_batch": 15}, "frames_per_batch=15 is less than the longest utterance padded, 16"),
        ({"size": 2, "buckets": 0}, "buckets must be at least 1"),
    ],
)
def test_a_batch_that_cannot_be_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        batches_of(make_corpus(["ann"] * 6, [5, 5, 5, 5, 5, 9]), **change)


def test_a_negative_index_is_an_error():
    corpus = make_corpus(["ann"] * 6)
    for sampler, index in itertools.product([tasks_of(corpus), batches_of(corpus, size=2)], [-1, -9]):
        with pytest.raises(ValueError, match=f"index must be at least 0, got {index}"):
            sampler(index)
