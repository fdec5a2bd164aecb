"""Recordings that are copied on request: whole files byte for byte, pieces as files of their own."""

import io
import os
import shutil
from pathlib import Path

import numpy as np
import soundfile

from jaxmeta.data.audio import AudioError, native_samples
from jaxmeta.data.manifests.clips import Clip
from jaxmeta.files.durable import naming


def copy_clip(clip: Clip, target: Path) -> Path:
    """Copy what a clip names, and return the file.

    A piece becomes a FLAC file with the sample rate and the channels of its recording, of 16 bits if the recording
    has no more, else of 24.
    Args:
      clip: of an audio file.
      target: the file, without its suffix; its folder must exist.
    Raises:
      AudioError: a piece cannot be decoded. OSError: it cannot be written.
    """
    if clip.whole:
        copied = target.with_name(target.name + os.path.splitext(clip.path)[1])
        shutil.copyfile(clip.path, copied)
        return copied
    values, rate, exact = native_samples(clip)
    bits = 16 if exact else 24
    scaled = np.clip(np.rint(values.astype(np.float64) * 2 ** (bits - 1)), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    content, copied = io.BytesIO(), target.with_name(f"{target.name}.flac")
    # Integers, for libsndfile would scale numbers by one less than it divided by.
    whole = scaled.astype(np.int16) if exact else (scaled * 256).astype(np.int32)
    try:
        soundfile.write(content, whole, rate, format="FLAC", subtype=f"PCM_{bits}")
    except soundfile.SoundFileError as error:
        raise AudioError(f"{clip.path}: {values.shape[1]} channels at {rate} Hz do not fit FLAC ({error}).") from error
    with naming(copied):
        copied.write_bytes(content.getvalue())
    return copied
