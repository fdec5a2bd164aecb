"""What an export is made of and how it is told."""

from pathlib import Path
from typing import NamedTuple


class Export(NamedTuple):
    """One call of `jaxmeta export`."""

    checkpoint: Path
    to: str
    out: Path
    as_json: bool
    dry_run: bool

    def show(self, text: str) -> None:
        """Say what was written and how well it agrees with the checkpoint."""
        from jaxmeta.cli.output import show

        row = {"out": str(self.out), "to": self.to, "bytes": _size(self.out), "checked": text}
        show("export", row, f"{self.out}: {text}", as_json=self.as_json)

    def plan(self, clips: tuple[Path, ...] = ()) -> None:
        """Say what would be read and written."""
        from jaxmeta.cli.planning.plan import START, Plan, audio, folder

        reads = [folder(self.checkpoint), *([audio("--clips", clips)] if clips else [])]
        Plan(reads, self.out, START).show("export", as_json=self.as_json)


def _size(out: Path) -> int:
    """Bytes of a file, or of those of a folder."""
    files = [out] if out.is_file() else [each for each in out.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)
