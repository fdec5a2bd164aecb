"""`jaxmeta export FOLDER --to FORMAT --out OUT`"""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional

from jaxmeta.cli.ranges import Within

Format = Literal["stablehlo", "onnx", "safetensors", "huggingface", "openwakeword", "tflite"]


def export(
    checkpoint: Positional[Path],
    to: Format,
    out: Path,
    clips: tuple[Path, ...] = (),
    bits: Literal[4, 8, 32] | None = None,
    seconds: Annotated[float, Within(0.1, 3_600)] = 10.0,
    resample: bool = False,
    base: Path | None = None,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Write a recogniser or a wake word for other machines, and check what was written against it.

    Prints the largest difference on the recordings, the size, and the time that the longest recording takes.

    Args:
        checkpoint: Folder of a recogniser, as training or `jaxmeta adapt` writes it, of adapters of a Whisper, or of a
            wake word.
        to: Of a recogniser: "stablehlo" recognises and adapts with jax and numpy alone, on CPU, CUDA and TPU (the extra
            "export"), "onnx" recognises recordings of up to --seconds (the extra "onnx"), and "safetensors" holds the
            weights; each holds the card too. Of an adapted Whisper: "huggingface" is a folder that transformers loads.
            Of a wake word: "openwakeword" is an ONNX file that openWakeWord loads (the extra "onnx"), and "tflite" the
            file that Home Assistant's openWakeWord loads (the extra "tflite").
        out: The file or folder; must not exist yet.
        clips: Audio files to check a recogniser on; none: stretches of noise.
        bits: 8, or for stablehlo 4, store kernels as integers of so many bits; ONNX computes in them. 32 as they are,
            and for huggingface float32, where else weights have the type that the public Whisper's have.
        seconds: Of the longest recording that an ONNX file takes.
        resample: Take recordings at other sample rates than the recogniser's too.
        base: Folder of the public network that the checkpoint belongs to, if it is not where it was.
        json: Write the result as a line of JSON.
        dry_run: Say what would be read, and written, and about how long it takes; write nothing.
    """
    from jaxmeta.cli.exports.recogniser import export_recogniser_folder
    from jaxmeta.cli.exports.result import Export
    from jaxmeta.cli.exports.wakeword import export_wakeword
    from jaxmeta.cli.exports.whisper import export_whisper
    from jaxmeta.cli.pretrained.whisper import is_pretrained

    export = Export(checkpoint, to, out, as_json=json, dry_run=dry_run)
    if (checkpoint / "wakeword.json").is_file():
        if to != "openwakeword" and to != "tflite":
            raise ValueError(f'--to {to}: {checkpoint} holds a wake word; give "openwakeword" or "tflite".')
        export_wakeword(export)
    elif to == "openwakeword" or to == "tflite":
        raise ValueError(f"--to {to}: {checkpoint} holds no wake word; give a folder of `jaxmeta train wakeword`.")
    elif is_pretrained(checkpoint):
        if to != "huggingface":
            raise ValueError(
                f"--to {to} takes CTC recognisers, and {checkpoint} adapts a Whisper; use --to huggingface, and "
                "convert that folder by other tools, to ONNX by `optimum-cli export onnx --model FOLDER`."
            )
        export_whisper(export, bits, base)
    elif to == "huggingface":
        raise ValueError(
            f"{checkpoint} is a CTC recogniser, for whose network transformers has no class; use --to onnx or "
            "--to stablehlo."
        )
    else:
        export_recogniser_folder(export, to, clips, bits or 32, seconds, resample, base)
