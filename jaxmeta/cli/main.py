"""Which subcommand runs, and how its errors are shown."""

import platform
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from jaxmeta.cli.adapt import adapt
from jaxmeta.cli.enroll import enroll
from jaxmeta.cli.export import export
from jaxmeta.cli.spot import spot
from jaxmeta.cli.train_recogniser import train_recogniser
from jaxmeta.cli.transcribe import transcribe
from jaxmeta.cli.verify import verify
from jaxmeta.versions import versions

SUBCOMMANDS: dict[str, Callable[..., Any]] = {
    **{each.__name__: each for each in (transcribe, adapt, export, enroll, verify, spot)},
    "train recogniser": train_recogniser,
}
"""Name -> function; a name may have two words."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand; what the user can mend is a line on standard error and exit status 2, not a traceback."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given == ["--version"]:
        print(
            "\n".join(f"{name} {found}" for name, found in (versions() | {"python": platform.python_version()}).items())
        )
        return
    try:
        tyro.extras.subcommand_cli_from_dict(
            SUBCOMMANDS,
            prog="jaxmeta",
            args=_joined(given),
            description="Recognise speech, adapt to the one who speaks, and tell who it is. "
            "`jaxmeta --version` prints the versions of all that it stands on.",
        )
    except (ValueError, OSError, ImportError) as error:
        print(f"jaxmeta: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _joined(given: list[str]) -> list[str]:
    """The arguments with a subcommand's two words as one, as tyro looks for it."""
    return [" ".join(given[:2]), *given[2:]] if " ".join(given[:2]) in SUBCOMMANDS else given
