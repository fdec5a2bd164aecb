"""What adaptation gives under a shift: its rows, its controls, and whom it harms."""

from dataclasses import replace

import numpy as np
import pytest

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.support_query_splits import AdaptationGroup
from jaxmeta.decoding.error_rates import character_edits
from jaxmeta.evaluation.adaptation import AdaptationProtocol, supports_of_others
from jaxmeta.evaluation.shifts.encoded import crossed, encoded
from jaxmeta.evaluation.shifts.gains import ShiftProtocol, error_over, gain_rows, harmed
from jaxmeta.evaluation.shifts.protocols import missed_words, taught_words
from jaxmeta.evaluation.transcripts import Transcripts
from tests.evaluation.conftest import VOCABULARY, chosen, make_corpus, make_episodes


def with_numbers(corpus):
    """The corpus, each of whose frames holds the number of its row."""
    return replace(corpus, frames=np.repeat(np.arange(len(corpus), dtype=np.float32), 8)[:, None])


def test_only_recordings_of_the_episodes_are_encoded():
    corpus = with_numbers(make_corpus())
    episodes = replace(make_episodes(corpus), groups=make_episodes(corpus).groups[:1])
    given = []

    def encode(part: Corpus) -> Corpus:
        given.append(len(part))
        rows = [part.frames[start] for start in part.start]
        frames, start = np.repeat(np.stack(rows), 2, axis=0), 2 * np.arange(len(part))
        return replace(part, frames=frames, start=start, length=np.full(len(part), 2, np.int32))

    made = encoded(episodes, encode)
    assert given == [14] and made.padded == 8
    for before, after in zip(episodes(5), made(5), strict=True):
        np.testing.assert_array_equal(before.inputs.values[..., 0, :], after.inputs.values[..., 0, :])
        np.testing.assert_array_equal(before.targets.values, after.targets.values)


def test_a_control_has_the_same_queries_and_supports_from_elsewhere():
    corpus = with_numbers(make_corpus())
    episodes = make_episodes(corpus)
    elsewhere = replace(make_episodes(replace(corpus, frames=corpus.frames + 100)), groups=episodes.groups[1:2])
    control = crossed(episodes, elsewhere)(5)
    np.testing.assert_array_equal(control.query.inputs.values, episodes(5).query.inputs.values)
    for group in range(3):
        wanted = 100 + episodes(5, [1]).support.inputs.values[0, :5]
        np.testing.assert_array_equal(control.support.inputs.values[group, :5, :8], wanted[:, :8])


@pytest.fixture
def shift(protocol, tmp_path):
    others = AdaptationProtocol(supports_of_others(protocol.episodes), VOCABULARY, tmp_path / "others", sizes=(5,))
    return ShiftProtocol("noise", protocol, others, character_edits)


def test_rows_compare_with_no_adaptation_with_others_and_with_the_baseline(shift):
    # Both write four letters "a" once they have adapted, and nothing or one before.
    rows = gain_rows([chosen("tuned"), chosen("learnt", letters=1.0, steps=3)], shift, (5, 10))
    assert [(row["method"], row["utterances"]) for row in rows] == [
        ("none", 0), ("tuned", 5), ("learnt", 5), ("tuned", 10), ("learnt", 10)
    ]  # fmt: skip
    assert rows[0]["error"] == 100
    for row in rows[1:]:
        assert row["error"] < 50 and row["change"] == pytest.approx(row["error"] - 100)
        assert (row["harmed"], row["groups"]) == (0, 3)
    assert rows[2]["against"] == rows[2]["half"] == 0 and "against" not in rows[1] and "half" not in rows[4]
    assert rows[3]["own"] == 0 and "own" not in rows[1]
    assert error_over([shift, shift], chosen("tuned"), 5) == rows[1]["error"]


def test_groups_with_more_errors_are_counted(protocol):
    said, groups = protocol.references, np.array(protocol.groups)
    worse = [text[:3] if group == "ben" else text for text, group in zip(said, groups, strict=True)]
    before, after = (Transcripts(said, texts, protocol.speakers) for texts in (said, worse))
    assert harmed(protocol.groups, before, after, character_edits) == {"harmed": 1, "groups": 3}
    assert harmed(protocol.groups, after, before, character_edits)["harmed"] == 0


def test_a_word_is_missed_where_it_is_not_recognised_as_a_whole():
    said = ["the old house", "a lamp here", "my house"]
    edits = missed_words(said, ["the house", "a clamp", "my hose"], ("house", "lamp"))
    assert edits.errors.tolist() == [0, 1, 1] and edits.reference.tolist() == [1, 1, 1]


def test_words_are_taught_by_utterances_that_are_not_tested(tmp_path):
    corpus = with_numbers(make_corpus())
    texts = np.array(["b ab", "a aab", "aa bb", "ab a"] * 10 + ["a b"] * 2)
    corpus = corpus.with_column("transcription", texts)
    first = corpus.columns["speaker"] == "anna"
    from jaxmeta.data.vocabulary import build_vocabulary

    missed, rest = taught_words(
        corpus.select(first), corpus.select(~first), build_vocabulary(texts), ("aab", "bb", "zz"), lambda part: part,
        tmp_path, shots=(1, 2), query=4, seed=0,
    )  # fmt: skip
    assert [group.name for group in missed.own.episodes.groups] == ["aab", "bb"]
    text = missed.own.episodes.corpus.columns["transcription"]
    for group in missed.own.episodes.groups:
        assert isinstance(group, AdaptationGroup) and len(group.support) == 2
        assert all(group.name in text[row].split() for row in [*group.support, *group.query])
        assert not {*group.support.tolist()} & {*group.query.tolist()}
    assert missed.own.speakers == missed.own.groups
    others = rest.own.episodes.corpus.columns["transcription"]
    for group in rest.own.episodes.groups:
        assert not any({"aab", "bb"} & {*others[row].split()} for row in group.query)
