"""The comparison is fair, is resumed, and touches the test once for each seed; its tables count comparisons."""

import numpy as np

from jaxmeta.evaluation.comparison.protocol import Budget, Contestant, compare
from jaxmeta.evaluation.comparison.search import Rung, updates_of
from jaxmeta.evaluation.comparison.tables import accuracy_rows, best_reference, budget_rows, difference_rows

BUDGET = Budget(rungs=(Rung(4, 5), Rung(1, 10)), updates=20, seeds=3)
EPISODES = np.random.default_rng(0).normal(80, 8, 200)


class Learner:
    """Gains some points over the episodes' difficulty, and more of them at a low rate of adaptation."""

    def __init__(self, gain):
        self.gain, self.validated, self.tested = gain, [], []

    def validate(self, settings, updates):
        self.validated.append((settings, updates))
        return np.array([-settings.inner_rate])

    def test(self, settings, updates, seed):
        self.tested.append((settings, updates, seed))
        noise = np.random.default_rng(seed).normal(0, 1, len(EPISODES))
        return {"words, 1-shot": EPISODES + self.gain + noise}


def run(folder, learners, identity=("data",)):
    contestants = [Contestant(name, each.validate, each.test) for name, each in learners.items()]
    return compare(contestants, BUDGET, folder, identity)


def test_every_learner_has_the_same_trials_and_the_test_comes_once_for_each_seed(tmp_path):
    learners = {"weak": Learner(-5), "strong": Learner(5)}
    outcomes = run(tmp_path, learners)
    assert learners["weak"].validated == learners["strong"].validated
    best = min(settings.inner_rate for settings, _ in learners["weak"].validated)
    for outcome, learner in zip(outcomes, learners.values(), strict=True):
        assert [seed for *_, seed in learner.tested] == [0, 1, 2]
        assert {settings for settings, *_ in learner.tested} == {outcome.chosen.settings}
        assert outcome.chosen.settings.inner_rate == best
        assert outcome.updates == updates_of(BUDGET.rungs) + 3 * 20
        assert outcome.scores["words, 1-shot"].shape == (3, 200)


def test_a_second_run_computes_nothing_and_other_data_everything(tmp_path):
    first = run(tmp_path, {"learner": Learner(0)})
    idle, busy = Learner(0), Learner(0)
    again = run(tmp_path, {"learner": idle})
    assert (idle.validated, idle.tested) == ([], [])
    np.testing.assert_array_equal(again[0].scores["words, 1-shot"], first[0].scores["words, 1-shot"])
    assert again[0].seconds == first[0].seconds
    run(tmp_path, {"learner": busy}, identity=("other data",))
    assert len(busy.tested) == 3


def test_tables_name_what_is_significant_after_all_comparisons(tmp_path):
    outcomes = run(tmp_path, {"baseline": Learner(0), "better": Learner(3), "like it": Learner(0.02)})
    alone = {"good": {"words, 1-shot": EPISODES[None] + 2}, "poor": {"words, 1-shot": EPISODES[None] - 9}}
    name, scores = best_reference(alone)
    assert name == "good"
    rows = difference_rows(outcomes, {"baseline": outcomes[0].scores, name: scores})
    cells = {row["method"]: row for row in rows}
    assert "words, 1-shot - baseline" not in cells["baseline"]
    # Seeds share their noise, so that the differences are those of the gains exactly.
    assert cells["better"]["words, 1-shot - baseline"] == "+3.0 ± 0.0 *"
    assert cells["better"]["words, 1-shot - good"].startswith("+1.")
    assert cells["baseline"]["words, 1-shot - good"].endswith("*")
    means = {row["method"]: row["words, 1-shot"][0] for row in accuracy_rows(outcomes, alone)}
    np.testing.assert_allclose(means["good"], EPISODES.mean() + 2)
    assert abs(means["better"] - EPISODES.mean() - 3) < 0.2
    assert budget_rows(outcomes)[0]["trials"] == 4
