"""Checkpoints of small random networks in Hugging Face's form, made by numpy, and what they are computed on."""

import jax
import numpy as np

from jaxmeta import Ragged
from jaxmeta.models.pretrained.wav2vec2 import Wav2Vec2Config, wav2vec2
from jaxmeta.models.pretrained.whisper import WhisperConfig, whisper
from jaxmeta.models.seq2seq import Spoken

WHISPER = {
    "model_type": "whisper",
    "d_model": 16,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_layers": 2,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 20,
    "vocab_size": 30,
    "num_mel_bins": 8,
    "max_source_positions": 12,
    "max_target_positions": 20,
    "activation_function": "gelu",
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def whisper_configs() -> list[dict]:
    """Five random small configurations."""
    rng = np.random.default_rng(5)
    found = []
    for index in range(5):
        heads = [int(rng.integers(1, 5)) for _ in range(2)]
        found.append(
            WHISPER
            | {
                "d_model": int(heads[0] * heads[1] * 2 * rng.integers(1, 3)),
                "encoder_attention_heads": heads[0],
                "decoder_attention_heads": heads[1],
                "encoder_layers": int(rng.integers(1, 4)),
                "decoder_layers": int(rng.integers(1, 4)),
                "encoder_ffn_dim": int(rng.integers(8, 40)),
                "decoder_ffn_dim": int(rng.integers(8, 40)),
                "num_mel_bins": int(rng.integers(4, 12)),
                "max_source_positions": int(rng.integers(8, 20)),
                "activation_function": ("gelu", "relu", "gelu_new", "silu", "gelu")[index],
            }
        )
    return found


WAV2VEC2 = {
    "model_type": "wav2vec2",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "hidden_act": "gelu",
    "feat_extract_norm": "group",
    "feat_extract_activation": "gelu",
    "conv_dim": [8, 8, 12],
    "conv_stride": [5, 2, 2],
    "conv_kernel": [10, 3, 2],
    "conv_bias": False,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "do_stable_layer_norm": False,
    "vocab_size": 12,
    "pad_token_id": 0,
    "mask_time_prob": 0.0,
}


def wav2vec2_configs(kind: str) -> list[dict]:
    """Five random small configurations of wav2vec2, hubert or wavlm; both places of normalisation."""
    rng = np.random.default_rng({"wav2vec2": 1, "hubert": 2, "wavlm": 3}[kind])
    found = []
    for index in range(5):
        heads, groups = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        config = WAV2VEC2 | {
            "model_type": kind,
            "hidden_size": int(heads * groups * 2 * rng.integers(1, 4)),
            "num_hidden_layers": int(rng.integers(1, 4)),
            "num_attention_heads": heads,
            "intermediate_size": int(rng.integers(8, 40)),
            "feat_extract_norm": ("group", "layer")[index % 2],
            "do_stable_layer_norm": bool(index % 2) or index == 4,
            "conv_bias": bool(rng.integers(2)),
            "conv_dim": [int(size) for size in rng.integers(8, 16, 3)],
            "num_conv_pos_embeddings": int(rng.integers(4, 12)),
            "num_conv_pos_embedding_groups": groups,
        }
        if kind == "wavlm":
            config |= {"num_buckets": 8, "max_bucket_distance": 20}
        if kind == "hubert":
            config |= {"feat_proj_layer_norm": index != 3}
        if kind == "wav2vec2" and index == 3:
            config |= {"adapter_attn_dim": 6}
        found.append(config)
    return found


def random_params(shapes, seed: int, gain: float):
    """Weights of a size at which every part of a network matters and its tokens vary."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        name, noise = path[-1].key, rng.normal(size=leaf.shape)
        if name in ("scale", "gru_rel_pos_const"):
            noise = 1 + 0.2 * noise
        elif name == "bias":
            noise = 0.2 * noise
        elif name == "kernel":
            noise = gain * noise / np.sqrt(noise.size / leaf.shape[-1])
        return noise.astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def waveforms(samples: list[int]) -> Ragged:
    """Random recordings, with NaN beyond the length of each."""
    values = np.random.default_rng(7).normal(size=(len(samples), max(samples))).astype(np.float32)
    lengths = np.array(samples, np.int32)
    return Ragged(np.where(np.arange(max(samples)) < lengths[:, None], values, np.nan), lengths)


def log_mels(frames: list[int], bands: int) -> Ragged:
    """Random features, with NaN beyond the length of each recording."""
    values = np.random.default_rng(8).normal(size=(len(frames), max(frames), bands)).astype(np.float32)
    lengths = np.array(frames, np.int32)
    return Ragged(np.where(np.arange(max(frames))[:, None] < lengths[:, None, None], values, np.nan), lengths)


def random_whisper(config: dict, seed: int = 0):
    """Params of `whisper` for what config.json holds."""
    model = whisper(whisper_config(config)).model
    inputs = Spoken(log_mels([2], config["num_mel_bins"]), np.zeros((1, 1), np.int32))
    return random_params(jax.eval_shape(model.init, jax.random.key(0), inputs)[0], seed, 2.0)


def whisper_config(config: dict) -> WhisperConfig:
    """What `read_whisper` makes of config.json."""
    return WhisperConfig(**{name: config[name] for name in WhisperConfig.__dataclass_fields__ if name in config})


def random_wav2vec2(config: dict, seed: int = 0):
    """Params of `wav2vec2` for what config.json holds."""
    model = wav2vec2(wav2vec2_config(config))
    return random_params(jax.eval_shape(model.init, jax.random.key(0), waveforms([400]))[0], seed, 1.0)


def wav2vec2_config(config: dict) -> Wav2Vec2Config:
    """What `read_wav2vec2` makes of config.json."""
    given = {name: config[name] for name in Wav2Vec2Config.__dataclass_fields__ if name in config}
    return Wav2Vec2Config(**{name: tuple(each) if isinstance(each, list) else each for name, each in given.items()})


TOKENS = [3, 7, 11, 5, 23, 29, 8]
