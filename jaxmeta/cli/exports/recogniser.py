"""A CTC recogniser as a file for other machines."""

from pathlib import Path
from typing import Literal

SECONDS = (0.5, 1.0, 2.0, 3.5, 5.0)
"""Of the noise that a recogniser is checked on where no recordings are given."""


def export_recogniser_folder(
    checkpoint: Path,
    to: Literal["stablehlo", "onnx", "safetensors"],
    out: Path,
    clips: tuple[Path, ...],
    bits: int,
    seconds: float,
    resample: bool,
    base: Path | None,
) -> None:
    """Write it, check it on recordings or noise, and say how well it computes what the recogniser does."""
    import numpy as np

    from jaxmeta.cli.claimed import claimed
    from jaxmeta.data.features import extract
    from jaxmeta.data.recordings import read_features
    from jaxmeta.recognition.exporting import export_recogniser
    from jaxmeta.recognition.pretrained.on_base import load_any_recogniser

    recogniser = load_any_recogniser(checkpoint, base)
    if clips:
        features = read_features(recogniser.card.features, clips, resample=resample)
    else:
        config, rng = recogniser.card.features, np.random.default_rng(0)
        sizes = [round(length * config.sample_rate) for length in SECONDS]
        features = [extract(0.1 * rng.normal(size=size).astype(np.float32), config) for size in sizes]
    frames = round(seconds * recogniser.card.features.frame_rate)
    with claimed(out, file=True):
        checked = export_recogniser(recogniser, out, to, features, bits=bits, frames=frames)
    print(f"{out}: {checked}, on {len(features)} {'recordings' if clips else 'stretches of noise'}")
