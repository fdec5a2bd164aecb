"""A folder or file that a command is going to write: claimed before the work begins, and gone again if it fails."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from jaxmeta.cli.endings import WritingError


@contextlib.contextmanager
def claimed(out: Path, *, file: bool = False, dry_run: bool = False) -> Iterator[None]:
    """Make a folder, or an empty file, for a result; remove it with what is in it if the work within fails.

    Args:
      out: where the result goes; must not exist yet, so that of two commands only one can have it.
      file: whether the result is a file.
      dry_run: look whether it could be made, and make nothing.
    Raises:
      ValueError: it exists.
      WritingError: it cannot be made, or something in it cannot be written.
    """
    if dry_run:
        _check_free(out, file)
        yield
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if file:
            out.open("xb").close()
        else:
            out.mkdir()
    except FileExistsError as error:
        if not out.parent.is_dir():
            raise WritingError(f"--out {out}: {error.filename} is a file; name a folder.") from None
        raise _exists(out, file) from None
    except OSError as error:
        raise WritingError(f"--out {out}: cannot be written ({error.strerror}); name another place.") from None
    try:
        yield
    except OSError as error:
        _remove(out)
        if error.filename is None:
            if isinstance(error, FileNotFoundError):  # Something that was to be read.
                raise
        elif not Path(error.filename).is_relative_to(out.absolute().parent):
            raise
        raise WritingError(f"--out {out}: cannot be written ({error.strerror or error}).") from error
    except BaseException:
        _remove(out)
        raise


def _check_free(out: Path, file: bool) -> None:
    if os.path.lexists(out):
        raise _exists(out, file)
    parent = next(folder for folder in out.absolute().parents if os.path.lexists(folder))
    if not parent.is_dir():
        raise WritingError(f"--out {out}: {parent} is a file; name a folder.")
    if not os.access(parent, os.W_OK):
        raise WritingError(f"--out {out}: {parent} cannot be written; name another place.")


def _exists(out: Path, file: bool) -> ValueError:
    return ValueError(f"--out {out} exists; name a new {'file' if file else 'folder'}, or delete it.")


def _remove(out: Path) -> None:
    if out.is_dir():
        shutil.rmtree(out, ignore_errors=True)
    else:
        out.unlink(missing_ok=True)


@contextlib.contextmanager
def drafted(out: Path) -> Iterator[Path]:
    """A folder to write a result into, which appears as `out` once the work within is done, and else never.

    Until then it lies beside `out` under a hidden name; only a process that is killed leaves it there.
    Args:
      out: where the result goes; must not exist yet.
    Raises:
      ValueError: it exists. WritingError: it cannot be made, or something in it cannot be written.
    """
    from jaxmeta.files.durable import sync

    draft = out.with_name(f".{out.name}.{uuid.uuid4().hex}")
    if os.path.lexists(out):
        raise ValueError(f"--out {out} exists; name a new folder, or delete it.")
    try:
        with claimed(draft):
            yield draft
            for folder, _, names in os.walk(draft):
                for name in names:
                    sync(Path(folder, name))
                sync(Path(folder))
            if os.path.lexists(out):
                raise ValueError(f"--out {out} exists by now; name a new folder, or delete it.")
            draft.rename(out)
            sync(out.parent)
    except WritingError as error:
        raise WritingError(str(error).replace(str(draft), str(out))) from error.__cause__
