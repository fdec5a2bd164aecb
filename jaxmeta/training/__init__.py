"""Meta-training: the update, the evaluation, and what surrounds a long run."""

from jaxmeta.training.update import TrainState, init_state, make_evaluate, make_update

__all__ = ["TrainState", "init_state", "make_evaluate", "make_update"]
