"""What a container holds, once it has been checked."""

from typing import NamedTuple


class ContainerError(ValueError):
    """A file is damaged, cut, or of a kind that is not read; the message says which, without the file's name."""


class Part(NamedTuple):
    """One recording of a file; files that were put one behind the other have several."""

    content: bytes | None
    """A whole file of its own; None: the file as it lies on the disk."""
    frames: int
    """Least number of samples of a channel that its container promises."""
    clock: int | None = None
    """Hz that `frames` are counted at; None: the sample rate of the recording."""
    closed: bool = True
    """False where the writer never filled in the length, so that nobody can say whether the end is missing."""
