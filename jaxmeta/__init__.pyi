"""What `import jaxmeta` offers, a line each; each name is loaded from here when it is first used."""

from .estimators import check_estimator as check_estimator
from .estimators import conjugate_gradients as conjugate_gradients
from .estimators import evolution as evolution
from .estimators import exact as exact
from .estimators import first_order as first_order
from .estimators import forward_only as forward_only
from .estimators import implicit as implicit
from .estimators import mixed_mode as mixed_mode
from .estimators import neumann as neumann
from .estimators import truncated as truncated
from .estimators import unrolled as unrolled
from .learners.anil import anil as anil
from .learners.averaging import averaging as averaging
from .learners.boil import boil as boil
from .learners.bootstrapped import bootstrapped as bootstrapped
from .learners.cavia import cavia as cavia
from .learners.enrolment import enrolment as enrolment
from .learners.evolved import evolved as evolved
from .learners.imaml import imaml as imaml
from .learners.joint import joint as joint
from .learners.maml import maml as maml
from .learners.maml_plus_plus import maml_plus_plus as maml_plus_plus
from .learners.matching import matching as matching
from .learners.meta_curvature import meta_curvature as meta_curvature
from .learners.meta_sgd import meta_sgd as meta_sgd
from .learners.per_step import per_step as per_step
from .learners.progressive import grow as grow
from .learners.progressive import progressive as progressive
from .learners.proto_maml import proto_maml as proto_maml
from .learners.protonet import protonet as protonet
from .learners.r2d2 import r2d2 as r2d2
from .learners.reptile import reptile as reptile
from .learners.unicorn_maml import unicorn_maml as unicorn_maml
from .learners.unlabelled import unlabelled as unlabelled
from .types import Batch as Batch
from .types import Episode as Episode
from .types import Inner as Inner
from .types import MetaLearner as MetaLearner
from .types import Model as Model
from .types import Ragged as Ragged

__version__: str
