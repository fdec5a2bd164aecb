"""A prefix tree of words: which tokens get a bonus, when it is taken back, and where a transcript stands in it."""

import numpy as np
from jax import numpy as jnp

from jaxmeta.models.pretrained.whispers.favoured import APART, add_bonus, choose, favoured, new_track
from tests.programs import compiled

END, USUAL = 0, 8
WORDS = favoured([[3, 4, 5], [3, 6], [7]], 2.0)
chosen = compiled(choose, static_argnums=4)


def bonus(*nodes):
    """Of each token that has one, after these nodes."""
    track = new_track(1, len(nodes) + 2)
    track = track._replace(nodes=track.nodes.at[0, 1:-1].set(jnp.array(nodes, int)))
    scores = add_bonus(WORDS, track, np.zeros((1, 9), np.float32), len(nodes) + 1)[0]
    return {token: value for token, value in enumerate(scores.tolist()) if value}


def written(*rows):
    """The tokens of each row, until all have ended, by scores {token: logit} of each place; -9 is that of others."""
    scores = np.full((len(rows), len(rows[0]), 9), -9, np.float32)
    for row, places in enumerate(rows):
        for place, logits in enumerate(places):
            scores[row, place, list(logits)] = list(logits.values())
    tokens, track, place = np.zeros(scores.shape[:2], int), new_track(len(rows), scores.shape[1] + 1), 1
    while place <= scores.shape[1]:
        token, track, following = chosen(WORDS, track, scores[:, place - 1], np.int32(place), END)
        tokens[:, place - 1], place = token, int(following)
    return [row.tolist() for row in tokens]


def test_what_starts_a_word_or_goes_on_with_it_gets_the_bonus():
    assert bonus() == bonus(0) == {3: 2.0, 7: 2.0}
    # Not what starts a word again soon: here after 3, after 3 4, after 3 6 and after 7.
    assert bonus(1) == {4: 2.0, 6: 2.0, 7: 2.0}
    assert bonus(1, 2) == {5: 2.0, 7: 2.0} and bonus(1, 4) == {7: 2.0}
    assert bonus(5) == bonus(5, *[0] * (APART - 1)) == {3: 2.0}
    assert bonus(5, *[0] * APART) == bonus()


def test_words_that_share_a_beginning_share_its_edges():
    assert len(WORDS.tokens) == 5 and WORDS.ends.tolist() == [False, False, False, True, True, True]
    assert WORDS.heads.tolist() == [0, 1, 1, 1, 1, 5]
    assert len(favoured([[3, 4], [3, 4], []], 1.0).tokens) == 2


def test_a_word_that_is_less_likely_by_less_than_the_bonus_is_written():
    end = {END: 0.0}
    assert written([{USUAL: 0.0, 7: -1.5}, end]) == [[7, END]]
    assert written([{USUAL: 0.0, 7: -2.5}, end]) == [[USUAL, END]]
    assert written([{USUAL: 0.0, 3: -1.5}, {USUAL: 0.0, 4: -1.5}, {USUAL: 0.0, 5: -1.5}, end]) == [[3, 4, 5, END]]


def test_the_bonus_of_a_word_that_is_not_completed_is_taken_back():
    start, broken = {USUAL: 0.0, 3: -1.5}, {1: 0.0, 4: -3.0}
    assert written([start, broken, {END: 0.0}]) == [[USUAL, 1, END]]
    # Two tokens are taken back here; and nothing where the word was begun without the bonus.
    assert written([start, {4: 0.0}, broken, {END: 0.0}]) == [[USUAL, 4, 1, END]]
    assert written([{3: 0.0}, broken, {END: 0.0}]) == [[3, 1, END]]
    assert written([{3: 0.0}, {USUAL: 0.0, 4: -1.5}, broken, {END: 0.0}]) == [[3, USUAL, 1, END]]


def test_rows_that_are_on_their_way_write_what_they_write_alone():
    end = {END: 0.0}
    rows = (
        [{USUAL: 0.0, 3: -1.5}, {1: 0.0, 4: -3.0}, {1: 0.0, 7: -1.5}, end],
        [{USUAL: 0.0, 3: -1.5}, {1: 0.0, 4: -1.5}, {1: 0.0, 5: -1.5}, end],
        [{7: 0.0}, {USUAL: 0.0, 3: -1.5}, {1: 0.0, 6: -3.0}, end],
        [{USUAL: 0.0}, end, end, end],
    )
    assert written(*rows) == [*(written(row)[0] for row in rows)]
    assert written(*rows)[:3] == [[USUAL, 1, 7, END], [3, 4, 5, END], [7, USUAL, 1, END]]


def test_the_bonus_puts_off_no_end_and_starts_no_word_again_soon():
    assert written([{END: 0.0, 7: -1.5}]) == [[END]]
    again = {USUAL: 0.0, 7: -1.5}
    assert written([again, again, again, {END: 0.0}]) == [[7, USUAL, USUAL, END]]
    assert written([again, {7: 0.0}, {END: 0.0}]) == [[7, 7, END]]
