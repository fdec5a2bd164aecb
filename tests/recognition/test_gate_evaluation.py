"""The gate over many speakers, and the language model's weights that speakers choose for others."""

import numpy as np
import pytest

from jaxmeta.decoding.error_rates import Edits
from jaxmeta.evaluation.adaptation_curves import transcribe
from jaxmeta.recognition.gate_evaluation import evaluate_gate
from jaxmeta.recognition.searching import cross_fitted
from tests.evaluation.conftest import chosen, protocol

__all__ = ["protocol"]  # a fixture


def test_the_gate_keeps_what_was_where_adaptation_does_harm(protocol):
    good = evaluate_gate(chosen("good"), protocol)
    assert good["adopted"] == good["speakers"] == 3 and good["gated"] < 50
    method = chosen("bad", rate=9.0, letters=4.0)
    bad, unadapted = evaluate_gate(method, protocol), transcribe(method, protocol, 0).rates()
    assert bad["adopted"] == 0 and bad["gated"] == pytest.approx(unadapted["cer"])


def test_each_half_of_the_speakers_gets_the_setting_that_is_best_on_the_other_half():
    zero, speakers = np.zeros(4, int), np.array(["a", "b", "c", "d"])  # halves: a and c, b and d

    def edits(errors):
        return Edits(np.array(errors), zero, zero, np.full(4, 10))

    fitted = cross_fitted([edits([1, 5, 1, 5]), edits([6, 2, 6, 2])], speakers)
    np.testing.assert_array_equal(fitted.errors, [6, 5, 6, 5])
