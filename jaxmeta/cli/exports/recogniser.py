"""A CTC recogniser as a file for other machines."""

from pathlib import Path
from typing import Literal

from jaxmeta.cli.exports.result import Export

SECONDS = (0.5, 1.0, 2.0, 3.5, 5.0)
"""Of the noise that a recogniser is checked on where no recordings are given."""


def export_recogniser_folder(
    export: Export,
    to: Literal["stablehlo", "onnx", "safetensors"],
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

    recogniser = load_any_recogniser(export.checkpoint, base)
    if clips:
        features = read_features(recogniser.card.features, clips, resample=resample)
    else:
        config, rng = recogniser.card.features, np.random.default_rng(0)
        sizes = [round(length * config.sample_rate) for length in SECONDS]
        features = [extract(0.1 * rng.normal(size=size).astype(np.float32), config) for size in sizes]
    frames = round(seconds * recogniser.card.features.frame_rate)
    with claimed(export.out, file=True, dry_run=export.dry_run):
        if export.dry_run:
            export.plan(clips)
            return
        checked = export_recogniser(recogniser, export.out, to, features, bits=bits, frames=frames)
    export.show(f"{checked}, on {len(features)} {'recordings' if clips else 'stretches of noise'}")
