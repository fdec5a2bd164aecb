"""Episodes: what they hold, what they never share, and the errors where they cannot be drawn."""

import dataclasses
import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.episodes import episode_sampler

quick = settings(max_examples=25, deadline=None, derandomize=True)


def make_corpus(rows, frame_counts=None):
    """A corpus from rows (label, speaker, file_name, ...); every feature of row r's frame t is r + t / 1000."""
    names = ("label", "speaker", "file_name", "recording")[: len(rows[0])]
    length = np.asarray([5] * len(rows) if frame_counts is None else frame_counts, np.int32)
    start = np.concatenate([[0], np.cumsum(length)[:-1]]).astype(np.int64)
    clips = [np.full((n, 3), r) + np.arange(n)[:, None] / 1000 for r, n in enumerate(length)]
    columns = {name: np.array([str(row[i]) for row in rows]) for i, name in enumerate(names)}
    return Corpus(np.concatenate(clips).astype(np.float32), start, length, columns)


def grid(words=6, speakers=4, takes=3):
    return [(w, s, f"{s}/{w}_{t}.wav") for s, w, t in itertools.product(range(speakers), range(words), range(takes))]


def values(corpus, column, rows):
    return corpus.columns[column][rows]


shapes = st.tuples(st.integers(2, 6), st.integers(1, 4), st.integers(1, 8))


@quick
@given(shape=shapes, tasks=st.integers(1, 3), seed=st.integers(0, 2**40), index=st.integers(0, 10**6))
def test_every_class_has_exactly_its_shots_and_queries_and_no_recording_twice(shape, tasks, seed, index):
    ways, shots, queries = shape
    corpus = make_corpus(grid())
    sampler = episode_sampler(corpus, ways=ways, shots=shots, queries=queries, tasks=tasks, seed=seed)
    episode, (support, query) = sampler(index), sampler.rows(index)
    for task in range(tasks):
        drawn = np.concatenate([support[task], query[task]])
        assert len(set(drawn)) == ways * (shots + queries)
        for batch, rows, each in ((episode.support, support, shots), (episode.query, query, queries)):
            targets, labels = batch.targets[task], values(corpus, "label", rows[task])
            assert np.array_equal(np.bincount(targets), [each] * ways)
            assert len(set(zip(targets, labels, strict=True))) == len(set(labels)) == ways
        by_class = dict(zip(episode.support.targets[task], values(corpus, "label", support[task]), strict=True))
        assert [by_class[c] for c in episode.query.targets[task]] == list(values(corpus, "label", query[task]))


@quick
@given(order=st.permutations(range(5)), seed=st.integers(0, 9))
def test_the_same_seed_and_index_give_the_same_rows_in_any_order(order, seed):
    corpus = make_corpus(grid())
    sampler = episode_sampler(corpus, ways=3, shots=1, queries=2, tasks=2, seed=seed, disjoint="speaker")
    again = episode_sampler(corpus, ways=3, shots=1, queries=2, tasks=2, seed=seed, disjoint="speaker")
    expected = {index: again.rows(index) for index in range(5)}
    for index in order:
        assert all(np.array_equal(a, b) for a, b in zip(sampler.rows(index), expected[index], strict=True))


def test_another_seed_or_index_gives_another_batch():
    corpus = make_corpus(grid())
    rows = [
        np.concatenate(episode_sampler(corpus, ways=5, shots=2, queries=4, tasks=2, seed=seed).rows(index), axis=1)
        for seed, index in itertools.product(range(3), range(3))
    ]
    assert len({row.tobytes() for row in rows}) == 9


def test_tasks_do_not_depend_on_the_size_of_the_batch():
    corpus = make_corpus(grid())
    one, six = (episode_sampler(corpus, ways=3, shots=1, queries=2, tasks=tasks, seed=3) for tasks in (1, 6))
    singly = np.concatenate([one.rows(index)[0] for index in range(12)])
    assert np.array_equal(singly, np.concatenate([six.rows(0)[0], six.rows(1)[0]]))


def test_every_class_and_every_recording_comes_up():
    corpus = make_corpus(grid(words=4, speakers=2, takes=2))
    sampler = episode_sampler(corpus, ways=2, shots=1, queries=1, tasks=200, seed=0)
    support, query = sampler.rows(0)
    # Each of 16 rows is drawn with probability 1/8 on each side of a task: 25 times of 200, standard deviation 4.7.
    for rows in (support, query):
        assert np.all(np.abs(np.bincount(rows.ravel(), minlength=16) - 25) < 5 * 4.7)


def test_clips_of_an_episode_share_the_value_of_within_and_speakers_are_equally_likely():
    corpus = make_corpus(grid(words=4, speakers=4, takes=4))
    sampler = episode_sampler(corpus, ways=3, shots=1, queries=3, tasks=400, seed=1, within="speaker")
    speakers = values(corpus, "speaker", np.concatenate(sampler.rows(0), axis=1))
    assert np.all(speakers == speakers[:, :1])
    # 100 of 400 expected of each speaker, standard deviation 8.7.
    assert np.all(np.abs(np.unique(speakers[:, 0], return_counts=True)[1] - 100) < 5 * 8.7)


@pytest.mark.parametrize("speakers", [2, 3, 12])
def test_support_and_query_never_share_a_disjoint_value(speakers):
    corpus = make_corpus(grid(speakers=speakers))
    sampler = episode_sampler(corpus, ways=4, shots=2, queries=3, tasks=60, seed=5, disjoint="speaker")
    for support, query in zip(*sampler.rows(0), strict=True):
        assert not set(values(corpus, "speaker", support)) & set(values(corpus, "speaker", query))


def test_speakers_can_be_the_classes_and_words_the_group():
    corpus = make_corpus(grid())
    sampler = episode_sampler(
        corpus, ways=4, shots=1, queries=2, tasks=20, seed=0, label="speaker", within="label", disjoint=None
    )
    rows = np.concatenate(sampler.rows(2), axis=1)
    assert all(len(set(values(corpus, "label", row))) == 1 for row in rows)
    assert all(len(set(values(corpus, "speaker", row))) == 4 for row in rows)


def test_copies_of_a_recording_stay_on_one_side_and_every_copy_comes_up():
    rows = [
        (word, 0, f"{copy}/{word}_{take}.wav", f"{word}_{take}")
        for copy, word, take in itertools.product(["clean", "noisy", "fast"], range(3), range(4))
    ]
    corpus = make_corpus(rows)
    sampler = episode_sampler(corpus, ways=3, shots=2, queries=2, tasks=100, seed=0)
    support, query = sampler.rows(0)
    for task in range(100):
        recordings = values(corpus, "recording", np.concatenate([support[task], query[task]]))
        assert len(set(recordings)) == 12
    assert len(set(support.ravel())) == 36


def test_a_recording_under_two_labels_is_never_on_both_sides():
    rows = [(noise, 0, f"{noise}/{take}.wav", str(take)) for noise in ("clean", "babble", "car") for take in range(6)]
    corpus = make_corpus(rows)
    sampler = episode_sampler(corpus, ways=3, shots=2, queries=2, tasks=100, seed=0)
    for support, query in zip(*sampler.rows(0), strict=True):
        assert not set(values(corpus, "recording", support)) & set(values(corpus, "recording", query))


@pytest.mark.parametrize("within", ["source", ("source", "speaker")])
def test_half_of_the_tasks_come_from_a_source_of_half_the_weight(within):
    corpus = make_corpus(grid(words=3, speakers=5, takes=3))
    source = np.where(corpus.columns["speaker"] == "0", "synthesised", "real")
    corpus = dataclasses.replace(corpus, columns={**corpus.columns, "source": source})
    weights = {"synthesised": 3.0, "real": 3.0}
    sampler = episode_sampler(corpus, ways=2, shots=1, queries=1, tasks=400, seed=0, within=within, weights=weights)
    sources = values(corpus, "source", sampler.rows(0)[0][:, 0])
    assert abs(np.mean(sources == "synthesised") - 0.5) < 5 * np.sqrt(0.25 / 400)


@quick
@given(
    frame_counts=st.lists(st.integers(1, 200), min_size=24, max_size=24),
    max_frames=st.one_of(st.none(), st.integers(1, 120)),
    buckets=st.integers(1, 4),
)
def test_padded_values_are_the_rows_of_the_corpus_and_zero_beyond(frame_counts, max_frames, buckets):
    corpus = make_corpus(grid(words=4, speakers=2, takes=3), frame_counts)
    sampler = episode_sampler(
        corpus, ways=3, shots=1, queries=2, tasks=2, seed=0, max_frames=max_frames, buckets=buckets
    )
    assert len(sampler.lengths) <= buckets
    for index in range(4):
        episode = sampler(index)
        for batch, rows in zip(episode, sampler.rows(index), strict=True):
            padded = batch.inputs.values.shape[2]
            assert padded in sampler.lengths and padded % 8 == 0
            assert (batch.inputs.values.dtype, batch.inputs.lengths.dtype) == (np.float32, np.int32)
            assert np.array_equal(batch.weight, np.ones((2, rows.shape[1]), np.float32))
            for place in np.ndindex(rows.shape):
                row = int(rows[place])
                kept = min(frame_counts[row], max_frames or 200)
                skipped = (frame_counts[row] - kept) // 2
                expected = np.zeros((padded, 3), np.float32)
                expected[:kept] = (row + np.arange(skipped, skipped + kept) / 1000)[:, None]
                np.testing.assert_array_equal(batch.inputs.values[place], expected)
                assert batch.inputs.lengths[place] == kept


def test_batches_spread_over_at_most_four_lengths_and_all_four_are_used():
    lengths = np.random.default_rng(0).gamma(4, 15, 360).astype(int) + 5
    corpus = make_corpus(grid(words=6, speakers=6, takes=10), lengths)
    sampler = episode_sampler(corpus, ways=2, shots=1, queries=1, tasks=1, seed=0)
    seen = [sampler(index).support.inputs.values.shape[2] for index in range(200)]
    assert len(sampler.lengths) == 4 and set(seen) == set(sampler.lengths)
    # A quarter each, as the quantiles of the longest of four clips have it; rounding up to 8 frames moves some.
    assert np.min(np.unique(seen, return_counts=True)[1]) > 200 / 8
    assert sampler.lengths[-1] >= lengths.max()


def brute_force_largest(recordings, ways, shots, queries):
    triples = itertools.product(range(2, ways + 1), range(1, shots + 1), range(1, queries + 1))
    return max((t for t in triples if sum(n >= t[1] + t[2] for n in recordings) >= t[0]), default=None)


@quick
@given(recordings=st.lists(st.integers(2, 9), min_size=1, max_size=6), shape=shapes)
def test_an_infeasible_request_is_an_error_that_names_the_largest_feasible(recordings, shape):
    ways, shots, queries = shape
    corpus = make_corpus([(w, 0, f"{w}_{take}.wav") for w, n in enumerate(recordings) for take in range(n)])
    largest = brute_force_largest(recordings, ways, shots, queries)
    if largest == shape:
        episode_sampler(corpus, ways=ways, shots=shots, queries=queries, tasks=1, seed=0)
        return
    with pytest.raises(ValueError) as error:
        episode_sampler(corpus, ways=ways, shots=shots, queries=queries, tasks=1, seed=0)
    message = str(error.value)
    assert f"by recordings: {sum(n == max(recordings) for n in recordings)} with {max(recordings)}" in message
    assert (f"The largest feasible is {largest}" if largest else "No episode of two classes is feasible") in message
    for actual in re.findall(r"\((\d+), (\d+), (\d+)\)", message)[1:]:
        episode_sampler(
            corpus, **dict(zip(("ways", "shots", "queries"), map(int, actual), strict=True)), tasks=1, seed=0
        )


def test_too_few_speakers_to_part_are_an_error_with_their_number():
    corpus = make_corpus(grid(words=3, speakers=2, takes=3))
    with pytest.raises(ValueError, match=r"no 'speaker' on both sides.*2 values of 'speaker'.*feasible is \(3, 2, 3\)"):
        episode_sampler(corpus, ways=3, shots=2, queries=4, tasks=1, seed=0, disjoint="speaker")
    alone = make_corpus(grid(words=3, speakers=1, takes=9))
    with pytest.raises(ValueError, match=r"1 values of 'speaker'\. No episode"):
        episode_sampler(alone, ways=2, shots=1, queries=1, tasks=1, seed=0, disjoint="speaker")


def test_a_label_with_one_recording_is_an_error_that_names_its_file():
    corpus = make_corpus([*grid(words=3), ("lonely", 0, "0/lonely.wav")])
    with pytest.raises(ValueError, match=r"label 'lonely' has one recording, recording '0/lonely.wav' \(row 36"):
        episode_sampler(corpus, ways=2, shots=1, queries=1, tasks=1, seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ways": 1}, "ways must be at least 2, got 1"),
        ({"shots": 0}, "shots must be at least 1, got 0"),
        ({"queries": 0}, "queries must be at least 1, got 0"),
        ({"tasks": 0}, "tasks must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"buckets": 5}, "buckets must be at most 4, got 5"),
        ({"max_frames": 0}, "max_frames must be at least 1, got 0"),
        (
            {"within": "accent"},
            r"within: the corpus has no column 'accent'; it has \['file_name', 'label', 'speaker'\]",
        ),
        ({"weights": {"0": 1.0}}, "weights are of the values of `within`, which is None"),
        ({"within": "speaker", "weights": {"0": 1.0}}, r"weights must give each value of within='speaker'"),
        ({"within": "speaker", "weights": dict.fromkeys("0123", 0.0)}, "not all 0"),
    ],
)
def test_an_argument_out_of_range_is_named(change, message):
    arguments = {"ways": 3, "shots": 1, "queries": 1, "tasks": 1, "seed": 0} | change
    with pytest.raises(ValueError, match=message):
        episode_sampler(make_corpus(grid()), **arguments)


def test_copies_with_different_speakers_are_an_error():
    corpus = make_corpus([(w, s, f"{w}_{s}.wav", f"{w}_{s // 2}") for w in range(3) for s in range(4)])
    with pytest.raises(ValueError, match=r"disjoint='speaker': the copies of recording '0_0.wav'"):
        episode_sampler(corpus, ways=2, shots=1, queries=1, tasks=1, seed=0, disjoint="speaker")


@pytest.mark.parametrize("column", ["label", "speaker", "recording"])
def test_an_empty_value_is_no_class_no_speaker_and_no_recording(column):
    corpus = make_corpus([(*row, row[2]) for row in grid()])
    values = corpus.columns[column].copy()
    values[[7, 9]] = ""
    with pytest.raises(ValueError, match=rf"column '{column}' is empty in 2 of 72 rows, first in row 7"):
        episode_sampler(
            corpus.with_column(column, values), ways=2, shots=1, queries=1, tasks=1, seed=0, disjoint="speaker"
        )


def test_a_negative_index_is_an_error():
    sampler = episode_sampler(make_corpus(grid()), ways=2, shots=1, queries=1, tasks=1, seed=0)
    with pytest.raises(ValueError, match="index must be 0 or more, got -1"):
        sampler(-1)
