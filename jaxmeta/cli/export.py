"""`jaxmeta export CHECKPOINT --to FORMAT --out FILE`"""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional

from jaxmeta.cli.ranges import Within

SECONDS = (0.5, 1.0, 2.0, 3.5, 5.0)
"""Of noise that a recogniser is checked on where no recordings are given."""


def export(
    checkpoint: Positional[Path],
    to: Literal["stablehlo", "onnx", "safetensors", "huggingface"],
    out: Path,
    clips: tuple[Path, ...] = (),
    bits: Literal[4, 8, 32] | None = None,
    seconds: Annotated[float, Within(0.1, 3_600)] = 10.0,
    resample: bool = False,
    base: Path | None = None,
) -> None:
    """Write a recogniser as a file for other machines, and check the file against the recogniser.

    Prints the largest difference on the recordings, the size, and the time that the longest recording takes.

    Args:
        checkpoint: Folder of a recogniser, as training or `jaxmeta adapt` writes it, or of adapters of a Whisper.
        to: "huggingface" writes a folder that transformers loads, of an adapted Whisper only. "stablehlo" recognises
            and adapts with jax and numpy alone, on CPU, CUDA and TPU (the extra "export"); "onnx" recognises recordings
            of up to --seconds (the extra "onnx"); "safetensors" holds the weights. Each of these holds the card too.
        out: The file or folder; must not exist yet.
        clips: Audio files to check on; none: stretches of noise.
        bits: 8, or for stablehlo 4, store kernels as integers of so many bits; ONNX computes in them. 32 as they are,
            and for huggingface float32, where else weights have the type that the public Whisper's have.
        seconds: Of the longest recording that an ONNX file takes.
        resample: Take recordings at other sample rates than the recogniser's too.
        base: Folder of the public network that the checkpoint belongs to, if it is not where it was.
    """
    from jaxmeta.cli.pretrained.whisper import is_pretrained

    if is_pretrained(checkpoint):
        _export_whisper(checkpoint, to, out, bits, base)
    elif to == "huggingface":
        raise ValueError(
            f"{checkpoint} is a CTC recogniser, for whose network transformers has no class; use --to onnx or "
            "--to stablehlo."
        )
    else:
        _export_recogniser(checkpoint, to, out, clips, bits or 32, seconds, resample, base)


def _export_whisper(checkpoint: Path, to: str, out: Path, bits: int | None, base: Path | None) -> None:
    from jaxmeta.cli.claimed import claimed
    from jaxmeta.recognition.interchange.huggingface import export_huggingface
    from jaxmeta.recognition.pretrained.bases import is_public

    if is_public(checkpoint):
        raise ValueError(f"{checkpoint} is a public Whisper as it was; adapt it first, or copy the folder.")
    if to != "huggingface":
        raise ValueError(
            f"--to {to} takes CTC recognisers, and {checkpoint} adapts a Whisper; use --to huggingface, and convert "
            "that folder by other tools, to ONNX by `optimum-cli export onnx --model FOLDER`."
        )
    if bits not in (None, 32):
        raise ValueError(f"--bits {bits} cannot be used with --to huggingface; give 32, or nothing.")
    with claimed(out):
        exported = export_huggingface(checkpoint, out, base, 32 if bits else None)
    print(f"{out}: {exported}")


def _export_recogniser(
    checkpoint: Path,
    to: Literal["stablehlo", "onnx", "safetensors"],
    out: Path,
    clips: tuple[Path, ...],
    bits: int,
    seconds: float,
    resample: bool,
    base: Path | None,
) -> None:
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
        sizes = [round(seconds * config.sample_rate) for seconds in SECONDS]
        features = [extract(0.1 * rng.normal(size=size).astype(np.float32), config) for size in sizes]
    frames = round(seconds * recogniser.card.features.frame_rate)
    with claimed(out, file=True):
        checked = export_recogniser(recogniser, out, to, features, bits=bits, frames=frames)
    print(f"{out}: {checked}, on {len(features)} {'recordings' if clips else 'stretches of noise'}")
