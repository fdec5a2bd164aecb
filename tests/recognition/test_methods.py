"""Ways to adapt: what they are called, what they start from, and how they are kept as a recogniser."""

import jax
import numpy as np
import pytest

from jaxmeta.evaluation.choosing import ChosenMethod
from jaxmeta.recognition.adaptation import METHODS
from jaxmeta.recognition.methods import RATES, adaptation_methods, ready_to_adapt, select_methods, starting_params


@pytest.fixture(scope="module")
def known():
    return adaptation_methods(5, "dnn", "tiny")


def test_methods_are_selected_by_name_and_unknown_ones_are_named(known):
    assert list(select_methods(known, ["maml", "fine-tune all"])) == ["maml", "fine-tune all"]
    with pytest.raises(ValueError, match="methods has 'mamml'; there are fine-tune all, "):
        select_methods(known, ["maml", "mamml"])


def test_rates_are_those_of_all_methods_unless_they_are_learned_or_of_another_scale(known):
    assert known["maml"].grid(0.1) == RATES and known["meta_sgd"].grid(0.1) == (0.1,)
    assert known["cavia"].grid(0.1) == tuple(100 * rate for rate in RATES)


def test_methods_that_are_not_meta_trained_start_at_the_weights_themselves(known, recogniser, tmp_path):
    meta = type("Meta", (), {"inner_rate": 0.1})
    for name in ("fine-tune all", "fine-tune head", "test time"):
        params = starting_params(known[name], recogniser.params, None, None, meta, tmp_path, seed=0, config={})
        assert params is recogniser.params


def test_a_method_is_kept_as_a_recogniser_that_adapts_as_it_was_chosen_to(known, recogniser):
    assert {method.adapts for method in known.values()} <= {None, *METHODS}
    params = jax.tree.map(lambda leaf: leaf + 1, recogniser.params)
    chosen = ChosenMethod("anil", known["anil"].build, params, 0.03, 2)
    ready = ready_to_adapt(recogniser, known["anil"], chosen)
    assert (ready.card.adaptation, ready.card.rate, ready.card.steps) == ("head", 0.03, 2)
    assert ready.card.origin["method"] == "anil"
    jax.tree.map(np.testing.assert_array_equal, ready.params, params)
    with pytest.raises(ValueError, match="'cavia' cannot be kept as a recogniser"):
        ready_to_adapt(recogniser, known["cavia"], chosen._replace(name="cavia"))
