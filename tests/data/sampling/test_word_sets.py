"""Tasks that are vocabularies: their words, the numbers of these, and what is refused."""

import numpy as np
import pytest

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.subsets import containing, rare_words, some_speakers
from jaxmeta.data.sampling.word_sets import word_set_tasks
from jaxmeta.data.vocabulary import build_vocabulary

WORDS = ("red", "blue", "green", "black")


def corpus_of_words():
    """Each word alone ten times, and each pair of different words three times; frame 0 holds the number of the row."""
    texts = [word for word in WORDS for _ in range(10)]
    texts += [f"{one} {two}" for one in WORDS for two in WORDS if one != two for _ in range(3)]
    rows = len(texts)
    columns = {"transcription": np.array(texts), "speaker": np.array([f"s{row % 7}" for row in range(rows)])}
    frames = np.repeat(np.arange(rows, dtype=np.float32), 4)[:, None]
    return Corpus(frames, 4 * np.arange(rows), np.full(rows, 4, np.int32), columns)


CORPUS = corpus_of_words()
VOCABULARY = build_vocabulary(CORPUS.columns["transcription"], level="word")


def test_a_task_has_some_words_each_with_a_number_of_its_own():
    sampler = word_set_tasks(CORPUS, VOCABULARY, ways=3, tasks=2, support=6, query=5, seed=0)
    numberings = set()
    for index in range(6):
        episode = sampler(index)
        assert episode.support.inputs.values.shape == (2, 6, 8, 1) and episode.query.targets.values.shape[:2] == (2, 5)
        for task in range(2):
            number = {}
            rows = []
            for batch in episode:
                for frames, values, length in zip(
                    batch.inputs.values[task], batch.targets.values[task], batch.targets.lengths[task], strict=True
                ):
                    rows.append(int(frames[0, 0]))
                    said = CORPUS.columns["transcription"][rows[-1]].split()
                    assert len(said) == length and not values[length:].any()
                    for word, label in zip(said, values.tolist(), strict=False):
                        assert 1 <= label <= 3 and number.setdefault(word, label) == label
            assert len(set(rows)) == 11 and len(set(number.values())) == len(number) <= 3
            numberings.add(tuple(sorted(number.items())))
    assert len(numberings) > 6


def test_the_words_of_a_task_are_of_one_language_as_far_as_it_has_so_many():
    first = [text.split()[0] in ("red", "blue") for text in CORPUS.columns["transcription"].tolist()]
    same = np.array([len({word in ("red", "blue") for word in text.split()}) == 1 for text in CORPUS.columns[
        "transcription"].tolist()])  # fmt: skip
    corpus = CORPUS.with_column("language", np.where(first, "x", "y")).select(same)
    sampler = word_set_tasks(corpus, VOCABULARY, ways=2, tasks=1, support=8, query=8, seed=0)
    said = set()
    for index in range(8):
        rows = np.concatenate([np.asarray(batch.inputs.values[0, :, 0, 0], int) for batch in sampler(index)])
        words = {word for row in rows for word in CORPUS.columns["transcription"][row].split()}
        assert words in ({"red", "blue"}, {"green", "black"})
        said |= words
    assert said == {*WORDS}


def test_a_batch_depends_on_seed_and_index_alone():
    first, second = (word_set_tasks(CORPUS, VOCABULARY, ways=2, tasks=1, support=4, query=2, seed=3) for _ in range(2))
    first(0)
    np.testing.assert_array_equal(first(5).support.inputs.values, second(5).support.inputs.values)


def test_each_length_of_an_utterance_is_as_likely():
    sampler = word_set_tasks(CORPUS, VOCABULARY, ways=2, tasks=4, support=4, query=4, seed=0)
    lengths = np.concatenate([np.ravel(sampler(index).support.targets.lengths) for index in range(40)])
    # 20 utterances of one word and 6 of two: unweighted, a quarter would be of two.
    assert 0.35 < np.mean(lengths == 2) < 0.6


def test_too_many_words_are_refused():
    with pytest.raises(ValueError, match="ways=5 must be at most the words of a vocabulary of words; there are 4"):
        word_set_tasks(CORPUS, VOCABULARY, ways=5, tasks=1, support=1, query=1, seed=0)
    red_alone = CORPUS.select(np.arange(len(CORPUS)) < 10)
    with pytest.raises(ValueError, match="ways=2 must be at most the words in the corpus; there are 1"):
        word_set_tasks(red_alone, VOCABULARY, ways=2, tasks=1, support=1, query=1, seed=0)
    characters = build_vocabulary(CORPUS.columns["transcription"])
    with pytest.raises(ValueError, match="vocabulary of words"):
        word_set_tasks(CORPUS, characters, ways=2, tasks=1, support=1, query=1, seed=0)


def test_parts_of_a_corpus():
    drawn = some_speakers(CORPUS, 3, 4, 0)
    names, counts = np.unique(drawn.columns["speaker"], return_counts=True)
    assert len(names) == 3 and counts.tolist() == [4, 4, 4]
    assert containing(CORPUS, ["ree"]).sum() == 10 + 18
    few = CORPUS.select(np.arange(len(CORPUS)) < 15)
    assert set(rare_words(few, least=6)[:10]) == {"red"} and set(rare_words(few, least=6)[10:]) == {""}
