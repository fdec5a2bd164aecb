"""jaxmeta: functional meta-gradients in JAX for speech that has little data."""

from jaxmeta.estimators import first_order, mixed_mode, truncated, unrolled
from jaxmeta.learners.anil import anil
from jaxmeta.learners.maml import maml
from jaxmeta.learners.protonet import protonet
from jaxmeta.types import Batch, Episode, Inner, MetaLearner, Model, Ragged

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "Episode",
    "Inner",
    "MetaLearner",
    "Model",
    "Ragged",
    "anil",
    "first_order",
    "maml",
    "mixed_mode",
    "protonet",
    "truncated",
    "unrolled",
]
