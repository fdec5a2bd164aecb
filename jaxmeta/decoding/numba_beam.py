"""Beam search of our own, compiled by numba, for where flashlight-text cannot be installed.

What is kept after each frame, and what the language model promises within a word, is as in flashlight-text (Kahn et al.
2022, arXiv 2201.12465). Differs: scores of the language model are added in float64.
"""

import math

import numpy as np

from jaxmeta.decoding import prefix_search
from jaxmeta.decoding.arpa import read_arpa
from jaxmeta.decoding.ngram import END, START
from jaxmeta.decoding.prefix_search import BackOff, Graph
from jaxmeta.decoding.search_task import Decode, SearchTask

Arc = tuple[int, int, int, float]
"""Class, node that it leads to, entry that it completes or -1, and gain, in nats."""


def decoder(task: SearchTask) -> Decode:
    """Prepare a search; the first call compiles it, in some seconds, or reads what an earlier process compiled.

    Raises:
      ValueError: the file of the language model is damaged.
    """
    if task.arpa is None:
        model, words = _no_model(), dict.fromkeys((START, END, *task.entries), 0)
    else:
        model, words = read_arpa(task.arpa)
    numbers = np.array([words[entry] for entry in task.entries], np.int64)
    graph = _graph(_arcs(task, model.log[numbers + 1].tolist()), numbers)
    start, end = int(model.state[words[START] + 1]), words[END]

    def decode(frames: np.ndarray) -> list[tuple[tuple[int, ...], float]]:
        tree, rows, scores = prefix_search.search(
            frames, graph, model, start, end, task.beam, float(task.threshold), float(task.lm_weight), task.space
        )
        rows, scores = rows[scores > -math.inf], scores[scores > -math.inf]
        texts = _texts(tree, rows)
        return [(tuple(text[text >= 0].tolist()), score) for text, score in zip(texts, scores.tolist(), strict=True)]

    return decode


def _texts(tree: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Entries on the way to some prefixes [R], as [R, steps]; -1 for what completes none."""
    steps = [np.full(len(rows), -1)]
    while rows.any():
        steps.append(tree[rows, prefix_search.ENTRY])
        rows = np.maximum(tree[rows, prefix_search.PARENT], 0)
    return np.stack(steps[::-1], axis=1)


def _no_model() -> BackOff:
    """A model of one word, which it is sure of."""
    whole, real = np.zeros(2, np.int32), np.zeros(2, np.float32)
    return BackOff(np.array([1, 2, 2], np.int32), np.array([-1, 0], np.int32), real, real, whole, whole)


def _arcs(task: SearchTask, logs: list[float]) -> list[list[Arc]]:
    """Arcs that leave each node. With a lexicon the nodes are the beginnings of words, and 0 is between words.

    Within a word the language model's likeliest word from there on stands for it, until the word is complete.

    Args:
      task: its entries are what the graph is of.
      logs: log-probability of each entry in no context, in nats.
    """
    if task.spellings is None:
        return [[(index + 1, 0, index, 0.0) for index in range(len(task.entries))]]
    children: list[dict[int, int]] = [{}]
    words: list[list[int]] = [[]]
    promises = [0.0]
    # Words of one spelling promise their sum, in which flashlight takes logarithms to base 10 for natural ones. That
    # changes what the beam keeps, and no score: what was promised is taken back with the word.
    sums: dict[tuple[int, ...], float] = {}
    for spelling, log in zip(task.spellings, logs, strict=True):
        sums[spelling] = float(np.logaddexp(sums.get(spelling, -math.inf), log / math.log(10)))
    for index, spelling in enumerate(task.spellings):
        node, promise = 0, sums[spelling] * math.log(10)
        for token in spelling:
            node = children[node].setdefault(token, len(children))
            if node == len(children):
                children.append({})
                words.append([])
                promises.append(-math.inf)
            promises[node] = max(promises[node], promise)
        words[node].append(index)
    return [
        [(token, node, -1, task.lm_weight * (promises[node] - promise)) for token, node in branches.items()]
        + [(task.space, 0, word, task.word_score - task.lm_weight * promise) for word in complete]
        for branches, complete, promise in zip(children, words, promises, strict=True)
    ]


def _graph(arcs: list[list[Arc]], numbers: np.ndarray) -> Graph:
    """Those arcs as arrays; numbers [E] are the entries' in the language model."""
    first = np.cumsum([0, *map(len, arcs)]).astype(np.int64)
    token, target, entry, gain = zip(*(arc for leaving in arcs for arc in leaving), strict=True)
    entries = np.array(entry, np.int64)
    return Graph(
        first, np.array(token, np.int64), np.array(target, np.int64), entries, numbers[entries], np.array(gain)
    )
