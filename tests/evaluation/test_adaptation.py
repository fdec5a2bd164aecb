"""The protocol of adaptation to speakers: padding, caching, the control on another speaker, and its error rates."""

import jax.numpy as jnp
import numpy as np

from jaxmeta.evaluation.adaptation import (
    AdaptationProtocol,
    padded_lengths,
    queries_as_supports,
    supports_of_others,
)
from jaxmeta.evaluation.transcripts import Transcripts
from tests.evaluation.conftest import SPEAKERS, VOCABULARY, make_corpus, make_episodes, writes

NOTHING = {"letters": jnp.zeros(())}


def test_speakers_are_padded_to_one_of_few_lengths(tmp_path):
    corpus = make_corpus()
    corpus.length[:14] = 5  # of the first speaker
    corpus.length[28:], corpus.start[28:] = 20, 0  # of the last speaker
    episodes = make_episodes(corpus)
    assert padded_lengths([episodes], 1) == [24] and padded_lengths([episodes, episodes], 3) == [8, 24]
    protocol = AdaptationProtocol(episodes, VOCABULARY, tmp_path, [24, 8], sizes=(5,))
    shapes = [protocol.episode(index, 5).support.inputs.values.shape[:2] for index in range(3)]
    assert shapes == [(5, 8), (5, 8), (5, 24)]
    assert [len(protocol.episode(0, shots).support.weight) for shots in (0, 1, 6, 10)] == [5, 5, 10, 10]


def test_the_protocol_adapts_to_the_shots_that_are_asked_for_and_computes_nothing_twice(protocol, tmp_path):
    adapted = protocol.transcribe("x", writes, NOTHING, 5, 1.0, 3)
    assert adapted.hypotheses == ["aaa"] * 12 and len(adapted.references) == 12
    assert adapted.speakers == protocol.groups == list(np.repeat(SPEAKERS, 4))
    assert protocol.transcribe("x", writes, NOTHING, 0, 1.0, 3).hypotheses == [""] * 12
    again = AdaptationProtocol(protocol.episodes, VOCABULARY, tmp_path)
    again._recognise = None  # Would fail if it were called.
    assert again.transcribe("x", writes, NOTHING, 5, 1.0, 3) == adapted


def test_the_control_recognises_each_speaker_by_what_adapted_to_the_next_one(tmp_path):
    corpus = make_corpus()
    corpus.frames[:] = np.repeat([1, 2, 3], 14 * 8)[:, None]  # each speaker's own, in every frame

    def writes_its_speaker(rate, steps):
        def adapt(params, state, support, key):
            return support.inputs.values.max(), {}

        return writes(rate, steps)._replace(adapt=adapt)

    episodes = make_episodes(corpus)
    own, others = (
        AdaptationProtocol(each, VOCABULARY, tmp_path / name).transcribe("x", writes_its_speaker, NOTHING, 5, 1.0, 1)
        for name, each in (("own", episodes), ("others", supports_of_others(episodes)))
    )
    assert own.hypotheses[::4] == ["a", "aa", "aaa"] and others.hypotheses[::4] == ["aa", "aaa", "a"]
    assert own.references == others.references and others.speakers == own.speakers


def test_without_transcripts_the_queries_themselves_are_adapted_to():
    episodes = make_episodes(make_corpus())
    alone = queries_as_supports(episodes)
    assert alone.supports == (4,)
    for before, after in zip(episodes.groups, alone.groups, strict=True):
        np.testing.assert_array_equal(after.support, before.query)
        np.testing.assert_array_equal(after.query, before.query)


def test_error_rates_are_sums_over_the_test_and_changes_are_points():
    def transcripts(*texts):
        return Transcripts(["abcd", "abcd", "abcdefgh", "ab"], list(texts), ["x", "x", "y", "y"])

    before, after = transcripts("abcd", "", "abcd", "ab"), transcripts("abcd", "abc", "abcdef", "ab")
    rates = after.rates()
    np.testing.assert_allclose([rates["cer"], rates["wer"]], [100 * 3 / 18, 100 * 2 / 4])
    # The draws are x twice, x and y, or y twice: 1 of 8, 3 of 18 and 2 of 10 labels wrong.
    np.testing.assert_allclose([rates["cer_low"], rates["cer_high"]], [12.5, 20.0])
    np.testing.assert_allclose(after.change_from(before).value, 100 * (3 - 8) / 18)
    np.testing.assert_allclose(after.avoided(before).value, 100 * 5 / 8)
