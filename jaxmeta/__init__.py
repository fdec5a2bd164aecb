"""jaxmeta: functional meta-gradients in JAX for speech that has little data."""

from jaxmeta.estimators import (
    check_estimator,
    conjugate_gradients,
    evolution,
    first_order,
    forward_only,
    implicit,
    mixed_mode,
    neumann,
    truncated,
    unrolled,
)
from jaxmeta.learners.anil import anil
from jaxmeta.learners.averaging import averaging
from jaxmeta.learners.boil import boil
from jaxmeta.learners.bootstrapped import bootstrapped
from jaxmeta.learners.cavia import cavia
from jaxmeta.learners.evolved import evolved
from jaxmeta.learners.imaml import imaml
from jaxmeta.learners.maml import maml
from jaxmeta.learners.maml_plus_plus import maml_plus_plus
from jaxmeta.learners.matching import matching
from jaxmeta.learners.meta_curvature import meta_curvature
from jaxmeta.learners.meta_sgd import meta_sgd
from jaxmeta.learners.per_step import per_step
from jaxmeta.learners.progressive import grow, progressive
from jaxmeta.learners.proto_maml import proto_maml
from jaxmeta.learners.protonet import protonet
from jaxmeta.learners.r2d2 import r2d2
from jaxmeta.learners.reptile import reptile
from jaxmeta.learners.unlabelled import unlabelled
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
    "averaging",
    "boil",
    "bootstrapped",
    "cavia",
    "check_estimator",
    "conjugate_gradients",
    "evolution",
    "evolved",
    "first_order",
    "forward_only",
    "grow",
    "imaml",
    "implicit",
    "maml",
    "maml_plus_plus",
    "matching",
    "meta_curvature",
    "meta_sgd",
    "mixed_mode",
    "neumann",
    "per_step",
    "progressive",
    "proto_maml",
    "protonet",
    "r2d2",
    "reptile",
    "truncated",
    "unlabelled",
    "unrolled",
]
