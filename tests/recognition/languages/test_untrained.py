"""Translation by the nearest known utterance, and figures in what Whisper writes."""

import numpy as np

from jaxmeta.data.corpus import Corpus
from jaxmeta.padding import pad_rows
from jaxmeta.recognition.languages.untrained import in_words, nearest_utterance
from jaxmeta.types import Batch


def test_figures_become_words():
    assert in_words("Forty-one, 42 and 7!") == "forty one forty two and seven" and in_words("1000") == "1000"


def test_the_nearest_utterance_is_that_whose_mean_frame_is_most_alike():
    frames = [np.array(row, np.float32) for row in ([[3, 1], [1, 1]], [[0, 3]], [[1, 2], [1, 4], [1, 3]])]
    corpus = Corpus(np.array([[0, 0], [2, 2]], np.float32), np.arange(2), np.ones(2, np.int32), {})
    learner = nearest_utterance(corpus).build(0.0, 0)  # From [1, 1] the rows lie at 0, 116 and 90 degrees.
    labels = pad_rows([np.array([1, 2]), np.array([3])])
    support, query = pad_rows(frames[:2]), pad_rows(frames[2:])
    for weight, expected in (([1, 1], [3]), ([1, 0], [1, 2]), ([0, 0], [])):
        batch = Batch(support, labels, np.array(weight, np.float32))
        fast, _ = learner.adapt(nearest_utterance(corpus).params, {}, batch, None)
        said, _ = learner.predict(nearest_utterance(corpus).params, {}, fast, query, None, False)
        assert said.values[0, : said.lengths[0]].tolist() == expected
