"""The compiled part of beam search: CTC prefixes along a graph of arcs, scored by a back-off model."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np


class BackOff(NamedTuple):
    """An n-gram model as a tree of G grams, the shorter ones first; gram 0 is empty, and gram w + 1 is word w alone."""

    first: np.ndarray
    """[G + 1] int32: the grams first[g] to first[g + 1] - 1 are gram g and one word more, in the order of that word."""
    word: np.ndarray
    """[G] int32: last word of each gram."""
    log: np.ndarray
    """[G] float32: log-probability of that word after the others, in nats."""
    backoff: np.ndarray
    """[G] float32: log of the factor of what follows the gram unlisted, in nats."""
    shorter: np.ndarray
    """[G] int32: the longest listed end of each gram, other than itself."""
    state: np.ndarray
    """[G] int32: the same, or the gram itself, where longer ones may begin with it: all that the model remembers."""


class Graph(NamedTuple):
    """What may follow what: nodes, of which 0 is the first and the last, and A arcs between them."""

    first: np.ndarray
    """[nodes + 1] int64: the arcs first[n] to first[n + 1] - 1 leave node n."""
    token: np.ndarray
    """[A] int64: class that each arc reads, in [1, C)."""
    target: np.ndarray
    """[A] int64: node that it leads to."""
    entry: np.ndarray
    """[A] int64: word or unit that it completes, -1 for none."""
    word: np.ndarray
    """[A] int64: that entry in the language model."""
    gain: np.ndarray
    """[A] float64: nats that it adds, beside the language model's."""


# Columns of the tree of prefixes: what each comes from, by which of its arcs, and that arc's entry and class; its node
# and state of the model; its first descendant, the next one of its parent; and its row while the beam keeps it.
PARENT, ARC, ENTRY, TOKEN, NODE, STATE, CHILD, SIBLING, ROW, _COLUMNS = range(10)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call, and keep the program for other processes if there is a folder to write to.

    What the function calls must be in its own file: numba compiles anew when that changes, and no other.
    """
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:  # Neither the package's folder nor the user's takes files.
        return numba.njit(function)


@compiled
def search(frames, graph, model, start, end, beam, threshold, weight, space):
    """Frame by frame, extend the kept prefixes, and keep the best.

    A prefix has two scores: of the alignments that end in the blank, and of those that end in its last class. The
    beam counts them apart.

    Args:
      frames: [T, C] float32 log-probabilities, finite; class 0 is the blank.
      graph: what may follow what.
      model: language model.
      start: its state before the first word.
      end: its word that ends a sentence.
      beam: scores kept after each frame.
      threshold: nats below the best of the frame at which scores are dropped.
      weight: of the language model.
      space: class that may be repeated at node 0, even after a blank; 0 for none.
    Returns:
      the tree [P, columns] of prefixes, those [R] that are kept, and their scores [R]; -inf for those not at node 0.
    """
    tree = np.empty((256, _COLUMNS), np.int64)
    for column in range(_COLUMNS):
        tree[0, column] = -1
    tree[0, TOKEN], tree[0, NODE], tree[0, STATE] = space, 0, start
    rows = np.zeros(1, np.int64)
    used = len(rows)
    blank, label = np.zeros(1), np.zeros(1) - np.inf
    starts, gains = _gains(tree, rows, rows - 1, rows, np.zeros(0), graph, model, weight)
    for t in range(len(frames)):
        scores = _extend(frames[t], tree, rows, blank, label, starts, gains, graph, threshold, space)
        _prune(scores, beam)
        while used + beam > len(tree):
            tree = np.concatenate((tree, np.empty_like(tree)))
        used, alive, sources, blank, label = _keep(tree, used, rows, scores, starts, graph, model)
        starts, gains = _gains(tree, alive, sources, starts, gains, graph, model, weight)
        rows = alive
    return tree, rows, _finish(tree, rows, blank, label, model, end, threshold, weight)


@numba.njit
def _extend(frame, tree, rows, blank, label, starts, gains, graph, threshold, space):
    """Scores after a frame: ends in blank and in the last class of each row, then one for each arc that leaves it."""
    count = len(rows)
    scores = np.empty(2 * count + starts[count])
    best = -np.inf
    for row in range(count):
        node, last, top = tree[rows[row], NODE], tree[rows[row], TOKEN], max(blank[row], label[row])
        again = top if space and not node else label[row]
        best = max(best, top + frame[0], again + frame[last])
        for arc in range(starts[row + 1] - starts[row]):
            place, token = starts[row] + arc, graph.token[graph.first[node] + arc]
            scores[2 * count + place] = frame[token] + gains[place]
            best = max(best, scores[2 * count + place] + (blank[row] if token == last else top))
    # As in flashlight, the best single way sets the limit, and each way is held to it before they are summed.
    limit = best - threshold
    for row in range(count):
        node, last = tree[rows[row], NODE], tree[rows[row], TOKEN]
        again = blank[row] if space and not node else -np.inf
        scores[2 * row] = _sum(blank[row] + frame[0], label[row] + frame[0], limit)
        scores[2 * row + 1] = _sum(again + frame[last], label[row] + frame[last], limit)
        low, top, both = min(blank[row], label[row]), max(blank[row], label[row]), _sum(blank[row], label[row], -np.inf)
        for arc in range(starts[row + 1] - starts[row]):
            place = 2 * count + starts[row] + arc
            added = scores[place]
            if graph.token[graph.first[node] + arc] == last:
                scores[place] = _sum(blank[row] + added, -np.inf, limit)
            elif low + added >= limit:
                scores[place] = both + added
            else:
                scores[place] = _sum(top + added, -np.inf, limit)
    # Where an arc leads to a prefix that the beam holds, the two are one.
    for row in range(count):
        parent = tree[tree[rows[row], PARENT], ROW] if rows[row] else -1
        if parent >= 0:
            place = 2 * count + starts[parent] + tree[rows[row], ARC]
            scores[2 * row + 1] = _sum(scores[2 * row + 1], scores[place], limit)
            scores[place] = -np.inf
    return scores


@numba.njit
def _sum(first, second, limit):
    """log(exp(first) + exp(second)), without those below the limit."""
    low, high = min(first, second), max(first, second)
    if high < limit:
        return -np.inf
    if low < limit or low == -np.inf:
        return high
    return high + np.log1p(np.exp(low - high))


@numba.njit
def _prune(scores, beam):
    """Set all but the best scores to -inf; of equal ones, the first are kept."""
    possible, size = np.empty(len(scores)), 0
    for score in scores:
        if score > -np.inf:
            possible[size] = score
            size += 1
    if size <= beam:
        return
    floor = _ranked(possible, size, beam - 1)
    spare = beam
    for score in scores:
        spare -= score > floor
    for place in range(len(scores)):
        if scores[place] == floor and spare:
            spare -= 1
        elif scores[place] <= floor:
            scores[place] = -np.inf


@numba.njit
def _ranked(values, size, rank):
    """The value that is at this place in descending order, of the first values; changes their order (quickselect)."""
    low, high = 0, size - 1
    while low < high:
        pivot = values[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] > pivot:
                left += 1
            while values[right] < pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left, right = left + 1, right - 1
        if rank <= right:
            high = right
        elif rank >= left:
            low = left
        else:
            break
    return values[rank]


@numba.njit
def _keep(tree, used, rows, scores, starts, graph, model):
    """The prefixes of possible scores, in the tree.

    Returns:
      how many prefixes the tree has, those [R] that are kept, the rows that they had before (-1: none), and their two
      scores [R].
    """
    count = len(rows)
    size = 0
    for score in scores:
        size += score > -np.inf
    alive, sources, blank, label = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size), np.empty(size)
    size = 0
    for row in range(count):
        tree[rows[row], ROW] = -1
        if max(scores[2 * row], scores[2 * row + 1]) > -np.inf:
            alive[size], sources[size], blank[size], label[size] = rows[row], row, scores[2 * row], scores[2 * row + 1]
            size += 1
    for row in range(count):
        for arc in range(starts[row + 1] - starts[row]):
            score = scores[2 * count + starts[row] + arc]
            if score > -np.inf:
                child = tree[rows[row], CHILD]
                while child >= 0 and tree[child, ARC] != arc:
                    child = tree[child, SIBLING]
                if child < 0:
                    child = used
                    used += 1
                    _grow(tree, rows[row], child, arc, graph, model)
                alive[size], sources[size], blank[size], label[size] = child, -1, -np.inf, score
                size += 1
    for row in range(size):
        tree[alive[row], ROW] = row
    return used, alive[:size], sources[:size], blank[:size], label[:size]


@numba.njit
def _grow(tree, parent, child, arc, graph, model):
    """Add the prefix that an arc leads to."""
    place = graph.first[tree[parent, NODE]] + arc
    state = tree[parent, STATE]
    if graph.entry[place] >= 0:
        state = _score(model, state, graph.word[place])[1]
    tree[child, PARENT], tree[child, ARC], tree[child, ENTRY] = parent, arc, graph.entry[place]
    tree[child, TOKEN], tree[child, NODE], tree[child, STATE] = graph.token[place], graph.target[place], state
    tree[child, SIBLING], tree[parent, CHILD], tree[child, CHILD] = tree[parent, CHILD], child, -1


@numba.njit
def _gains(tree, rows, sources, old_starts, old, graph, model, weight):
    """What each arc adds to each row, those of row r from starts[r] on; a row that was there before has it already."""
    starts = np.zeros(len(rows) + 1, np.int64)
    for row in range(len(rows)):
        node = tree[rows[row], NODE]
        starts[row + 1] = starts[row] + graph.first[node + 1] - graph.first[node]
    gains = np.empty(starts[-1])
    for row in range(len(rows)):
        node, source = tree[rows[row], NODE], sources[row]
        for arc in range(starts[row + 1] - starts[row]):
            place = graph.first[node] + arc
            if source >= 0:
                gains[starts[row] + arc] = old[old_starts[source] + arc]
            elif graph.entry[place] < 0 or not weight:
                gains[starts[row] + arc] = graph.gain[place]
            else:
                said = _score(model, tree[rows[row], STATE], graph.word[place])[0]
                gains[starts[row] + arc] = graph.gain[place] + weight * said
    return starts, gains


@numba.njit
def _score(model, state, word):
    """Log-probability of a word in a state of the model, in nats, and the state after it."""
    total = 0.0
    while state:
        low, stop = model.first[state], model.first[state + 1]
        high = stop
        while low < high:
            middle = (low + high) // 2
            if model.word[middle] < word:
                low = middle + 1
            else:
                high = middle
        if low < stop and model.word[low] == word:
            return total + model.log[low], model.state[low]
        total += model.backoff[state]
        state = model.shorter[state]
    return total + model.log[word + 1], model.state[word + 1]


@numba.njit
def _finish(tree, rows, blank, label, model, end, threshold, weight):
    """Scores with that of the end of the sentence; -inf for prefixes at other nodes than 0."""
    scores, best = np.empty(len(rows)), -np.inf
    for row in range(len(rows)):
        scores[row] = -np.inf
        if tree[rows[row], NODE] == 0:
            scores[row] = weight * _score(model, tree[rows[row], STATE], end)[0]
            best = max(best, scores[row] + max(blank[row], label[row]))
    for row in range(len(rows)):
        scores[row] = _sum(blank[row] + scores[row], label[row] + scores[row], best - threshold)
    return scores
