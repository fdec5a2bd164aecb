"""Which subcommand runs, and how its errors are shown."""

import platform
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Union

import tyro

from jaxmeta.cli.adapt import adapt
from jaxmeta.cli.data.check import check
from jaxmeta.cli.data.importing import import_data
from jaxmeta.cli.data.segment import segment
from jaxmeta.cli.demo.command import demo
from jaxmeta.cli.endings import (
    OUT_OF_MEMORY,
    USAGE,
    is_out_of_memory,
    prompt_signals,
    quiet_pipe,
    status_of,
    stopped_first,
)
from jaxmeta.cli.enroll import enroll
from jaxmeta.cli.export import export
from jaxmeta.cli.inspection.doctor import doctor
from jaxmeta.cli.inspection.report import report
from jaxmeta.cli.listen import listen
from jaxmeta.cli.ranges import checked
from jaxmeta.cli.spot import spot
from jaxmeta.cli.training.assistant import train_assistant
from jaxmeta.cli.training.recogniser import train_recogniser
from jaxmeta.cli.training.wakeword import train_wakeword
from jaxmeta.cli.training.words import train_words
from jaxmeta.cli.transcribe import transcribe
from jaxmeta.cli.verify import verify
from jaxmeta.versions import versions

GROUPS = {"train": "Train from folders of recordings.", "data": "Bring recordings in, and check them."}
"""First words of subcommands of two words, and what help says of them."""
SUBCOMMANDS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (transcribe, adapt, export, enroll, verify, spot, listen, demo, report, doctor)
} | {
    "train words": train_words,
    "train recogniser": train_recogniser,
    "train assistant": train_assistant,
    "train wakeword": train_wakeword,
}
SUBCOMMANDS |= {"data import": import_data, "data segment": segment, "data check": check}
"""Name -> function; a name may have two words."""
WRITE_COMPLETION = "--tyro-write-completion"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand; what the user can mend is a line on standard error and exit status 2, not a traceback."""
    with prompt_signals(), quiet_pipe():
        _run(arguments)


def _run(arguments: Sequence[str] | None) -> None:
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given == ["--version"]:
        print(
            "\n".join(
                f"{name} {number}" for name, number in (versions() | {"python": platform.python_version()}).items()
            )
        )
        return
    group = given[0] if given and given[0] in GROUPS else ""
    whole = given[:1] == [WRITE_COMPLETION]
    try:
        with stopped_first():
            tyro.extras.subcommand_cli_from_dict(
                _subcommands(group, whole=whole),
                prog=f"jaxmeta {group}".rstrip(),
                args=given[1:] if group else given,
                description=GROUPS.get(group)
                or "Recognise speech, adapt to the one who speaks, and tell who it is. "
                "`jaxmeta --version` prints the versions of all that it stands on.",
            )
    except BrokenPipeError:
        raise
    except (ValueError, OSError, ImportError) as error:
        print(f"jaxmeta: {error}", file=sys.stderr)
        raise SystemExit(status_of(error)) from None
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        print(f"jaxmeta: {OUT_OF_MEMORY}", file=sys.stderr)
        raise SystemExit(USAGE) from None


def _subcommands(group: str, *, whole: bool = False) -> dict[str, Callable[..., Any]]:
    """The subcommands of a group by their second words; of none ("") all of one word, and a line for each group.

    `whole`: groups have their subcommands, for the completion of a shell; help is quicker without.
    """
    if group:
        first = f"{group} "
        return {name.removeprefix(first): checked(each) for name, each in SUBCOMMANDS.items() if name.startswith(first)}
    single = {name: checked(each) for name, each in SUBCOMMANDS.items() if " " not in name}
    return single | {name: _described(text, _subcommands(name) if whole else {}) for name, text in GROUPS.items()}


def _described(text: str, commands: dict[str, Callable[..., Any]]) -> Callable[..., None]:
    """What stands for a group in help, or in the completion of a shell, which knows its commands."""

    def stand_in() -> None:
        raise AssertionError("groups of subcommands are looked up before arguments are read")

    def with_commands(command: Any) -> None:
        stand_in()

    named = [
        Annotated[each, tyro.conf.subcommand(name, prefix_name=False)]  # type: ignore[valid-type]
        for name, each in commands.items()
    ]
    if named:
        with_commands.__annotations__["command"] = tyro.conf.OmitArgPrefixes[Union[tuple(named)]]  # type: ignore[misc]  # noqa: UP007
    with_commands.__doc__ = stand_in.__doc__ = text
    return with_commands if named else stand_in
