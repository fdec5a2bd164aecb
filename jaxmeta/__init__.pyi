"""What `import jaxmeta` offers; each name is loaded from here when it is first used."""

from .estimators import (
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
from .learners.anil import anil
from .learners.averaging import averaging
from .learners.boil import boil
from .learners.bootstrapped import bootstrapped
from .learners.cavia import cavia
from .learners.enrolment import enrolment
from .learners.evolved import evolved
from .learners.imaml import imaml
from .learners.joint import joint
from .learners.maml import maml
from .learners.maml_plus_plus import maml_plus_plus
from .learners.matching import matching
from .learners.meta_curvature import meta_curvature
from .learners.meta_sgd import meta_sgd
from .learners.per_step import per_step
from .learners.progressive import grow, progressive
from .learners.proto_maml import proto_maml
from .learners.protonet import protonet
from .learners.r2d2 import r2d2
from .learners.reptile import reptile
from .learners.unlabelled import unlabelled
from .types import Batch, Episode, Inner, MetaLearner, Model, Ragged

__version__: str

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
    "enrolment",
    "evolution",
    "evolved",
    "first_order",
    "forward_only",
    "grow",
    "imaml",
    "implicit",
    "joint",
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
