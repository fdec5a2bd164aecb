"""The learners of the spoken-words experiment by name, and the networks that they are made of."""

from collections.abc import Callable, Sequence

import optax
from flax import linen as nn
from jax import numpy as jnp

from experiments.spoken_words.recipes import Name
from jaxmeta import MetaLearner, Model, anil, conjugate_gradients, first_order, implicit, maml, mixed_mode, protonet
from jaxmeta.estimators import Estimator
from jaxmeta.learners.averaging import averaging
from jaxmeta.learners.boil import boil
from jaxmeta.learners.bootstrapped import bootstrapped
from jaxmeta.learners.cavia import cavia
from jaxmeta.learners.evolved import evolved
from jaxmeta.learners.imaml import imaml
from jaxmeta.learners.maml_plus_plus import maml_plus_plus
from jaxmeta.learners.matching import matching
from jaxmeta.learners.meta_curvature import meta_curvature
from jaxmeta.learners.meta_sgd import meta_sgd
from jaxmeta.learners.progressive import grow, progressive
from jaxmeta.learners.proto_maml import proto_maml
from jaxmeta.learners.r2d2 import r2d2
from jaxmeta.learners.reptile import reptile
from jaxmeta.losses import cross_entropy
from jaxmeta.models.linen import from_linen
from jaxmeta.types import PyTree

INNER_RATE = 0.1
"""Of every inner loop of plain steps; that of the fine-tuned baseline, whose choice on validation words it was."""
CONTEXT = 32
Network = Callable[..., Model]
"""(outputs or None) -> the model with a head for that many classes, or the encoder."""
Build = Callable[[int, int], MetaLearner]
"""(ways, steps) -> the learner; params fit any number of steps, and any number of ways where there is no head."""


def learners(network: Network, estimator: Estimator | None) -> dict[Name, Build]:
    """Every learner by name; `estimator` overrides each one's own, where it has an inner loop to differentiate."""
    sgd = optax.sgd(INNER_RATE)
    exact = {"estimator": estimator or mixed_mode()}
    implicitly = {"estimator": estimator or implicit(conjugate_gradients(5))}

    def model(factory: Callable, *arguments, **options) -> Build:
        """A learner of a network with a head: factory(model, loss, *arguments, steps=..., ...)."""
        return lambda ways, steps: factory(network(ways), cross_entropy, *arguments, steps=steps, **options)

    return {
        "maml": model(maml, sgd, **exact),
        "fomaml": model(maml, sgd, estimator=first_order()),
        "reptile": model(reptile, sgd),
        "anil": model(anil, sgd, **exact),
        "boil": model(boil, sgd, **exact),
        "meta_sgd": model(meta_sgd, INNER_RATE, **exact),
        "maml_plus_plus": model(maml_plus_plus, INNER_RATE, multi_step_updates=50, **exact),
        "meta_curvature": model(meta_curvature, INNER_RATE, **exact),
        "bootstrapped": model(bootstrapped, sgd, extra=2, rate=INNER_RATE, **exact),
        "imaml": model(imaml, sgd, strength=0.5, **implicitly),
        "evolved": lambda ways, steps: evolved(
            maml(network(ways), cross_entropy, sgd, steps, first_order()), sigma=0.01, pairs=4
        ),
        "averaging": lambda ways, steps: averaging(maml(network(ways), cross_entropy, sgd, steps, **exact), members=2),
        "cavia": lambda ways, steps: cavia(
            contextual(network(), ways), cross_entropy, optax.sgd(1.0), steps, CONTEXT, **exact
        ),
        "progressive": lambda ways, steps: two_columns(
            [network(), from_linen(nn.Dense(ways))], cross_entropy, sgd, steps, **exact
        ),
        "proto_maml": lambda ways, steps: proto_maml(network(), cross_entropy, sgd, steps, ways, **exact),
        "protonet": lambda ways, steps: protonet(network(), cross_entropy, ways),
        "matching": lambda ways, steps: matching(network(), cross_entropy, ways),
        "r2d2": lambda ways, steps: r2d2(network(), cross_entropy, ways),
    }


def warm(network: Network, params: PyTree) -> Network:
    """The network whose body starts from a trained classifier's params; the head, if any, is drawn as ever."""
    body = {name: leaf for name, leaf in params.items() if name != "head"}

    def start(outputs: int | None = None) -> Model:
        model = network(outputs)

        def init(key, inputs):
            drawn, state = model.init(key, inputs)
            return drawn | body, state

        return Model(init, model.apply)

    return start


def two_columns(layers: Sequence[Model], *arguments, **options) -> MetaLearner:
    """A progressive network that starts with one frozen column, with weights as the first layers draw them."""
    learner = progressive(layers, *arguments, **options)

    def init(key, inputs):
        params, state = learner.init(key, inputs)
        return grow(layers, params, state, params["new"], inputs, key)

    return learner._replace(init=init)


def contextual(encoder: Model, ways: int) -> Model:
    """A model of (inputs, context): the context meets the embedding in a head of two layers."""
    head = from_linen(_ContextHead(ways))

    def init(key, inputs):
        clips, context = inputs
        body, state = encoder.init(key, clips)
        embedding, _ = encoder.apply(body, state, clips, key, False)
        return {"body": body, "head": head.init(key, (embedding, context))[0]}, state

    def apply(params, state, inputs, key, train):
        clips, context = inputs
        embedding, state = encoder.apply(params["body"], state, clips, key, train)
        return head.apply(params["head"], {}, (embedding, context), key, train)[0], state

    return Model(init, apply)


class _ContextHead(nn.Module):
    outputs: int

    @nn.compact
    def __call__(self, inputs):
        embedding, context = inputs
        repeated = jnp.broadcast_to(context.astype(embedding.dtype), (len(embedding), len(context)))
        hidden = nn.relu(nn.Dense(128)(jnp.concatenate([embedding, repeated], axis=-1)))
        return nn.Dense(self.outputs)(hidden)
