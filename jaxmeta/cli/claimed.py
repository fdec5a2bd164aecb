"""A folder or file that a command is going to write: claimed before the work begins, and gone again if it fails."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from jaxmeta.cli.endings import WritingError


@contextlib.contextmanager
def claimed(out: Path, *, file: bool = False) -> Iterator[None]:
    """Make a folder, or an empty file, for a result; remove it with what is in it if the work within fails.

    Args:
      out: where the result goes; must not exist yet, so that of two commands only one can have it.
      file: whether the result is a file.
    Raises:
      ValueError: it exists.
      WritingError: it cannot be made, or something in it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if file:
            out.open("xb").close()
        else:
            out.mkdir()
    except FileExistsError as error:
        if not out.parent.is_dir():
            raise WritingError(f"--out {out}: {error.filename} is a file; name a folder.") from None
        raise ValueError(f"--out {out} exists; name a new {'file' if file else 'folder'}, or delete it.") from None
    except OSError as error:
        raise WritingError(f"--out {out}: cannot be written ({error.strerror}); name another place.") from None
    try:
        yield
    except OSError as error:
        _remove(out)
        if error.filename is not None and not Path(error.filename).is_relative_to(out.absolute().parent):
            raise
        raise WritingError(f"--out {out}: cannot be written ({error.strerror or error}).") from error
    except BaseException:
        _remove(out)
        raise


def _remove(out: Path) -> None:
    if out.is_dir():
        shutil.rmtree(out, ignore_errors=True)
    else:
        out.unlink(missing_ok=True)
