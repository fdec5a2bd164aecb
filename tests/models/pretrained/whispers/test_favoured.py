"""A prefix tree of words: which tokens get a bonus, and where a transcript stands in it."""

import numpy as np

from jaxmeta.models.pretrained.whispers.favoured import add_bonus, favoured, next_nodes

WORDS = favoured([[3, 4, 5], [3, 6], [7]], 2.0)


def after(*tokens):
    nodes = np.zeros(1, np.int32)
    for token in tokens:
        nodes = next_nodes(WORDS, nodes, np.array([token]))
    return nodes


def bonus(*tokens):
    return {
        token: value
        for token, value in enumerate(add_bonus(WORDS, np.zeros((1, 9), np.float32), after(*tokens))[0])
        if value
    }


def test_what_starts_a_word_or_goes_on_with_it_gets_the_bonus():
    assert bonus() == bonus(8) == {3: 2.0, 7: 2.0}
    assert bonus(3) == {3: 2.0, 4: 2.0, 6: 2.0, 7: 2.0}
    assert bonus(3, 4) == {3: 2.0, 5: 2.0, 7: 2.0}


def test_a_word_that_is_over_or_left_leads_back_and_another_may_start_there():
    assert bonus(3, 4, 5) == bonus(3, 8) == bonus()
    assert bonus(3, 4, 3) == bonus(3) and bonus(7, 3) == bonus(3)
    assert bonus(4) == bonus()


def test_words_that_share_a_beginning_share_its_edges_and_rows_have_nodes_of_their_own():
    assert len(WORDS.tokens) == 5
    assert len(favoured([[3, 4], [3, 4], []], 1.0).tokens) == 2
    nodes = next_nodes(WORDS, np.zeros(2, np.int32), np.array([3, 7]))
    assert np.asarray(add_bonus(WORDS, np.zeros((2, 9), np.float32), nodes))[:, 4].tolist() == [2.0, 0.0]
