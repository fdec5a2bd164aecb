"""What the noise experiment compares: adaptation with transcripts of the condition, and without any."""

from collections.abc import Mapping

import jax

from experiments.adapt_asr.methods import Method, methods
from experiments.noise.recipes import METHODS
from jaxmeta import MetaLearner
from jaxmeta.models.acoustic import Encoder, Size


def noise_methods(classes: int, encoder: Encoder, size: Size) -> Mapping[str, Method]:
    """The methods of `METHODS` by name; "test time" adapts once to all utterances of a speaker, "each" to every one."""
    known = methods(classes, encoder, size)
    alone = known["test time"]
    each = alone._replace(build=lambda rate, steps: each_utterance(alone.build(rate, steps)))
    return {name: known.get(name, each) for name in METHODS}


def each_utterance(learner: MetaLearner) -> MetaLearner:
    """A learner that adapts to every utterance by itself, and recognises each with what adapted to it.

    Its support set must be what it predicts: fast is one for each row [N, ...]. For the test only; `meta_loss` is that
    of the learner.
    """

    def adapt(params, state, support, key):
        return jax.vmap(lambda batch: learner.adapt(params, state, batch, key))(_rows(support))

    def predict(params, state, fast, inputs, key, train):
        def one(own, row):
            return learner.predict(params, state, own, row, key, train)[0]

        return jax.tree.map(lambda leaf: leaf[:, 0], jax.vmap(one)(fast, _rows(inputs))), state

    return learner._replace(adapt=adapt, predict=predict)


def _rows(batch):
    """Leaves [N, ...] as N batches of one row, [N, 1, ...]."""
    return jax.tree.map(lambda leaf: leaf[:, None], batch)
