"""A frozen base with a part that learns: what are params, gradients and checkpoints, and that meta-gradients agree."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Model, Ragged, check_estimator, maml, mixed_mode, unrolled
from jaxmeta.estimators.symmetry import asymmetric
from jaxmeta.losses import squared_error
from jaxmeta.models.heads import with_ctc_head
from jaxmeta.models.linen import from_linen
from jaxmeta.models.low_rank import is_adapter, low_rank
from jaxmeta.models.pretrained.context import with_prefix, with_vector
from jaxmeta.models.pretrained.frozen import frozen, whole
from jaxmeta.models.pretrained.wav2vec2 import wav2vec2
from jaxmeta.models.pretrained.whisper import after_prompt, teacher_forced, whisper, whisper_encoder
from jaxmeta.sequence_losses import ctc, sequence_cross_entropy
from jaxmeta.training import init_state, make_update
from jaxmeta.training.checkpoint import restore, save
from jaxmeta.tree import named, paths
from tests.models.pretrained import checkpoints
from tests.programs import compiled, jitted

KEY = jax.random.key(0)


def dense():
    from flax import linen as nn

    return from_linen(nn.Sequential([nn.Dense(3), nn.Dense(2)]))


BASE = {
    "layers_0": {"kernel": np.arange(12, dtype=np.float16).reshape(4, 3) / 8, "bias": np.ones(3, np.float16)},
    "layers_1": {"kernel": np.ones((3, 2), np.float16), "bias": np.zeros(2, np.float16)},
}
INPUTS = np.eye(4, dtype=np.float32)


def test_params_are_what_learns_and_start_as_in_the_base():
    model = frozen(dense(), BASE, lambda path: path.endswith("bias"))
    params, state = model.init(KEY, INPUTS)
    assert paths(params) == ["layers_0/bias", "layers_1/bias"] and params["layers_0"]["bias"].dtype == np.float32
    outputs = model.apply(params, state, INPUTS, KEY, True)[0]
    np.testing.assert_allclose(outputs, (INPUTS @ BASE["layers_0"]["kernel"] + 1) @ np.ones((3, 2)))
    assert paths(whole(params, BASE)) == paths(BASE)


def test_what_the_base_does_not_have_is_drawn_as_ever():
    head = {"layers_0": BASE["layers_0"]}
    params, _ = frozen(dense(), head, lambda path: path.startswith("layers_1/")).init(KEY, INPUTS)
    drawn = dense().init(KEY, INPUTS)[0]
    assert paths(params) == ["layers_1/bias", "layers_1/kernel"]
    np.testing.assert_array_equal(params["layers_1"]["kernel"], drawn["layers_1"]["kernel"])


def test_a_base_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"base lacks layers_1/kernel, which does not learn either"):
        frozen(dense(), {"layers_0": BASE["layers_0"]}, lambda path: path == "layers_0/bias").init(KEY, INPUTS)
    with pytest.raises(ValueError, match="chooses none of the params, which have the parts"):
        frozen(dense(), BASE, lambda path: False).init(KEY, INPUTS)
    wrong = BASE | {"layers_1": {"kernel": np.ones((4, 2)), "bias": np.zeros(2)}}
    with pytest.raises(ValueError, match=r"base has the shape \(4, 2\) at layers_1/kernel, the model needs \(3, 2\)"):
        frozen(dense(), wrong, lambda path: path.endswith("bias")).init(KEY, INPUTS)


def regression(base, estimator, made_up=False):
    """The meta-loss of one weight that learns, on a frozen matrix."""

    def apply(params, state, inputs, key, train):
        if made_up:
            asymmetric("this model")
        return jnp.tanh(inputs * params["scale"]) @ base, state

    model = Model(lambda key, inputs: ({"scale": jnp.ones(())}, {}), apply)
    return maml(model, squared_error, optax.sgd(0.1), 2, estimator=estimator).meta_loss


def test_mixed_mode_is_exact_where_a_compiled_function_is_given_the_frozen_weights():
    base, batch = jnp.arange(12.0).reshape(4, 3) / 12, Batch(INPUTS, jnp.ones((4, 3)), jnp.ones(4))

    def derivatives(estimator):
        def loss(base, params):
            return regression(base, estimator)(params, {}, Episode(batch, batch), KEY)[0]

        # The frozen weights too: what is passed on silently must not be a constant.
        return compiled(jax.grad(loss, argnums=(0, 1)))(base, {"scale": jnp.ones(())})

    exact, mixed = derivatives(unrolled()), derivatives(mixed_mode())
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), mixed, exact)


def test_mixed_mode_refuses_made_up_derivatives_beside_frozen_weights():
    batch = Batch(INPUTS, jnp.ones((4, 3)), jnp.ones(4))

    def loss(base, params):
        return regression(base, mixed_mode(), made_up=True)(params, {}, Episode(batch, batch), KEY)[0]

    with pytest.raises(ValueError, match=r"this model has made-up derivatives.*mixed_mode\(\)"):
        jax.eval_shape(lambda base, params: jax.grad(loss, 1)(base, params), jnp.ones((4, 3)), {"scale": jnp.ones(())})


def learns(path):
    return is_adapter(path) or "head" in path


def hubert_with_adapters(base, config, adapted="q_proj"):
    model = low_rank(with_ctc_head(wav2vec2(config), 5), 2, lambda path: f"{adapted}/kernel" in path)
    return frozen(model, {"weights": {"encoder": base}}, learns)


HUBERT = checkpoints.WAV2VEC2 | {"model_type": "hubert", "num_hidden_layers": 1, "conv_dim": [6, 6, 6]}


def utterances(seed=0):
    labels = Ragged(np.array([[1, 3], [4, 0]]), np.array([2, 1]))
    return Batch(checkpoints.waveforms([160, 130]), labels, np.ones(2, np.float32))


@pytest.mark.slow
def test_mixed_mode_is_exact_through_hubert_with_adapters_and_ctc():
    config, base = checkpoints.wav2vec2_config(HUBERT), checkpoints.random_wav2vec2(HUBERT)
    model = hubert_with_adapters(base, config)
    learner = functools.partial(maml, model, ctc, optax.sgd(0.1), 2)
    params, state = moved(model, utterances().inputs)
    assert check_estimator(learner, Episode(utterances(), utterances()), params=params, state=state) == {}


@pytest.mark.slow
def test_mixed_mode_is_exact_through_the_decoder_of_whisper():
    config = checkpoints.WHISPER | {"encoder_layers": 1, "decoder_layers": 1, "d_model": 8}
    network, base = whisper(checkpoints.whisper_config(config)).model, checkpoints.random_whisper(config)
    model = frozen(low_rank(network, 2, lambda path: path.endswith("v_proj/kernel")), {"weights": base}, is_adapter)
    inputs, targets = teacher_forced(
        checkpoints.log_mels([8, 5], 8), Ragged(jnp.array([[5, 6], [7, 0]]), jnp.array([2, 1])), [3, 4], 2
    )
    batch = Batch(inputs, targets, np.ones(2, np.float32))
    learner = functools.partial(maml, model, after_prompt(sequence_cross_entropy, 2), optax.sgd(0.1), 2)
    params, state = moved(model, inputs)
    assert check_estimator(learner, Episode(batch, batch), params=params, state=state) == {}


def moved(model, inputs):
    """Params away from where the products of adapters are zero."""
    params, state = compiled(model.init)(KEY, inputs)
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape), params), state


@pytest.mark.slow
def test_frozen_weights_have_no_gradients_no_slots_and_no_place_in_a_checkpoint(tmp_path):
    fields = HUBERT | {"hidden_size": 96, "num_attention_heads": 4, "intermediate_size": 384}
    config, base = checkpoints.wav2vec2_config(fields), checkpoints.random_wav2vec2(fields)
    weights = sum(leaf.size for leaf in jax.tree.leaves(base))
    episode, optimizer = Episode(utterances(), utterances()), optax.adam(1e-3)

    def learner(base):
        return maml(hubert_with_adapters(base, config), ctc, optax.sgd(0.1), 1, estimator=mixed_mode())

    train = init_state(learner(base), optimizer, KEY, utterances().inputs)
    learned = sum(leaf.size for leaf in jax.tree.leaves(train.params))
    assert learned < weights / 50

    def memory(meta_gradient, *arguments):
        needed = compiled(meta_gradient).lower(*arguments, train.state, episode, KEY).compile().memory_analysis()
        return needed.output_size_in_bytes, needed.output_size_in_bytes + needed.temp_size_in_bytes

    def of_adapters(base, params, *rest):
        return jax.grad(learner(base).meta_loss, has_aux=True)(params, *rest)

    output, total = memory(of_adapters, base, train.params)
    assert output < 4 * learned + 200
    full = low_rank(with_ctc_head(wav2vec2(config), 5), 2, lambda path: "q_proj/kernel" in path)
    everything = maml(full, ctc, optax.sgd(0.1), 1, estimator=mixed_mode(), adapt_only=learns)
    params = jax.eval_shape(full.init, KEY, utterances().inputs)[0]
    more, all_of_it = memory(jax.grad(everything.meta_loss, has_aux=True), params)
    # The gradient of a frozen weight in float32 is not there, not even for a while.
    assert more > 4 * weights and all_of_it - total > 0.9 * 4 * weights

    half = jax.tree.map(lambda leaf: leaf.astype(np.float16), base)
    step = compiled(lambda base, train, episodes: make_update(learner(base), optimizer)(train, episodes))
    after, metrics = step(half, train, jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], episode))
    assert np.isfinite(metrics["loss"]) and float(metrics["gradient_norm"]) > 0
    held = json.loads((save(tmp_path, after) / "leaves.json").read_text())
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 2 * weights
    assert "q_proj" in json.dumps(held) and "k_proj" not in json.dumps(held)
    restored = restore(tmp_path, train)
    jax.tree.map(np.testing.assert_array_equal, restored.params, after.params)


@pytest.mark.slow
def test_the_upper_part_adapts_as_the_whole_network_does():
    config, base = checkpoints.whisper_config(checkpoints.WHISPER), checkpoints.random_whisper(checkpoints.WHISPER)
    speech = checkpoints.log_mels([20, 13], 8)

    def adapted(first):
        model = low_rank(
            with_ctc_head(whisper_encoder(config, first), 5), 2, lambda path: "layers_1/fc1/kernel" in path
        )
        model = frozen(model, {"weights": {"encoder": base["encoder"]}}, learns)
        return model, maml(model, ctc, optax.sgd(0.1), 2)

    lower = jitted(whisper_encoder(config, None, 1))
    activations = lower.apply(base["encoder"], {}, speech, KEY, False)[0]
    (model, whole_learner), (_, part_learner) = adapted(None), adapted(1)
    params, state = moved(model, speech)
    labels = Ragged(np.array([[1, 3], [4, 0]]), np.array([2, 1]))
    fast = [
        compiled(learner.adapt)(params, state, Batch(inputs, labels, np.ones(2)), KEY)[0]
        for learner, inputs in ((whole_learner, speech), (part_learner, activations))
    ]
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-5), *fast)


@pytest.mark.slow
def test_a_prefix_or_a_vector_adapts_alone_and_leaves_padding_inert():
    config, base = checkpoints.whisper_config(checkpoints.WHISPER), checkpoints.random_whisper(checkpoints.WHISPER)
    upper = whisper_encoder(config, 0)
    activations = jitted(whisper_encoder(config, None, 0)).apply(
        base["encoder"], {}, checkpoints.log_mels([20, 13], 8), KEY, False
    )[0]
    for name, context in (("prefix", with_prefix(upper, 3)), ("vector", with_vector(upper))):
        model = jitted(frozen(context, {"weights": base["encoder"]}, lambda path, name=name: path == name))
        params, state = model.init(KEY, activations)
        assert list(named(params)) == [name]
        params = {name: jax.random.normal(KEY, params[name].shape)}
        both = model.apply(params, state, activations, KEY, False)[0]
        alone = model.apply(params, state, Ragged(activations.values[1:, :7], activations.lengths[1:]), KEY, False)[0]
        np.testing.assert_array_equal(both.lengths, activations.lengths)
        np.testing.assert_allclose(both.values[1, :7], alone.values[0], atol=1e-5)
        plain = jitted(upper).apply(base["encoder"], {}, activations, KEY, False)[0]
        assert np.abs(both.values - plain.values).max() > 1e-2
    with pytest.raises(ValueError, match="frames must be 1 or more"):
        with_prefix(upper, 0)


def test_maml_on_a_frozen_base_adapts_all_of_its_params():
    model = frozen(dense(), BASE, lambda path: path.endswith("bias"))
    batch = Batch(INPUTS, np.zeros((4, 2), np.float32), np.ones(4, np.float32))
    params, state = model.init(KEY, INPUTS)
    fast, info = compiled(maml(model, squared_error, optax.sgd(0.05), 3).adapt)(params, state, batch, KEY)
    assert info["loss"][-1] < info["loss"][0] and paths(fast) == ["layers_0/bias", "layers_1/bias"]
