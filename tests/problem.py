"""A small few-shot problem for tests of learners: a network, episodes, and episodes that must give the same result."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta import Batch, Episode, Model, Ragged
from jaxmeta.models.layers import apply_mask, segment_pool

WAYS, SHOTS, QUERIES, TASKS, FRAMES, FEATURES, STEPS = 3, 2, 4, 5, 7, 4, 3


def layers(outputs):
    """Two models in order: masked frames and a hidden layer with one dead unit; two segments and a linear head."""

    def init_body(key, inputs):
        bias = jnp.zeros(8).at[0].set(-1e3)
        return {"kernel": jax.random.normal(key, (inputs.values.shape[-1], 8)) / 2, "bias": bias}, {}

    def apply_body(params, state, inputs, key, train):
        frames = apply_mask(inputs.values, inputs.lengths)
        return inputs._replace(values=jax.nn.relu(frames @ params["kernel"] + params["bias"])), state

    def init_head(key, hidden):
        return {"kernel": jax.random.normal(key, (16, outputs)) / 4, "bias": jnp.zeros(outputs)}, {}

    def apply_head(params, state, hidden, key, train):
        pooled = segment_pool(hidden.values, hidden.lengths, 2).reshape(len(hidden.lengths), -1)
        return pooled @ params["kernel"] + params["bias"], state

    return [Model(init_body, apply_body), Model(init_head, apply_head)]


def network(outputs):
    """Both layers as one model, with params under "body" and "head" and no state."""
    body, head = layers(outputs)

    def init(key, inputs):
        body_key, head_key = jax.random.split(key)
        return {"body": body.init(body_key, inputs)[0], "head": head.init(head_key, None)[0]}, {}

    def apply(params, state, inputs, key, train):
        hidden, _ = body.apply(params["body"], {}, inputs, key, train)
        return head.apply(params["head"], {}, hidden, key, train)[0], state

    return Model(init, apply)


def stateful(model, count=jnp.int32):
    """A stateless model with a state: its passes in training, and a running mean of its outputs in them."""

    def init(key, inputs):
        return model.init(key, inputs)[0], {"passes": jnp.zeros((), count), "mean": jnp.zeros(())}

    def apply(params, state, inputs, key, train):
        outputs, _ = model.apply(params, {}, inputs, key, train)
        if train:
            mean = 0.9 * state["mean"] + 0.1 * jax.tree.leaves(outputs)[0].mean()
            state = {"passes": state["passes"] + 1, "mean": mean.astype(state["mean"].dtype)}
        return outputs, state

    return Model(init, apply)


def episodes(seed=0, tasks=TASKS, dtype=np.float32):
    """A batch of tasks [B], in each of which every class has a centre of its own in a plane of frames."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(tasks, WAYS, 1, 1, FEATURES))

    def batch(per_class):
        n = WAYS * per_class
        values = centres + rng.normal(size=(tasks, WAYS, per_class, FRAMES, FEATURES))
        lengths = rng.integers(2, FRAMES + 1, (tasks, n)).astype(np.int32)
        targets = np.tile(np.repeat(np.arange(WAYS, dtype=np.int32), per_class), (tasks, 1))
        ragged = Ragged(values.reshape(tasks, n, FRAMES, FEATURES).astype(dtype), lengths)
        return Batch(ragged, targets, np.ones((tasks, n), dtype))

    return jax.tree.map(jnp.asarray, Episode(batch(SHOTS), batch(QUERIES)))


def one(batch, index=0):
    """One task of a batch of them."""
    return jax.tree.map(lambda leaf: leaf[index], jax.device_get(batch))  # numpy compiles nothing


def padded(batch, extra=2, garbage=False):
    """One task's examples with `extra` more of weight 0 and `extra` more frames, of zeros or of garbage.

    What lies beyond a row's length is NaN where it is garbage. Padding examples are finite, as a sampler makes them:
    they go through the network, where a NaN would reach the gradient whatever its weight.
    """
    values, lengths = map(np.asarray, batch.inputs)
    values = np.pad(values, [(0, extra), (0, extra), (0, 0)], constant_values=5.0 if garbage else 0.0)
    lengths = np.pad(lengths, (0, extra), constant_values=3 if garbage else 1)
    beyond = np.arange(values.shape[1]) >= lengths[:, None]
    values = np.where(beyond[..., None], np.nan if garbage else 0.0, values).astype(values.dtype)
    targets = np.pad(np.asarray(batch.targets), (0, extra), constant_values=WAYS + 4 if garbage else 0)
    return Batch(Ragged(values, lengths), targets, np.pad(np.asarray(batch.weight), (0, extra)))


def pad(episode, **how):
    """Support and query set of one task, `padded`."""
    return Episode(*(padded(batch, **how) for batch in episode))


def stack(tasks):
    """A list of tasks of one shape as a batch [B] of numpy arrays."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *tasks)


def shuffled(episode):
    """Another order of the support set, padding among the rest."""
    order = np.random.default_rng(0).permutation(len(episode.support.weight))
    return episode._replace(support=jax.tree.map(lambda leaf: leaf[order], episode.support))


def weighted(episode):
    """The first example of both sets with weight 2."""

    def double(batch):
        weight = batch.weight.copy()
        weight[0] = 2
        return batch._replace(weight=weight)

    return Episode(*map(double, episode))


def repeated(episode):
    """The first example of both sets twice, instead of the last, which must be padding."""
    return Episode(*(jax.tree.map(lambda leaf: np.concatenate([leaf[:-1], leaf[:1]]), batch) for batch in episode))


def poisoned(episodes, poison, index=1, part="query"):
    """A batch whose task `index` has inputs, in one part, that are NaN, infinite or `poison` times too large."""
    batch = getattr(episodes, part)
    values = batch.inputs.values.copy()
    # Clipped to what float32 can hold, so that large inputs are finite.
    values[index] = (values[index] * np.float64(poison)).clip(-3e38, 3e38) if np.isfinite(poison) else poison
    return episodes._replace(**{part: batch._replace(inputs=batch.inputs._replace(values=values))})
