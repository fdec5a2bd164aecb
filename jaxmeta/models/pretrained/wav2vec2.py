"""The wav2vec2 family: wav2vec2 (XLS-R and MMS too), HuBERT and WavLM, encoders of waveforms.

Baevski et al. 2020 (arXiv 2006.11477), Hsu et al. 2021 (arXiv 2106.07447), Chen et al. 2022 (arXiv 2110.13900).
Differs from the originals in one point: the first layer's statistics over time, where `feat_extract_norm` is "group",
are those of a recording's own frames, so that padding is inert.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from jax import lax
from jax import numpy as jnp

from jaxmeta.models.layers import apply_mask, frame_mask, where
from jaxmeta.models.linen import from_linen
from jaxmeta.models.pretrained.blocks import ACTIVATIONS, Attention, LayerNorm, require, widened
from jaxmeta.models.pretrained.folder import Tensors, chosen_fields, read_config, read_weights, write_folder
from jaxmeta.models.pretrained.relative_attention import GatedAttention, buckets
from jaxmeta.types import Array, Model, PyTree, Ragged

KINDS = ("wav2vec2", "hubert", "wavlm")
_OF_PRETRAINING = ("masked_spec_embed", "quantizer.", "project_q.", "project_hid.", "lm_head.", "projector.",
                   "classifier.", "layer_weights")  # fmt: skip


@dataclass(frozen=True)
class Wav2Vec2Config:
    """What config.json says of a network of the family; fields have its names."""

    model_type: str = "wav2vec2"
    """One of wav2vec2, hubert and wavlm."""
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-5
    feat_extract_norm: str = "group"
    """"group": of the first convolution, each channel over time; "layer": of every convolution, over channels."""
    feat_extract_activation: str = "gelu"
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_bias: bool = False
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    do_stable_layer_norm: bool = False
    """Normalise before attention and not after it, as the large networks do."""
    feat_proj_layer_norm: bool = True
    adapter_attn_dim: int | None = None
    """Width of MMS' adapter of a language in every layer; None: no such adapter."""
    num_buckets: int = 320
    """Of distances between frames; this and the next: of WavLM only."""
    max_bucket_distance: int = 800

    def frames(self, samples: Any) -> Any:
        """Frames of a waveform of so many samples, a number or an array.

        >>> Wav2Vec2Config().frames(16_000)
        49
        """
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            samples = (samples - kernel) // stride + 1
        return samples


def wav2vec2(config: Wav2Vec2Config, first: int | None = None, last: int | None = None) -> Model:
    """The encoder, waveforms [N, S] at 16 kHz -> Ragged [N, T, hidden_size], or some of its layers.

    Waveforms are as `normalised` makes them where preprocessor_config.json has do_normalize, and as recorded elsewhere.
    Args:
      config: of the network; params have the names of the checkpoint.
      first: layer that the part starts with, whose inputs are then the outputs of the part before; None: at waveforms.
      last: layer before which the part ends; None: the last one, and what follows it.
    Raises:
      ValueError: at trace time, waveforms too short for a frame.
    """
    return from_linen(_Encoder(config, first, last))


def read_wav2vec2(folder: str | Path, dtype: Any = None) -> tuple[Wav2Vec2Config, PyTree]:
    """Config and params of the encoder in a Hugging Face folder (config.json and model.safetensors, or its shards).

    Args:
      folder: on the disk.
      dtype: of the params, such as jnp.bfloat16; None: as they are stored.
    Raises:
      ValueError: another architecture; missing, extra or misshapen weights; a pickled checkpoint; a damaged file.
      OSError: no such folder or file.
    """
    found = read_config(folder, KINDS)
    norms, acts = ("group", "layer"), tuple(ACTIVATIONS)
    require(found, {"feat_extract_norm": norms, "hidden_act": acts, "feat_extract_activation": acts})
    require(found, {"add_adapter": (False,), "conv_pos_batch_norm": (False,)})
    config = chosen_fields(Wav2Vec2Config, found)
    inputs = Ragged(jnp.zeros((1, math.prod(config.conv_stride) * sum(config.conv_kernel))), jnp.ones(1, jnp.int32))
    shapes = jax.eval_shape(wav2vec2(config).init, jax.random.key(0), inputs)[0]
    prefix = f"{config.model_type}."
    return config, read_weights(folder, shapes, prefix, _OF_PRETRAINING, dtype, _without_weight_norm)


def write_wav2vec2(folder: str | Path, config: dict[str, Any], params: PyTree) -> None:
    """Write what `read_wav2vec2` and transformers read, from what config.json holds and the params."""
    write_folder(folder, config, params, f"{config['model_type']}.", _with_weight_norm)


def normalised(waveforms: Ragged) -> Ragged:
    """Waveforms [N, S] with zero mean and unit variance each, over their own samples."""
    values = apply_mask(waveforms.values, waveforms.lengths)
    count = jnp.maximum(waveforms.lengths, 1)[:, None].astype(values.dtype)
    centred = apply_mask(values - values.sum(1, keepdims=True) / count, waveforms.lengths)
    variance = jnp.square(centred).sum(1, keepdims=True) / count
    return Ragged(centred * lax.rsqrt(variance + 1e-7), waveforms.lengths)


def _without_weight_norm(tensors: Tensors) -> Tensors:
    """The convolution of positions as a kernel; files hold its direction, and a length for each of its taps."""
    stem = "encoder.pos_conv_embed.conv."
    forms = ("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1")
    for length, direction in forms:
        if stem + length in tensors and stem + direction in tensors:
            lengths, directions = tensors.pop(stem + length), tensors.pop(stem + direction)

            def kernel(lengths=lengths, directions=directions) -> np.ndarray:
                value = directions().astype(np.float32)
                norm = np.sqrt(np.square(value).sum((0, 1), keepdims=True))
                return (lengths().astype(np.float32) * value / np.maximum(norm, np.finfo(np.float32).tiny)).astype(
                    directions().dtype
                )

            tensors[stem + "weight"] = kernel
    return tensors


def _with_weight_norm(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    name = next(name for name in tensors if name.endswith("pos_conv_embed.conv.weight"))
    kernel = tensors.pop(name)
    length = np.sqrt(np.square(kernel.astype(np.float32)).sum((0, 1), keepdims=True)).astype(kernel.dtype)
    stem = name.removesuffix("weight") + "parametrizations.weight.original"
    return tensors | {f"{stem}0": length, f"{stem}1": kernel}


class _Convolutions(nn.Module):
    """Waveforms to frames. Only frames whose samples all lie in the recording count."""

    config: Wav2Vec2Config

    @nn.compact
    def __call__(self, waveforms: Ragged) -> Ragged:
        values, lengths = apply_mask(waveforms.values, waveforms.lengths)[..., None], waveforms.lengths
        if self.config.frames(values.shape[1]) < 1:
            raise ValueError(f"waveforms of {values.shape[1]} samples are too short for a frame; pad them with zeros.")
        for index in range(len(self.config.conv_dim)):
            values, lengths = _Convolution(self.config, index, name=f"conv_layers_{index}")(values, lengths)
        return Ragged(values, lengths)


class _Convolution(nn.Module):
    config: Wav2Vec2Config
    index: int

    @nn.compact
    def __call__(self, values: Array, lengths: Array) -> tuple[Array, Array]:
        config = self.config
        kernel, stride = config.conv_kernel[self.index], config.conv_stride[self.index]
        convolution = nn.Conv(
            config.conv_dim[self.index], (kernel,), stride, "VALID", use_bias=config.conv_bias, name="conv"
        )
        values, lengths = convolution(values), jnp.maximum((lengths - kernel) // stride + 1, 0)
        if config.feat_extract_norm == "layer":
            values = LayerNorm(epsilon=1e-5, name="layer_norm")(values)
        elif self.index == 0:
            values = _TimeNorm(name="layer_norm")(values, lengths)
        return ACTIVATIONS[config.feat_extract_activation](values), lengths


class _TimeNorm(nn.Module):
    """Each channel over the time of its own recording: group normalisation with a group for each channel."""

    @nn.compact
    def __call__(self, values: Array, lengths: Array) -> Array:
        scale = self.param("scale", nn.initializers.ones, values.shape[-1:])
        bias = self.param("bias", nn.initializers.zeros, values.shape[-1:])
        mask = frame_mask(lengths, values.shape[1])[..., None]
        count = jnp.maximum(lengths, 1)[:, None, None].astype(values.dtype)
        centred = where(mask, values - where(mask, values).sum(1, keepdims=True) / count)
        variance = jnp.square(centred).sum(1, keepdims=True) / count
        return centred * lax.rsqrt(variance + 1e-5) * scale + bias


class _Projection(nn.Module):
    config: Wav2Vec2Config

    @nn.compact
    def __call__(self, values: Array) -> Array:
        if self.config.feat_proj_layer_norm:
            values = LayerNorm(epsilon=self.config.layer_norm_eps, name="layer_norm")(values)
        return nn.Dense(self.config.hidden_size, name="projection")(values)


class _Positions(nn.Module):
    """What the neighbours of a frame say of its place."""

    config: Wav2Vec2Config

    @nn.compact
    def __call__(self, values: Array) -> Array:
        config, taps = self.config, self.config.num_conv_pos_embeddings
        padding, groups = [(taps // 2, (taps - 1) // 2)], config.num_conv_pos_embedding_groups
        convolution = nn.Conv(config.hidden_size, (taps,), padding=padding, feature_group_count=groups, name="conv")
        return ACTIVATIONS[config.feat_extract_activation](convolution(values))


class _FeedForward(nn.Module):
    config: Wav2Vec2Config

    @nn.compact
    def __call__(self, values: Array) -> Array:
        hidden = nn.Dense(self.config.intermediate_size, name="intermediate_dense")(values)
        return nn.Dense(self.config.hidden_size, name="output_dense")(ACTIVATIONS[self.config.hidden_act](hidden))


class _LanguageAdapter(nn.Module):
    width: int

    @nn.compact
    def __call__(self, values: Array) -> Array:
        hidden = nn.Dense(self.width, name="linear_1")(LayerNorm(epsilon=1e-5, name="norm")(values))
        return nn.Dense(values.shape[-1], name="linear_2")(nn.relu(hidden))


class _Layer(nn.Module):
    config: Wav2Vec2Config

    @nn.compact
    def __call__(self, values: Array, mask: Array, bias: Array | None) -> Array:
        config = self.config
        kind: Any = Attention if bias is None else GatedAttention
        attention = kind(config.hidden_size, config.num_attention_heads, name="attention")
        before, after = (LayerNorm(epsilon=config.layer_norm_eps, name=n) for n in ("layer_norm", "final_layer_norm"))
        feed_forward = _FeedForward(config, name="feed_forward")

        def attend(normed: Array) -> Array:
            gated = None if bias is None else attention.gated(normed, bias)
            return attention(normed, attention.keys_values(normed), mask, gated)

        if not config.do_stable_layer_norm:
            values = before(values + attend(values))
            return after(values + feed_forward(values))
        values = values + attend(before(values))
        values = values + feed_forward(after(values))
        if config.adapter_attn_dim is None:
            return values
        return values + _LanguageAdapter(config.adapter_attn_dim, name="adapter_layer")(values)


class _Transformer(nn.Module):
    config: Wav2Vec2Config
    first: int | None
    last: int | None

    @nn.compact
    def __call__(self, values: Array, lengths: Array) -> Array:
        config, normalise = self.config, LayerNorm(epsilon=self.config.layer_norm_eps, name="layer_norm")
        if self.first is None:
            values = values + _Positions(config, name="pos_conv_embed")(values)
            values = values if config.do_stable_layer_norm else normalise(values)
        bias, mask = None, frame_mask(lengths, values.shape[1])[:, None, None]
        if config.model_type == "wavlm":
            distances = nn.Embed(config.num_buckets, config.num_attention_heads, name="rel_attn_embed").embedding
            bias = distances[buckets(values.shape[1], config.num_buckets, config.max_bucket_distance)].transpose(
                2, 0, 1
            )
        for index in range(config.num_hidden_layers)[self.first : self.last]:
            values = _Layer(config, name=f"layers_{index}")(values, mask, bias)
        return normalise(values) if self.last is None and config.do_stable_layer_norm else values


class _Encoder(nn.Module):
    config: Wav2Vec2Config
    first: int | None = None
    last: int | None = None

    @nn.compact
    def __call__(self, inputs: Ragged) -> Ragged:
        values, lengths = widened(inputs.values), inputs.lengths
        if self.first is None:
            values, lengths = _Convolutions(self.config, name="feature_extractor")(Ragged(values, lengths))
            values = apply_mask(_Projection(self.config, name="feature_projection")(values), lengths)
        return Ragged(
            apply_mask(_Transformer(self.config, self.first, self.last, name="encoder")(values, lengths), lengths),
            lengths,
        )
