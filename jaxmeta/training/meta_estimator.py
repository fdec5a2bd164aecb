"""A meta-learner with the methods of scikit-learn: fit on many tasks, adapt to a new task, predict."""

import copy
import sys
import tempfile
from collections.abc import Callable
from typing import Any, Self

import jax
import numpy as np
import optax
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from jaxmeta import tree
from jaxmeta.metrics import accuracy
from jaxmeta.training.runlog import RunLog
from jaxmeta.training.update import init_state, make_update
from jaxmeta.types import Array, Batch, Episode, MetaLearner, PyTree


def most_likely(outputs: np.ndarray) -> np.ndarray:
    """The class of the largest logit: [..., C] -> [...]."""
    return outputs.argmax(axis=-1)


class MetaEstimator(BaseEstimator):
    """`fit` meta-trains; `adapt` gives an estimator for one task, which predicts and scores.

    For runs that are saved and resumed use `train_loop`. Pickling keeps what was learned and the settings, but neither
    learner nor optimizer, which are functions: give them to the copy by `set_params(learner=..., optimizer=...)`.
    Args:
      learner: what is trained; another one set after fit, with more steps say, adapts the same params.
      optimizer: the outer optimizer.
      updates: meta-updates, 0 or more.
      metric: (outputs, targets) -> [N], higher is better; `score` averages it.
      decide: outputs as numpy arrays -> predictions; for regression give `lambda outputs: outputs`.
      microbatch: how many tasks are in flight at once, as in `make_update`.
      seed: of the initial params, and of all random numbers that learner and model draw.
    Attributes: params_ and state_ are meta-learned in n_updates_ updates; loss_curve_ [updates] is the loss before
      each. fast_ is what one task learned; only what `adapt` returns has it.
    """

    def __init__(
        self,
        learner: MetaLearner,
        optimizer: optax.GradientTransformation,
        *,
        updates: int = 1000,
        metric: Callable[[PyTree, PyTree], Array] = accuracy,
        decide: Callable[[PyTree], Any] = most_likely,
        microbatch: int | None = None,
        seed: int = 0,
    ) -> None:
        self.learner, self.optimizer, self.updates = learner, optimizer, updates
        self.metric, self.decide, self.microbatch, self.seed = metric, decide, microbatch, seed

    def fit(self, sampler: Callable[[int], Episode]) -> Self:
        """Meta-train from the start, showing progress; the same sampler and seed give the same result.

        Args:
          sampler: index -> batch of tasks, with a leading axis [B] on every leaf; called with 0 to updates - 1.
        Raises:
          ValueError: updates below 0, or what `make_update` refuses.
        """
        if self.updates < 0:
            raise ValueError(f"updates must be 0 or more, got {self.updates}.")
        learner = self._given("learner")
        update = jax.jit(make_update(learner, self._given("optimizer"), microbatch=self.microbatch))
        inputs = jax.tree.map(lambda leaf: leaf[0], sampler(0).support.inputs)
        train, losses = init_state(learner, self.optimizer, jax.random.key(self.seed), inputs), []
        # What the log shows is wanted here, its file is not.
        with tempfile.TemporaryDirectory() as folder, RunLog(folder, self.updates, label="training") as log:
            for step in range(self.updates):
                train, metrics = update(train, sampler(step))
                log.write(step + 1, metrics)
                log.progress(step + 1)
                losses.append(float(metrics["loss"]))
        self.params_, self.state_, self.n_updates_ = train.params, train.state, int(train.step)
        self.loss_curve_ = np.asarray(losses)
        self.__dict__.pop("fast_", None)
        return self

    def adapt(self, support: Batch) -> Self:
        """A new estimator for the task of this support set, started from what `fit` learned; this one stays as it is.

        Raises:
          NotFittedError: before fit.
          ValueError: the result is not finite.
        """
        check_is_fitted(self, "params_")
        adapted = copy.copy(self)
        adapted.fast_, _ = jax.jit(self._given("learner").adapt)(self.params_, self.state_, support, self._key(2))
        if not tree.all_finite(adapted.fast_):
            raise ValueError("adaptation gave NaN or infinity: check inputs, labels in [0, ways), every class, rate.")
        return adapted

    def decision_function(self, inputs: PyTree) -> PyTree:
        """The adapted model's outputs as numpy arrays, for inputs with leaves [N, ...].

        Raises:
          NotFittedError: before adapt.
        """
        check_is_fitted(self, "fast_", msg="This %(name)s has no task yet: use what adapt(support) returns.")
        predict = jax.jit(self._given("learner").predict, static_argnums=5)
        outputs, _ = predict(self.params_, self.state_, self.fast_, inputs, self._key(3), False)
        return jax.tree.map(np.asarray, outputs)

    def predict(self, inputs: PyTree) -> Any:
        """What `decide` makes of the outputs: by default the most likely classes [N]."""
        return self._given("decide")(self.decision_function(inputs))

    def score(self, inputs: PyTree, targets: PyTree) -> float:
        """Mean of the metric over the examples; ValueError if it is not one number for each."""
        values = np.asarray(self._given("metric")(self.decision_function(inputs), targets), np.float64)
        if values.shape != (tree.leading_size(inputs),):
            raise ValueError(f"metric must give [{tree.leading_size(inputs)}] values, got {values.shape}; see targets.")
        return float(values.mean())

    def __copy__(self) -> Self:
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __deepcopy__(self, memo: dict) -> Self:
        copied = type(self).__new__(type(self))
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: everything but functions that no other process could find."""
        state = dict(super().__getstate__())
        for name in ("learner", "optimizer", "metric", "decide"):
            state[name] = state[name] if _is_importable(state[name]) else None
        return state

    def _given(self, name: str) -> Any:
        value = getattr(self, name)
        if value is None:
            raise ValueError(
                f"this estimator has no {name}: pickling keeps what was learned, and no functions; give it again by "
                f"set_params({name}=...)."
            )
        return value

    def _key(self, purpose: int) -> jax.Array:
        return jax.random.fold_in(jax.random.key(self.seed), purpose)  # 0 and 1 are those of init_state


def _is_importable(value: Any) -> bool:
    """Whether a function is one that a module has under its own name."""
    return callable(value) and getattr(sys.modules.get(value.__module__), getattr(value, "__name__", ""), None) is value
