"""Training of an assistant: what is checked first, what is resumed, and what is enrolled with it."""

import numpy as np
import pytest

from jaxmeta.data.word_corpora import load_words
from jaxmeta.verification.building import check_speakers
from tests.data.test_word_corpora import corpus
from tests.words.conftest import tones_folder  # noqa: F401


def spoken(speakers=("x", "y"), words=("a", "b"), times=4, name="c"):
    """A corpus in which every speaker says every word so many times."""
    who = np.repeat(list(speakers), len(words) * times)
    said = np.tile(np.repeat(list(words), times), len(speakers))
    return corpus(speaker=who, label=said, corpus=np.full(len(who), name), pool=np.full(len(who), "recorded"))


def test_what_cannot_be_calibrated_is_said_before_training(tones_folder):  # noqa: F811
    training, held = spoken(("p", "q")), {"c": spoken()}
    check_speakers(training, held, held)
    check_speakers(load_words([tones_folder]).train, load_words([tones_folder]).test, load_words([tones_folder]).test)
    with pytest.raises(ValueError, match="corpus 'c': speaker 'x' is held out and in training"):
        check_speakers(spoken(("p", "x")), held, held)
    with pytest.raises(ValueError, match=r"two held-out speakers or more, .* there are \{'x': 8\}"):
        check_speakers(training, {"c": spoken(("x",))}, held)
    with pytest.raises(ValueError, match="no held-out speaker says two words 4 times each"):
        check_speakers(training, held, {"c": spoken(times=3)})
    with pytest.raises(ValueError, match="no training word has 6 recordings"):
        check_speakers(spoken(("p", "q"), times=2), held, held)
    with pytest.raises(ValueError, match="has no column 'speaker'"):
        check_speakers(training, {"c": corpus(label=["a"])}, held)
