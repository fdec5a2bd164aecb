"""Choosing rates and steps, rows for numbers of utterances and steps, and forgetting."""

import jax.numpy as jnp
import pytest

from jaxmeta.decoding.error_rates import error_rate
from jaxmeta.evaluation.adaptation_curves import step_curve, utterance_curve
from jaxmeta.evaluation.choosing import choose
from jaxmeta.evaluation.forgetting import forgetting
from tests.evaluation.conftest import chosen, make_corpus, writes


def test_the_rate_is_chosen_first_and_then_the_number_of_steps(protocol):
    params, rates = {"letters": jnp.zeros(())}, (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)

    def error(rate, steps):
        return error_rate(protocol.transcribe("x", writes, params, 5, rate, steps).characters)

    best = choose("x", writes, params, error, rates, (1, 2, 5, 10, 20), first_steps=5)
    # Five steps at 1.0 write 5 letters, the nearest to four of all rates; 20 at 0.2 write 4.
    assert (best.rate, best.steps) == (1.0, 5) and best.error == error(1.0, 5)
    learned = choose("x", writes, params, error, (0.2,), (1, 2, 5, 10, 20), first_steps=5)
    assert (learned.rate, learned.steps) == (0.2, 20)


def test_without_first_steps_every_pair_is_tried_and_of_equals_the_first_is_taken():
    errors = {(0.1, 1): 3.0, (0.1, 5): 2.0, (1.0, 1): 2.0, (1.0, 5): 9.0}
    best = choose("x", writes, {}, lambda rate, steps: errors[rate, steps], (0.1, 1.0), (1, 5), labels=False)
    assert (best.rate, best.steps, best.error, best.labels) == (0.1, 5, 2.0, False)


def test_curves_have_a_row_for_every_method_shots_and_steps(protocol):
    methods = [chosen(name, letters=1.0, steps=steps) for name, steps in (("fine-tune all", 3), ("maml", 2))]
    rows = utterance_curve(methods, protocol, (0, 1, 2, 5, 10), baseline=methods[0], others=protocol)
    assert [row["shots"] for row in rows] == [0, 1, 2, 5, 10] * 2
    assert [row.get("own") for row in rows] == [None, None, None, 0.0, None] * 2
    assert [row.get("against", 0.0) for row in rows[:5]] == [0.0] * 5 and rows[6]["against"] > 0
    # Of four letters, three and more of them "a", one is written before and four after adaptation.
    before, after = rows[0]["cer"], rows[3]["cer"]
    assert rows[3]["gain"] == pytest.approx(100 * (1 - after / before)) and rows[3]["cer_low"] <= after
    steps = step_curve(methods, protocol, 5, (0, 1, 2, 5, 10, 20))
    assert [row["steps"] for row in steps] == [0, 1, 2, 5, 10, 20] * 2 and steps[3]["shots"] == 5


def test_forgetting_is_the_mean_change_on_other_speakers(protocol):
    change = forgetting(chosen("x", steps=4, letters=4.0), protocol, make_corpus(), seed=0)
    # Four letters more where there are four, whoever was adapted to.
    assert change["source"] <= 50 and change["backward"] == change["backward_low"] == 100.0
