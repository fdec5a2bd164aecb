"""An adapted Whisper as a folder that transformers loads."""

from pathlib import Path

from jaxmeta.cli.exports.result import Export


def export_whisper(export: Export, bits: int | None, base: Path | None) -> None:
    """Write the public Whisper with its adapters added.

    Raises:
      ValueError: nothing is adapted; bits other than 32. As `export_huggingface`.
    """
    from jaxmeta.cli.claimed import claimed
    from jaxmeta.recognition.interchange.huggingface import export_huggingface
    from jaxmeta.recognition.pretrained.adapter import read_adapted
    from jaxmeta.recognition.pretrained.bases import is_public

    checkpoint = export.checkpoint
    if is_public(checkpoint):
        raise ValueError(f"{checkpoint} is a public Whisper as it was; adapt it first, or copy the folder.")
    if bits not in (None, 32):
        raise ValueError(f"--bits {bits} cannot be used with --to huggingface; give 32, or nothing.")
    with claimed(export.out, dry_run=export.dry_run):
        if export.dry_run:
            read_adapted(checkpoint, base)  # Refuses what is damaged, or without its base.
            export.plan()
            return
        exported = export_huggingface(checkpoint, export.out, base, 32 if bits else None)
    export.show(str(exported))
