"""How learners of spoken words are trained: what each preset means for each learner. Imports nothing heavy."""

from typing import Literal, NamedTuple

LearnerName = Literal[
    "protonet", "matching", "r2d2", "proto_maml", "maml", "fomaml", "reptile", "anil", "boil", "meta_sgd",
    "maml_plus_plus", "imaml", "cavia", "meta_curvature", "bootstrapped", "evolved", "averaging", "progressive",
]  # fmt: skip
"""Every learner that classifies; `fomaml` is `maml` with first-order gradients."""


class WordsPreset(NamedTuple):
    """What a preset means for a learner."""

    updates: int
    """Of meta-training."""
    baseline_updates: int
    """Of the classifier, each of 160 recordings: as many as an update of a closed form has."""
    pseudo: int
    """Invented words to synthesise."""
    ways: int | None
    """Classes of a training episode; None: those of the evaluation, for learners with a head."""
    batches: tuple[tuple[int, int, int], ...]
    """(shots, queries, tasks) of the batches, taken in turn."""
    rate: float
    """Peak learning rate."""
    width: int
    """Of the network."""
    start: Literal["random", "classifier"]
    """Initial weights: drawn, or those of the baseline's classifier under a head of zeros."""
    network: Literal["residual", "conv4"] = "residual"
    """Of `models.clip_encoders`."""

    def with_updates(self, updates: int | None) -> "WordsPreset":
        """The preset with these updates of the learner and of the classifier; None: as it is."""
        return self if updates is None else self._replace(updates=updates, baseline_updates=updates)


METRIC = ("protonet", "matching", "r2d2")
"""Closed forms, which cost one pass: trained on many words at once."""
GRADIENT = ("maml", "fomaml", "reptile", "anil", "boil", "meta_sgd", "maml_plus_plus", "imaml", "cavia",
            "meta_curvature", "bootstrapped", "proto_maml", "evolved", "averaging", "progressive")  # fmt: skip
"""Inner loops: all go on from the same classifier, on tasks of one size."""
_METRIC = ((1, 3, 2), (5, 3, 1))
_GRADIENT = ((1, 5, 4), (5, 5, 4))
PRESETS: dict[str, dict[str, WordsPreset]] = {
    # For synthesised words alone: about two minutes of processor time, from nothing to results, with a closed form.
    "brief": dict.fromkeys(METRIC, WordsPreset(100, 100, 0, 20, ((1, 3, 2),), 2e-3, 48, "random"))
    | dict.fromkeys(GRADIENT, WordsPreset(20, 200, 0, None, _GRADIENT, 5e-4, 48, "classifier")),
    # Tasks of one size, for each size is a program to compile, which takes as long as a hundred updates.
    "quick": dict.fromkeys(METRIC, WordsPreset(300, 300, 300, 20, ((1, 3, 2),), 2e-3, 64, "random"))
    | dict.fromkeys(GRADIENT, WordsPreset(60, 500, 300, None, _GRADIENT, 5e-4, 64, "classifier")),
    "full": {"protonet": WordsPreset(5000, 2500, 3000, 20, _METRIC, 2e-3, 128, "random")}
    | dict.fromkeys(("matching", "r2d2"), WordsPreset(1000, 2500, 3000, 20, _METRIC, 1e-3, 128, "classifier"))
    | dict.fromkeys(GRADIENT, WordsPreset(300, 2500, 3000, None, _GRADIENT, 5e-4, 128, "classifier")),
    # Four convolutions and the tasks, updates and rates of MetaAudio's code (Heggan et al. 2022, arXiv 2204.02121).
    "metaaudio": dict.fromkeys(METRIC, WordsPreset(75_000, 2500, 3000, 5, ((1, 1, 15),), 5e-4, 64, "random", "conv4"))
    | dict.fromkeys(GRADIENT, WordsPreset(2000, 2500, 3000, None, ((1, 1, 50),), 1e-3, 64, "random", "conv4")),
}
EPISODES = {"brief": 200, "quick": 600, "full": 600}
"""Test episodes behind each row of results."""
