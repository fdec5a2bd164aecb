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
from jaxmeta.cli.transcribe import transcribe
from jaxmeta.cli.verify import verify
from jaxmeta.versions import versions

SUBCOMMANDS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (transcribe, adapt, export, enroll, verify, spot)
}


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
            args=given,
            description="Recognise speech, adapt to the one who speaks, and tell who it is. "
            "`jaxmeta --version` prints the versions of all that it stands on.",
        )
    except (ValueError, OSError, ImportError) as error:
        print(f"jaxmeta: {error}", file=sys.stderr)
        raise SystemExit(2) from None
