"""Adaptation to each utterance by itself; `tests/contract.py` holds what is common to all learners."""

import jax
import numpy as np
import optax

from jaxmeta import Batch, Model, Ragged, unlabelled
from jaxmeta.learners.unlabelled import each_utterance
from jaxmeta.sequence_losses import confidence


def softmax_of_frames() -> Model:
    """Logits [N, T, C] by one linear layer, and a bias."""

    def init(key, inputs):
        return {"kernel": jax.random.normal(key, (inputs.values.shape[-1], 4)), "bias": np.zeros(4, np.float32)}, {}

    def apply(params, state, inputs, key, train):
        return inputs._replace(values=inputs.values @ params["kernel"] + params["bias"]), state

    return Model(init, apply)


def test_each_utterance_adapts_by_itself():
    model, key = softmax_of_frames(), jax.random.key(0)
    signal = confidence()
    alone = unlabelled(model, signal, signal, optax.sgd(1.0), 3, adapt_only=lambda path: path == "bias")
    inputs = Ragged(jax.random.normal(key, (3, 6, 5)), np.array([6, 4, 2], np.int32))
    batch = Batch(inputs, np.zeros(3), np.ones(3, np.float32))
    params, _ = model.init(key, inputs)

    def outputs_of(learner):
        def run(batch):
            fast, _ = learner.adapt(params, {}, batch, key)
            return learner.predict(params, {}, fast, batch.inputs, key, False)[0]

        return jax.jit(run)

    outputs, by_itself = outputs_of(each_utterance(alone))(batch), outputs_of(alone)
    for row in range(3):
        expected = by_itself(jax.tree.map(lambda leaf, row=row: leaf[row : row + 1], batch))
        np.testing.assert_allclose(outputs.values[row], expected.values[0], rtol=1e-5, atol=1e-6)
        assert outputs.lengths[row] == inputs.lengths[row]
    assert np.abs(np.asarray(outputs.values - by_itself(batch).values)).max() > 1e-3
