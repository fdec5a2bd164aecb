"""Small files of every kind that is read."""

import io

import numpy as np
import soundfile

RATE = 16_000
WAV = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
TELEPHONE = ("IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32", "NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32")
KINDS = {
    **{f"wav-{subtype}": {"format": "WAV", "subtype": subtype} for subtype in WAV + TELEPHONE},
    "rifx": {"format": "WAV", "subtype": "PCM_16", "endian": "BIG"},
    "rf64": {"format": "RF64", "subtype": "PCM_16"},
    "extensible": {"format": "WAVEX", "subtype": "PCM_24"},
    "flac": {"format": "FLAC", "subtype": "PCM_16"},
    "flac-24": {"format": "FLAC", "subtype": "PCM_24"},
    "vorbis": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {"format": "MP3", "subtype": "MPEG_LAYER_III"},
}
"""Name -> arguments of soundfile.write."""


def sound(seconds=1.0, seed=0, rate=RATE):
    """Noise and a tone, float32 [S] within [-1, 1]: nothing that a codec could leave out."""
    samples = round(seconds * rate)
    noise = 0.1 * np.random.default_rng(seed).standard_normal(samples)
    return (noise + 0.3 * np.sin(2 * np.pi * 440 * np.arange(samples) / rate)).astype(np.float32)


def encoded(kind, waveform, rate=RATE):
    """The bytes of a file of a kind."""
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, **KINDS[kind])
    return file.getvalue()
