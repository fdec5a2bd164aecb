"""Translation of speech by an attention encoder-decoder that adapts: its training, and what it writes."""

from functools import partial

import jax.numpy as jnp

from jaxmeta import MetaLearner, maml
from jaxmeta.decoding.attention import attention_beam, best
from jaxmeta.estimators import Estimator
from jaxmeta.models.seq2seq import Seq2Seq, joint_loss, teacher_forcing
from jaxmeta.optimizers import adam
from jaxmeta.sequence_losses import ctc, per_label, sequence_cross_entropy

LOSS = per_label(joint_loss(ctc, sequence_cross_entropy))


def translator(
    network: Seq2Seq, rate: float, steps: int, estimator: Estimator, *, longest: int, beam: int, bonus: float = 0.0
) -> MetaLearner:
    """MAML of an encoder-decoder on batches of speech and labels, whose predictions are the labels that it writes.

    Args:
      network: the encoder-decoder, trained with CTC beside it.
      rate: of inner Adam.
      steps: inner ones; with 0 it is trained without adaptation.
      estimator: of the meta-gradient.
      longest: most labels that are written.
      beam: hypotheses of the beam search over the decoder.
      bonus: nats for each label written.
    """

    def predict(params, state, fast, inputs, key, train):
        memory, logits = network.encode(fast, inputs)
        repeated = jnp.repeat(memory, beam, axis=0)
        score = partial(network.score, fast, repeated, jnp.repeat(logits.lengths, beam))
        return best(attention_beam(score, len(memory), longest, beam, bonus))[0], state

    return teacher_forcing(maml(network.model, LOSS, adam(rate), steps, estimator))._replace(predict=predict)
