"""The test protocol: fixed query sets, nested support sets, one shape for all, and padding that teaches nothing."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.support_query_splits import adaptation_episodes
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.losses import weighted_mean
from jaxmeta.sequence_losses import ctc
from jaxmeta.types import Ragged

VOCABULARY = build_vocabulary(["say 0123456789"])


def make_corpus(speakers, seed=0):
    """Recordings of speakers (a name for each) of random lengths; row r is of frames of r + 1."""
    rows = len(speakers)
    length = np.random.default_rng(seed).integers(20, 40, rows).astype(np.int32)
    columns = {
        "file_name": np.array([f"{row}.wav" for row in range(rows)]),
        "speaker": np.array(speakers),
        "recording": np.array([f"r{row:03d}" for row in range(rows)]),
        "transcription": np.array([f"say {row}" for row in range(rows)]),
    }
    frames = np.repeat(np.arange(1.0, rows + 1), length)[:, None] * np.ones((1, 2))
    return Corpus(frames.astype(np.float32), np.cumsum(length, dtype=np.int64) - length, length, columns)


def protocol(corpus, **arguments):
    return adaptation_episodes(corpus, VOCABULARY, **({"supports": (0, 1, 3), "query": 4, "seed": 0} | arguments))


SPEAKERS = ["ann"] * 9 + ["bob"] * 7 + ["cid"] * 6


def rows_of(batch):
    """The row of the corpus that each clip came from; -1 for frames of 0."""
    return np.asarray(batch.inputs.values)[..., 0, 0].astype(int) - 1


def test_query_sets_stay_and_support_sets_grow():
    corpus = make_corpus(SPEAKERS)
    episodes = protocol(corpus)
    sets = {shots: episodes(shots) for shots in range(4)}
    queries = rows_of(sets[0].query)
    for episode in sets.values():
        assert np.array_equal(rows_of(episode.query), queries) and (episode.query.weight == 1).all()
    for shots, episode in sets.items():
        assert np.array_equal(rows_of(episode.support)[:, :shots], rows_of(sets[3].support)[:, :shots])
        assert (rows_of(episode.support)[:, shots:] == -1).all()
        assert episode.support.weight.tolist() == [[1.0] * shots + [0.0] * (3 - shots)] * 2
    for group, support, query in zip(episodes.groups, rows_of(sets[3].support), queries, strict=True):
        assert group.support.tolist() == support.tolist() and group.query.tolist() == query.tolist()
        both = np.concatenate([support, query])
        assert set(corpus.columns["speaker"][both]) == {group.name} and len(set(both)) == 7


def test_shapes_depend_on_neither_shots_nor_groups():
    episodes = protocol(make_corpus(SPEAKERS))
    shapes = {
        str(jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), episodes(shots, groups=[group])))
        for shots, group in itertools.product(range(4), range(2))
    }
    assert len(shapes) == 1
    support, query = episodes(2)
    assert support.inputs.values.shape == (2, 3, 40, 2) and query.inputs.values.shape == (2, 4, 40, 2)
    assert support.targets.values.shape == (2, 3, 8) and query.targets.lengths.shape == (2, 4)


def test_labels_and_lengths_are_those_of_the_rows():
    corpus = make_corpus(SPEAKERS)
    support, query = protocol(corpus)(2, groups=[1])
    for batch, place in [(support, (0, 0)), (support, (0, 1)), *((query, (0, i)) for i in range(4))]:
        row = rows_of(batch)[place]
        text = VOCABULARY.decode(batch.targets.values[place][: batch.targets.lengths[place]])
        assert text == corpus.columns["transcription"][row]
        assert batch.inputs.lengths[place] == corpus.length[row]


def test_a_group_does_not_depend_on_the_others_nor_its_query_on_the_supports():
    corpus = make_corpus(SPEAKERS)
    ann = protocol(corpus).groups[0]
    alone = protocol(corpus.select(speaker="ann")).groups[0]
    fewer = protocol(corpus, supports=(0, 2)).groups[0]
    assert np.array_equal(alone.query, ann.query) and np.array_equal(alone.support, ann.support)
    assert np.array_equal(fewer.query, ann.query) and np.array_equal(fewer.support, ann.support[:2])
    others = {protocol(corpus, seed=seed).groups[0].query.tobytes() for seed in range(5)}
    assert len(others) == 5


def test_groups_with_too_few_recordings_are_named_or_an_error():
    episodes = protocol(make_corpus(SPEAKERS))
    assert [group.name for group in episodes.groups] == ["ann", "bob"] and episodes.left_out == ("cid",)
    with pytest.raises(ValueError, match=r"max\(supports\) \+ query = 6 \+ 4 needs .* 10 recordings.*'ann' 9, 'bob' 7"):
        protocol(make_corpus(SPEAKERS), supports=(1, 6))


def test_copies_of_a_recording_count_once():
    corpus = make_corpus(["ann"] * 14)
    corpus = corpus.with_column("recording", [f"r{row // 2}" for row in range(14)])
    group = protocol(corpus).groups[0]
    assert sorted(np.concatenate([group.support, group.query]).tolist()) == list(range(0, 14, 2))
    with pytest.raises(ValueError, match="these have: 'ann' 7"):
        protocol(corpus, query=5)


def test_padding_rows_have_no_part_in_loss_or_gradient():
    episodes = protocol(make_corpus(SPEAKERS))
    support = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), episodes(1).support)
    weights = jax.random.normal(jax.random.key(0), (2, VOCABULARY.size))

    @jax.jit
    @jax.value_and_grad
    def loss(weights, batch):
        normal = batch.inputs.values / (1e-6 + jnp.std(batch.inputs.values, axis=(1, 2), keepdims=True))
        return weighted_mean(ctc(Ragged(normal @ weights, batch.inputs.lengths), batch.targets), batch.weight)

    # Three times the one utterance, all of weight 1, is that utterance alone.
    thrice = jax.tree.map(lambda leaf: leaf[jnp.zeros(3, int)], support)
    for padded, alone in zip(loss(weights, support), loss(weights, thrice), strict=True):
        np.testing.assert_allclose(padded, alone, rtol=1e-5)
    nothing = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), episodes(0).support)
    assert all((value == 0).all() for value in loss(weights, nothing))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"supports": ()}, r"supports must be sizes of 0 or more, one of them above 0, got \(\)"),
        ({"supports": (0,)}, r"got \(0,\)"),
        ({"supports": (-1, 2)}, r"got \(-1, 2\)"),
        ({"query": 0}, "query must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"within": "accent"}, "no column 'accent'"),
        ({"column": "text"}, "no column 'text'"),
    ],
)
def test_an_argument_out_of_range_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        protocol(make_corpus(SPEAKERS), **change)


@pytest.mark.parametrize("shots", [-1, 4])
def test_shots_beyond_the_largest_support_are_an_error(shots):
    with pytest.raises(ValueError, match=rf"shots must lie in \[0, 3\], the largest of supports; got {shots}"):
        protocol(make_corpus(SPEAKERS))(shots)
