"""Every learner of the README on embeddings, by name: what is built from settings that a search chooses."""

from collections.abc import Callable
from typing import Any, NamedTuple

import optax
from jax import numpy as jnp

from jaxmeta.estimators import conjugate_gradients, first_order, implicit, mixed_mode
from jaxmeta.evaluation.comparison.search import Settings
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
from jaxmeta.learners.proto_maml import proto_maml
from jaxmeta.learners.protonet import protonet
from jaxmeta.learners.r2d2 import r2d2
from jaxmeta.learners.reptile import reptile
from jaxmeta.losses import cross_entropy
from jaxmeta.models.heads import context_of_classes
from jaxmeta.tree import Under
from jaxmeta.types import MetaLearner
from jaxmeta.words.embedded.networks import linear, projection
from jaxmeta.words.learners import two_columns

BASELINE = "fine-tuned head"
STEPS = 5
"""Inner steps that programs hold; a smaller number leaves the last ones without effect."""
_BOIL_HEAD = 1.0
_IMAML = 4
"""Steps of iMAML for each one of the settings, for its meta-gradient is right only where the descent has converged."""


class Recipe(NamedTuple):
    """How a learner is built, and what it trains on."""

    build: Callable[[Settings, int], MetaLearner]
    """(settings, ways) -> the learner; settings may be traced, so that a program serves all of them, but for those
    that are `fixed`."""
    closed_form: bool = False
    """Takes no steps."""
    words: bool = False
    """Trained as a classifier of all training words, and no meta-learner."""
    fixed: tuple[str, ...] = ()
    """Names of settings that are part of the program: the number of steps where a rate of zero cannot leave the last
    ones without effect."""

    @property
    def ways(self) -> int:
        """Classes of a training task; the fewer tasks, the more of them, so that an update has 200 recordings."""
        return 20 if self.closed_form else 5


def descent(settings: Settings) -> optax.GradientTransformation:
    """Plain steps at one rate, of which those beyond `settings.steps` go nowhere: their number may be traced."""
    return optax.sgd(lambda count: jnp.where(count < settings.steps, settings.inner_rate, 0.0))


def recipes() -> dict[str, Recipe]:
    """Learner by name; settings that do not concern a learner, such as rates of a closed form, are left alone."""
    exact: dict[str, Any] = {"estimator": mixed_mode()}

    def inner(factory: Callable, **options: Any) -> Recipe:
        return Recipe(lambda s, ways: factory(projection(ways), cross_entropy, descent(s), steps=STEPS, **options))

    def rates(factory: Callable, **options: Any) -> Recipe:
        return Recipe(
            lambda s, ways: factory(projection(ways), cross_entropy, s.inner_rate, s.steps, **options),
            fixed=("steps",),
        )

    def closed(factory: Callable) -> Recipe:
        return Recipe(lambda s, ways: factory(projection(), cross_entropy, ways), closed_form=True)

    return {
        "protonet": closed(protonet),
        "matching": closed(matching),
        "r2d2": closed(r2d2),
        "proto_maml": Recipe(
            lambda s, ways: proto_maml(projection(), cross_entropy, descent(s), STEPS, ways, **exact)
        ),
        "maml": inner(maml, **exact),
        "fomaml": inner(maml, estimator=first_order()),
        "reptile": inner(reptile),
        "anil": inner(anil, **exact),
        "boil": Recipe(
            lambda s, ways: boil(
                projection(ways, head_scale=_BOIL_HEAD), cross_entropy, descent(s), STEPS, **exact
            )
        ),
        "meta_sgd": rates(meta_sgd, **exact),
        "maml_plus_plus": rates(maml_plus_plus, multi_step_updates=50, **exact),
        "meta_curvature": rates(meta_curvature, **exact),
        "bootstrapped": inner(bootstrapped, extra=2, rate=0.1, **exact),
        "imaml": Recipe(
            lambda s, ways: imaml(
                projection(ways), cross_entropy, optax.sgd(s.inner_rate), _IMAML * s.steps, s.strength,
                implicit(conjugate_gradients(10)),
            ),
            fixed=("steps", "strength"),
        ),
        "cavia": Recipe(
            lambda s, ways: cavia(
                context_of_classes(projection(), ways, 128), cross_entropy, descent(s), STEPS, 128 * ways, **exact
            )
        ),
        "evolved": Recipe(
            lambda s, ways: evolved(
                anil(projection(ways), cross_entropy, descent(s), STEPS, first_order()), sigma=0.01, pairs=8
            )
        ),
        "averaging": Recipe(
            lambda s, ways: averaging(maml(projection(ways), cross_entropy, descent(s), STEPS, **exact), members=2)
        ),
        "progressive": Recipe(
            lambda s, ways: two_columns([projection(), linear(ways)], cross_entropy, descent(s), STEPS, **exact)
        ),
        BASELINE: Recipe(_classifier, words=True),
    }  # fmt: skip


def _classifier(settings: Settings, ways: int) -> MetaLearner:
    """The baseline: a head that starts at zero and is fine-tuned, behind a projection trained as a classifier.

    Targets of the query set are numbers of training words in training, when `ways` is how many there are.
    """
    tuned = maml(projection(ways), cross_entropy, descent(settings), STEPS, first_order(), adapt_only=Under("head"))

    def meta_loss(params, state, episode, key):
        outputs, state = projection(ways).apply(params, state, episode.query.inputs, key, True)
        return jnp.mean(cross_entropy(outputs, episode.query.targets)), state

    return tuned._replace(meta_loss=meta_loss)
