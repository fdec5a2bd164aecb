"""Drawing settings evenly, and halving them."""

import numpy as np
import pytest

from jaxmeta.evaluation.comparison.search import Ranges, Rung, draw, successive_halving, updates_of

RUNGS = (Rung(8, 10), Rung(4, 20), Rung(1, 40))


def test_settings_cover_each_range_evenly():
    drawn = draw(8, Ranges(inner_rate=(1e-4, 1e4), steps=(1, 5), outer_rate=(1e-3, 1e-1)), seed=0)
    eighths = np.floor(np.log10([each.inner_rate for each in drawn]) + 4).astype(int)
    assert sorted(eighths) == list(range(8))
    assert sorted(each.steps for each in drawn) == [1] * 4 + [5] * 4
    assert sorted(each.annealing for each in drawn) == [0.0] * 4 + [1.0] * 4
    assert draw(8, Ranges(), seed=3) == draw(8, Ranges(), seed=3) != draw(8, Ranges(), seed=4)


def test_the_best_of_each_round_goes_on_and_the_budget_is_kept():
    tried = []

    def score(settings, updates):
        tried.append((settings, updates))
        return [-abs(np.log(settings.inner_rate))]

    history = successive_halving(RUNGS, Ranges(), 0, score)
    assert sum(updates for _, updates in tried) == updates_of(RUNGS) == 8 * 10 + 4 * 20 + 40
    best = min(draw(8, Ranges(), 0), key=lambda each: abs(np.log(each.inner_rate)))
    assert history[-1].settings == best and history[-1].updates == 40
    second = {settings for settings, updates in tried if updates == 20}
    assert second == set(sorted(draw(8, Ranges(), 0), key=lambda each: abs(np.log(each.inner_rate)))[:4])


def test_a_score_that_is_no_number_is_the_worst():
    scores = iter([[np.nan], [1.0], [np.nan], [0.5]])
    history = successive_halving((Rung(2, 1), Rung(2, 2)), Ranges(), 0, lambda *_: next(scores))
    assert history[-1].score == 0.5


@pytest.mark.parametrize("spread", [3.0, 1e-3])
def test_of_trials_within_a_standard_error_of_the_best_the_one_that_adapts_least_is_chosen(spread):
    def score(settings, updates):  # The more adaptation, the better.
        return np.log10(settings.inner_rate * settings.steps) + spread * np.array([-1.0, 0.0, 0.0, 1.0])

    history = successive_halving((Rung(6, 1),), Ranges(inner_rate=(0.1, 1.0)), 0, score)
    extents = [trial.settings.inner_rate * trial.settings.steps for trial in history]
    # The mean of the four is the logarithm, and its standard error is the spread times sqrt(2 / 3) / 2.
    assert history[-1].error == pytest.approx(spread * (2 / 3) ** 0.5 / 2)
    least = 10 ** (np.log10(max(extents)) - history[-1].error)
    assert extents[-1] == min(each for each in extents if each >= least)
    assert (extents[-1] == max(extents)) == (spread < 1) and len(set(extents)) == 6


@pytest.mark.parametrize("rungs", [(), (Rung(2, 1), Rung(3, 1)), (Rung(0, 1),)])
def test_rounds_that_grow_are_refused(rungs):
    with pytest.raises(ValueError, match="falling numbers"):
        successive_halving(rungs, Ranges(), 0, lambda *_: [0.0])
    with pytest.raises(ValueError, match="1 or more"):
        draw(0, Ranges(), 0)
