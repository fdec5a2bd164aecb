"""`jaxmeta export CHECKPOINT --to FORMAT --out FILE`"""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional

from jaxmeta.cli.ranges import Within

SECONDS = (0.5, 1.0, 2.0, 3.5, 5.0)
"""Of noise that a recogniser is checked on where no recordings are given."""


def export(
    checkpoint: Positional[Path],
    to: Literal["stablehlo", "onnx", "safetensors", "openwakeword", "tflite"],
    out: Path,
    clips: tuple[Path, ...] = (),
    bits: Literal[4, 8, 32] = 32,
    seconds: Annotated[float, Within(0.1, 3_600)] = 10.0,
    resample: bool = False,
) -> None:
    """Write a recogniser or a wake word as a file for other machines, and check the file against it.

    Prints the largest difference on the recordings, the size, and the time that the longest recording takes.

    Args:
        checkpoint: Folder of a recogniser, as training or `jaxmeta adapt` writes it, or of a wake word.
        to: "stablehlo" recognises and adapts with jax and numpy alone, on CPU, CUDA and TPU (the extra "export");
            "onnx" recognises recordings of up to --seconds (the extra "onnx"); "safetensors" holds the weights. Each
            holds the card too. Of a wake word: "openwakeword" is an ONNX file that openWakeWord loads (the extra
            "onnx"), "tflite" the file that Home Assistant's openWakeWord loads (the extra "tflite").
        out: The file; must not exist yet.
        clips: Audio files to check on; none: stretches of noise.
        bits: 8, or for stablehlo 4, store kernels as integers of so many bits; 32 as they are. ONNX computes in them.
        seconds: Of the longest recording that an ONNX file takes.
        resample: Take recordings at other sample rates than the recogniser's too.
    """
    _check_kind(checkpoint, to)
    if to == "openwakeword" or to == "tflite":
        _export_wakeword(checkpoint, to, out)
        return
    import numpy as np

    from jaxmeta.cli.claimed import claimed
    from jaxmeta.data.features import extract
    from jaxmeta.data.recordings import read_features
    from jaxmeta.recognition.exporting import export_recogniser
    from jaxmeta.recognition.recogniser import load_recogniser

    recogniser = load_recogniser(checkpoint)
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


def _check_kind(folder: Path, to: str) -> None:
    """Raises ValueError where the format is not for what a folder holds."""
    held = (folder / "wakeword.json").is_file()
    if held != (to in ("openwakeword", "tflite")):
        remedy = 'openwakeword" or "tflite' if held else 'onnx", "stablehlo" or "safetensors'
        raise ValueError(f'--to {to}: {folder} holds {"a" if held else "no"} wake word; give "{remedy}".')


def _export_wakeword(folder: Path, to: Literal["openwakeword", "tflite"], out: Path) -> None:
    from jaxmeta.cli.claimed import claimed
    from jaxmeta.words.wake.exporting import export_head
    from jaxmeta.words.wake.wakeword import load_wakeword

    wakeword = load_wakeword(folder)
    about = {name: getattr(wakeword.card, name) for name in ("word", "recordings", "alarms", "hours")}
    with claimed(out, file=True):
        print(f"{out}: {export_head(wakeword.layers, out, to, about)}; a score of 0.5 is the threshold")
