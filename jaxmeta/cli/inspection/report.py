"""`jaxmeta report FOLDER`"""

from pathlib import Path

from tyro.conf import Positional

from jaxmeta.cli.output import show
from jaxmeta.cli.ranges import Roots


def report(
    folder: Positional[Path], out: Path | None = None, force: bool = False, root: Roots = (), json: bool = False
) -> None:
    """Write a page about a folder that `jaxmeta train`, `adapt` or `enroll`, or an experiment, has written.

    It shows the command, the results, the curves of training, the card, and of an adapted voice the transcripts before
    and after with the worst twenty recordings to listen to. It is one file of HTML, which needs no network and runs no
    script; of a voice it holds recordings and transcripts, so show it only to whom you would show these.

    Args:
        folder: That a command has written.
        out: The file; none: report.html in the folder.
        force: Write over a file that is there.
        root: Folder whose recordings may be put into the page; may be given several times. Without it only those that
            lie in the folder itself are: who gives you a folder could have it name any file of yours.
        json: Write the result as a line of JSON.
    """
    from jaxmeta.files.durable import write_text
    from jaxmeta.reporting.folder import report as make

    target = folder / "report.html" if out is None else out
    if target.exists() and not force:
        raise ValueError(f"{target} exists; name another file by --out, or add --force to write over it.")
    text = make(folder, roots=root)
    write_text(target, text)
    show("report", {"out": str(target)}, f"written to {target}", as_json=json)
