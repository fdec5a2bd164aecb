"""Networks with heads: bodies that start from a trained classifier, and heads that see a context."""

from collections.abc import Callable

import jax
from flax import linen as nn

from jaxmeta.models.linen import from_linen
from jaxmeta.types import Model, PyTree, Ragged

Network = Callable[..., Model]
"""(outputs or None) -> the model with a head for that many classes, or the encoder."""


def warm(network: Network, params: PyTree) -> Network:
    """The network whose body starts from a trained classifier's params; a head is drawn at random."""
    body = {name: leaf for name, leaf in params.items() if name != "head"}

    def start(outputs: int | None = None) -> Model:
        model = network(outputs)

        def init(key, inputs):
            drawn, state = model.init(key, inputs)
            return drawn | body, state

        return Model(init, model.apply)

    return start


def context_of_classes(encoder: Model, ways: int, size: int) -> Model:
    """A model of (inputs, context) whose context is a vector for each class, which one head reads for all of them.

    A class's logit is the product of its vector with a linear map of the embedding. So the head need not learn which
    class is which: the first step gives each class the mean of its own embeddings, as it does with a head of zeros.
    Args:
      encoder: of the inputs, to embeddings [N, F].
      ways: classes.
      size: numbers of a class's vector; the context has `ways * size`.
    """
    reader = from_linen(nn.Dense(size, use_bias=False))

    def init(key, inputs):
        clips, _ = inputs
        body, state = encoder.init(key, clips)
        embedding, _ = encoder.apply(body, state, clips, key, False)
        return {"body": body, "head": reader.init(key, embedding)[0]}, state

    def apply(params, state, inputs, key, train):
        clips, context = inputs
        embedding, state = encoder.apply(params["body"], state, clips, key, train)
        read = reader.apply(params["head"], {}, embedding, key, train)[0]
        return read @ context.reshape(ways, size).T.astype(read.dtype), state

    return Model(init, apply)


def with_ctc_head(encoder: Model, classes: int) -> Model:
    """An encoder of Ragged frames [N, T, D] with a linear layer that gives each frame logits of C classes.

    Params are {"encoder": those of the encoder, "head"}.
    """
    head = from_linen(nn.Dense(classes))

    def init(key, inputs):
        encoder_key, head_key = jax.random.split(key)
        body, state = encoder.init(encoder_key, inputs)
        frames, _ = encoder.apply(body, state, inputs, encoder_key, False)
        return {"encoder": body, "head": head.init(head_key, frames.values)[0]}, state

    def apply(params, state, inputs, key, train):
        frames, state = encoder.apply(params["encoder"], state, inputs, key, train)
        return Ragged(head.apply(params["head"], {}, frames.values, key, train)[0], frames.lengths), state

    return Model(init, apply)
