"""The experiment on languages: transfer formulas, batches, replay, protocols and columns, on a corpus of numbers."""

import itertools
import json
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.languages import words
from experiments.languages.__main__ import Config, main
from experiments.languages.adaptation import Adaptation, choose, scores, table
from experiments.languages.columns import column_layers, column_recogniser, freeze, newest_column, next_column, thaw
from experiments.languages.data import (
    PRETRAINING,
    SEQUENCE,
    UNSEEN,
    VALIDATION,
    Languages,
    adaptation_to,
    parted,
    rows_of,
    written,
)
from experiments.languages.recipes import PRESETS, Preset, Target
from experiments.languages.report import tables
from experiments.languages.sequence import Budget, Course, store
from experiments.languages.systems import System, forced, translator
from experiments.languages.training import hear, language_tasks, plain_batches, with_replay
from experiments.languages.transfer import backward_transfer, error_matrix, forward_transfer, matrix_rows, transfer_rows
from jaxmeta import Batch, Episode, MetaLearner, Model, Ragged, first_order
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.synthesis.phrasebook import LANGUAGES
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.error_rates import word_edits
from jaxmeta.evaluation.transcripts import Transcripts
from jaxmeta.models.acoustic import Size, recogniser

NAMES = ("aa", "bb", "cc")
EACH = {"train": 12, "val": 5, "test": 6}
LONGEST = 40
# By hand: after the first language its error is 10, after the second 25, at the end 40, and so on.
MATRIX = np.array([[10.0, 90.0, 95.0], [25.0, 20.0, 95.0], [40.0, 30.0, 30.0]])


def make_corpus() -> Corpus:
    """Rows of three languages and splits by two speakers each; every frame of row r holds r + 1."""
    columns = {name: [] for name in ("language", "split", "speaker", "transcription", "recording")}
    for language in NAMES:
        for split, count in EACH.items():
            for number in range(count):
                values = (
                    language,
                    split,
                    f"{split}{number % 2}",
                    f"{language[0]}{number}",
                    f"{language}{split}{number}",
                )
                for column, value in zip(columns.values(), values, strict=True):
                    column.append(value)
    rows = len(columns["language"])
    length = np.random.default_rng(0).integers(20, LONGEST + 1, rows).astype(np.int32)
    frames = np.repeat(np.arange(1.0, rows + 1), length)[:, None] * np.ones((1, 2))
    start = np.cumsum(length, dtype=np.int64) - length
    return Corpus(frames.astype(np.float32), start, length, {name: np.array(v) for name, v in columns.items()}, "made")


@pytest.fixture(scope="module")
def languages() -> Languages:
    return parted(make_corpus(), "character", NAMES[:2], "cc", ("cc",), NAMES, "made")


def rows_in(batch) -> np.ndarray:
    """The row of the corpus that each utterance of a batch is."""
    return np.asarray(batch.inputs.values)[..., 0, 0].astype(int) - 1


def test_forgetting_is_a_negative_backward_transfer():
    assert backward_transfer(MATRIX) == pytest.approx(((10 - 40) + (20 - 30)) / 2)
    kept = MATRIX.copy()
    kept[-1, :2] = 10, 20
    assert backward_transfer(kept) == 0


def test_forward_transfer_is_what_is_saved_against_learning_from_scratch():
    scratch = np.array([10.0, 26.0, 28.0])
    assert forward_transfer(MATRIX, scratch) == pytest.approx(((26 - 20) + (28 - 30)) / 2)


@pytest.mark.parametrize("errors", [np.zeros((2, 3)), np.zeros((1, 1)), np.zeros(3)])
def test_transfer_needs_a_square_of_two_languages_or_more(errors):
    with pytest.raises(ValueError, match="errors must be"):
        backward_transfer(errors)
    with pytest.raises(ValueError, match="scratch must be"):
        forward_transfer(MATRIX, np.zeros(2))


SAID, VOICES = ["a b", "c d", "a d", "c b"], ["ann", "ann", "bob", "bob"]


def heard_with(wrong: int) -> list[str]:
    """`SAID` with so many of its eight words wrong, the first ones of each voice in turn."""
    words = [text.split() for text in SAID]
    for number in range(wrong):
        words[(number % 2) * 2 + number // 4][(number // 2) % 2] = "x"
    return [" ".join(each) for each in words]


def edits(wrong: int):
    return word_edits(SAID, heard_with(wrong))


def test_rows_hold_percentages_and_signs_that_say_better_or_worse():
    """Of eight words: 2 wrong when learnt, 4 at the end, 6 from scratch."""
    errors = {(0, 0): edits(2), (1, 0): edits(4), (1, 1): edits(2)}
    first, second, mean = transfer_rows("m", ["p", "q"], errors, [edits(2), edits(6)], [VOICES] * 2)
    assert first["backward"] == -25 and "forward" not in first
    assert second["forward"] == 50 and second["forward_low"] <= 50 <= second["forward_high"]
    assert "backward" not in second and second["scratch"] == 75 and second["learnt"] == 25
    assert (mean["forward"], mean["backward"]) == (50, -25)
    matrix = matrix_rows("m", ["p", "q"], errors)
    assert matrix == [
        {"method": "m", "after": "p", "p": 25, "q": None},
        {"method": "m", "after": "q", "p": 50, "q": 25},
    ]
    assert np.isnan(error_matrix(errors, 2)[0, 1])


def test_an_epoch_of_batches_has_every_utterance_once_in_one_shape(languages):
    rows = rows_of(languages, "train", "bb", LONGEST)
    sampler = plain_batches(languages, rows, 4, LONGEST, seed=0)
    batches = [sampler(index).query for index in range(3)]
    assert sorted(np.concatenate([rows_in(batch)[0] for batch in batches]).tolist()) == rows.tolist()
    assert {batch.inputs.values.shape for batch in batches} == {(1, 4, LONGEST, 2)}
    texts = languages.corpus.columns["transcription"]
    labels = languages.vocabulary.encode(str(texts[rows_in(batches[0])[0, 0]]))
    assert batches[0].targets.values[0, 0, : len(labels)].tolist() == labels.tolist()


def test_replay_adds_stored_utterances_to_every_batch_and_nothing_else(languages):
    fresh = plain_batches(languages, rows_of(languages, "train", "bb", LONGEST), 4, LONGEST, seed=0)
    stored = rows_of(languages, "train", "aa", LONGEST)[:3]
    replay = with_replay(fresh, stored, 2)
    for index in range(4):
        rows = rows_in(replay(index).query)[0]
        assert rows[:4].tolist() == rows_in(fresh(index).query)[0].tolist()
        assert len(rows) == 6 and set(rows[4:]) <= set(stored.tolist())
        np.testing.assert_array_equal(rows, rows_in(replay(index).query)[0])
    assert set(np.concatenate([replay.rows(index)[0][4:] for index in range(20)])) == set(stored.tolist())
    with pytest.raises(ValueError, match="replay needs stored utterances"):
        with_replay(fresh, stored[:0], 2)


def test_what_replay_keeps_of_a_language_is_of_its_training_and_stays(languages):
    budget = Budget(1, 1e-3, 4, LONGEST, stored=5, replayed=2, width=8, depth=1)
    course = Course(languages, budget, None, word_edits, None, 0, {})
    kept = store(course, "aa")
    assert len(set(kept.tolist())) == 5 and set(kept) <= set(rows_of(languages, "train", "aa", LONGEST))
    np.testing.assert_array_equal(kept, store(course, "aa"))


def test_tasks_are_languages_that_differ_within_a_batch(languages):
    rows = tuple(rows_of(languages, "train", language, LONGEST) for language in NAMES[:2])
    sampler = language_tasks(languages, rows, tasks=2, support=3, query=4, longest=LONGEST, seed=0)
    column = languages.corpus.columns["language"]
    for index in range(5):
        episode = sampler(index)
        both = np.concatenate([rows_in(episode.support), rows_in(episode.query)], axis=1)
        assert sorted({*column[both[0]]} | {*column[both[1]]}) == ["aa", "bb"]
        assert all(len(set(task)) == 7 and len(set(column[task])) == 1 for task in both.tolist())
        assert episode.support.inputs.values.shape == (2, 3, LONGEST, 2)


def test_queries_are_by_other_voices_and_the_same_for_every_draw_and_size(languages):
    episodes = adaptation_to(languages, ("cc", "aa"), "test", shots=(2, 4), draws=2, queries=5, longest=LONGEST, seed=0)
    assert [group.name for group in episodes.groups] == ["cc/0", "cc/1", "aa/0", "aa/1"]
    split, language = languages.corpus.columns["split"], languages.corpus.columns["language"]
    first, second = episodes.groups[:2]
    assert first.query.tolist() == second.query.tolist() and first.support.tolist() != second.support.tolist()
    for group in episodes.groups:
        assert set(split[group.support]) == {"train"} and set(split[group.query]) == {"test"}
        assert {*language[group.support], *language[group.query]} == {group.name[:2]}
    two, four = (rows_in(episodes(shots, [0]).support)[0] for shots in (2, 4))
    assert two[:2].tolist() == four[:2].tolist() == first.support[:2].tolist()


def test_a_language_without_utterances_is_named(languages):
    with pytest.raises(ValueError, match="language='dd' has no utterance of split 'train'"):
        rows_of(languages, "train", "dd", LONGEST)


def test_what_is_recognised_comes_back_in_order_whatever_the_batches(languages):
    """A recogniser that writes as many times class 1 as the row's number has tens."""
    rows = np.arange(3, 30)

    def recognise(speech: Ragged) -> Ragged:
        assert speech.values.shape == (8, LONGEST, 2)
        lengths = (speech.values[:, 0, 0].astype(int) - 1) // 10
        return Ragged(np.ones((8, 5), np.int32), lengths)

    unit = languages.vocabulary.units[0]
    assert hear(languages, rows, LONGEST, recognise, size=8) == [unit * (row // 10) for row in rows.tolist()]


def counting_system(vocabulary: Vocabulary, calls: list) -> System:
    """Writes class 1 + rate * steps * (utterances of the support set), for any speech, whatever the weights."""

    def learner(rate, steps, estimator):
        def adapt(params, state, support, key):
            calls.append(steps)
            return params + rate * steps * support.weight.sum(), {}

        return MetaLearner(None, adapt, None, None)

    def write(weights, speech):
        rows = len(speech.lengths)
        return Ragged(jnp.broadcast_to(1 + weights.astype(int), (rows, 1)), jnp.ones(rows, jnp.int32))

    return System(learner, write)


def test_adaptation_gets_its_utterances_rate_and_steps_and_is_kept(languages, tmp_path):
    episodes = adaptation_to(languages, ("cc",), "test", shots=(1, 2, 4), draws=2, queries=3, longest=LONGEST, seed=0)
    calls: list = []
    system = counting_system(languages.vocabulary, calls)
    units = languages.vocabulary.units

    def fresh():
        return Adaptation(episodes, languages.vocabulary, system, tmp_path)

    for shots, rate, steps, expected in ((0, 1.0, 2, 0), (1, 1.0, 2, 2), (2, 1.0, 2, 4), (4, 0.5, 2, 4)):
        heard = fresh().hear("m", jnp.zeros(()), shots, rate, steps)["cc"]
        assert heard.hypotheses == [units[expected]] * 6 and len(heard.references) == len(heard.speakers) == 6
    seen = len(calls)
    assert fresh().hear("m", jnp.zeros(()), 1, 1.0, 2)["cc"].hypotheses == [units[2]] * 6 and len(calls) == seen
    assert len(json.loads((tmp_path / "result_cache.json").read_text())) == 4


def test_the_rate_with_the_fewest_errors_is_chosen_and_compared_with_the_first_method(languages, tmp_path):
    """Texts are "c" and a number: the only character in each of them is "c", which class 1 + rate * 2 must be."""
    assert "c" in languages.vocabulary.units
    right = languages.vocabulary.units.index("c")
    episodes = adaptation_to(languages, ("cc",), "test", shots=(1, 2), draws=1, queries=6, longest=LONGEST, seed=0)
    adaptation = Adaptation(episodes, languages.vocabulary, counting_system(languages.vocabulary, []), tmp_path)
    params = jnp.zeros(())

    def count(said, heard):
        return word_edits([text[0] for text in said], heard)

    chosen = choose("m", params, adaptation, count, (0.5, right / 2, 0.25), (1,), 2)
    assert chosen.rate == right / 2
    rows = table([chosen, chosen._replace(method="n", rate=0.5)], adaptation, count, (0, 2))
    found = {(row["method"], row["utterances"]): row for row in rows}
    assert found["m", 2]["error"] == 0 and found["m", 0]["error"] == 100 and found["m", 0]["steps"] == 0
    assert found["n", 2]["against"] == 100 and "against" not in found["m", 2]


def test_exact_matches_are_whole_texts():
    heard = Transcripts(SAID, heard_with(2), VOICES)
    found = scores(heard, None, word_edits)
    assert found["error"] == 25 and found["exact"] == 50


SIZE = Size(8, 1)


def test_the_layers_of_a_column_are_the_recogniser():
    model, layers = recogniser(5, "gru", SIZE), column_layers(5, SIZE)
    speech = Ragged(jax.random.normal(jax.random.key(0), (2, 16, 12)), jnp.array([16, 9]))
    shapes, _ = jax.eval_shape(model.init, jax.random.key(1), speech)
    rng = np.random.default_rng(0)
    weights = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32) / 3, shapes)
    parts = [
        {"FrontEnd_0": weights["front"]},
        {"LayerNorm_0": weights["encoder"]["LayerNorm_0"], "Bidirectional_0": weights["encoder"]["layer_0"]},
        {"LayerNorm_0": weights["encoder"]["LayerNorm_1"], "Dense_0": weights["head"]},
    ]

    @jax.jit
    def through(parts, hidden):
        for layer, part in zip(layers, parts, strict=True):
            hidden, _ = layer.apply(part, {}, hidden, jax.random.key(0), False)
        return hidden

    expected, _ = jax.jit(lambda w, x: model.apply(w, {}, x, jax.random.key(0), False))(weights, speech)
    found = through(parts, speech)
    np.testing.assert_array_equal(found.lengths, expected.lengths)
    for row, length in zip(range(2), np.asarray(expected.lengths), strict=True):
        np.testing.assert_allclose(found.values[row, :length], expected.values[row, :length], atol=1e-5)


def dense(size: int) -> Model:
    """Frames times a matrix, and a state that counts the passes in training."""

    def init(key, inputs):
        return jax.random.normal(key, (inputs.values.shape[-1], size)), jnp.zeros(())

    def apply(params, state, inputs, key, train):
        return inputs._replace(values=jnp.tanh(inputs.values @ params)), state + train

    return Model(init, apply)


def test_a_grown_column_learns_and_leaves_the_older_one_bit_for_bit_as_it_was():
    layers = [dense(6), dense(5), dense(4)]
    first = freeze(*next_column(layers, [], 3, jax.random.key(0)))
    start, state = next_column(layers, [first], 3, jax.random.key(1))
    assert len(start["adapters"]) == 2 and not first["adapters"]
    learner = newest_column(layers, [first], start, state)
    params, carried = learner.init(None, None)
    assert params is start and thaw(freeze(start, state)) == (start, state)
    speech = Ragged(jax.random.normal(jax.random.key(2), (2, 8, 3)), jnp.array([8, 6]))
    recognise = column_recogniser(layers)
    before = recognise([first], speech)

    @jax.jit
    def slope(params):
        def loss(params):
            outputs, after = learner.predict(params, carried, params, speech, jax.random.key(0), True)
            return jnp.square(outputs.values - 1).sum(), after

        return jax.grad(loss, has_aux=True)(params)

    gradient, after = slope(params)
    for leaf in jax.tree.leaves(gradient):
        assert np.abs(leaf).max() > 0
    for old, new in zip(jax.tree.leaves(first), jax.tree.leaves(after["columns"][0]), strict=True):
        np.testing.assert_array_equal(old, new)
    assert [float(count) for count in after["new"]] == [1, 1, 1]
    moved = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)
    columns = [after["columns"][0], freeze(moved, after["new"])]
    np.testing.assert_array_equal(recognise(columns[:1], speech).values, before.values)


def utterances(number: int, labels: list[list[int]]) -> Batch:
    lengths = jnp.array([len(row) for row in labels])
    padded = jnp.array([row + [0] * (4 - len(row)) for row in labels])
    speech = Ragged(jnp.zeros((number, 16, 12)), jnp.full(number, 16))
    return Batch(speech, Ragged(padded, lengths), jnp.ones(number))


def test_a_decoder_sees_the_labels_before_each_in_training_and_in_adaptation():
    seen = {}

    def keep(name, result):
        def function(params, state, data, key):
            seen[name] = data
            return result

        return function

    learner = forced(MetaLearner(None, keep("support", (0, {})), None, keep("episode", (0.0, {}))))
    support, query = utterances(1, [[3, 4]]), utterances(2, [[5], [6, 7, 8, 9]])
    learner.adapt(None, None, support, None)
    learner.meta_loss(None, None, Episode(support, query), None)
    assert seen["support"].inputs.prefix.tolist() == [[0, 3, 4, 0, 0]]
    assert seen["episode"].support.inputs.prefix.tolist() == [[0, 3, 4, 0, 0]]
    assert seen["episode"].query.inputs.prefix.tolist() == [[0, 5, 0, 0, 0], [0, 6, 7, 8, 9]]
    np.testing.assert_array_equal(seen["episode"].query.inputs.speech.lengths, [16, 16])


def test_a_translator_trains_and_writes_as_many_words_as_it_may():
    """Traced only: its parts fit together."""
    system = translator(11, "gru", SIZE, 0.0, longest=6, beam=3)
    learner = system.learner(1e-3, 2, first_order())
    batch = utterances(5, [[1], [2, 3], [4], [5], [6]])
    weights, state = jax.eval_shape(learner.init, jax.random.key(0), batch.inputs)
    loss, after = jax.eval_shape(learner.meta_loss, weights, state, Episode(batch, batch), jax.random.key(0))
    assert loss.shape == () and after == state == {}
    assert {"front", "encoder", "head", "embed", "next"} <= set(weights)
    written_down = jax.eval_shape(system.write, weights, batch.inputs)
    assert written_down.values.shape == (5, 6) and written_down.lengths.shape == (5,)


def test_texts_lose_case_and_translations_their_hyphens():
    assert written("Gib mir den Hut", False) == "gib mir den hut" and written("dix-sept", False) == "dix-sept"
    assert written("Twenty-one", True) == "twenty one"


def test_the_languages_are_those_built_in_and_mandarin_is_not_heard_in_pretraining():
    assert {*PRETRAINING, VALIDATION, *UNSEEN} == set(LANGUAGES) and "cmn" in UNSEEN
    assert len(PRETRAINING) + len(UNSEEN) + 1 == len(LANGUAGES) and set(SEQUENCE) <= set(LANGUAGES)


def test_words_stand_in_rows_by_one_speaker_with_their_frames_one_after_another():
    corpus = make_corpus()
    rows = words.in_rows(corpus, seed=0)
    texts = [text.split() for text in rows.columns["transcription"].tolist()]
    assert {len(text) for text in texts} == {1, 2, 3}
    number = 0
    for row, text in enumerate(texts):
        found = rows.frames[rows.start[row] : rows.start[row] + rows.length[row], 0]
        members = (found[np.flatnonzero(np.diff(found, prepend=0))] - 1).astype(int)
        number += len(members)
        assert corpus.columns["transcription"][members].tolist() == text
        assert len(found) == corpus.length[members].sum()
        for name in ("language", "speaker", "split"):
            assert set(corpus.columns[name][members]) == {rows.columns[name][row]}
    assert number == len(corpus)


def test_arabic_words_are_grouped_by_word_and_split():
    label, split = ["a", "b", "c", "d", "e", "f"], ["train", "train", "val", "train", "test", "train"]
    columns = {"label": np.array(label), "word_split": np.array(split)}
    corpus = Corpus(np.zeros((6, 1), np.float32), np.arange(6), np.ones(6, np.int32), columns)
    found = words.arabic_groups(corpus).tolist()
    assert found == ["ar-0", "ar-1", "ar-val", "ar-2", "ar-test", "ar-0"]


def test_tables_show_what_there_is():
    matrix = [{"method": "replay", "after": "p", "p": 25.0, "q": None}]
    transfer = [{"method": "replay", "language": "p", "scratch": 1.0, "learnt": 2.0, "forward": 3.0, "backward": -4.0}]
    transfer = [transfer[0] | dict.fromkeys(("forward_low", "forward_high", "backward_low", "backward_high"), 0.0)]
    text = tables("character", ("p", "q"), [], matrix, transfer)
    assert "| replay | p | 25.0 | – |" in text and "+3.0" in text and "-4.0" in text and "never heard" not in text


def test_a_table_of_one_method_has_nothing_to_compare():
    row = {"language": "p", "utterances": 5, "method": "fine-tuning", "rate": 0.1, "steps": 2}
    row |= {"error": 50.0, "low": 40.0, "high": 60.0, "exact": 0.0}
    assert "| p | 5 | fine-tuning | 0.1 | 2 | 50.0 | 40.0 | 60.0 | 0.0 |\n" in tables("word", (), [row], [], [])


def test_every_target_has_both_presets():
    assert set(PRESETS) == set(itertools.product(get_args(Target), get_args(Preset)))


def test_recordings_are_needed_for_the_full_preset(monkeypatch, tmp_path):
    monkeypatch.delenv("JAXMETA_DATA", raising=False)
    with pytest.raises(ValueError, match="JAXMETA_DATA=None holds no zh_en_words"):
        main(Config(preset="full", workdir=tmp_path))
