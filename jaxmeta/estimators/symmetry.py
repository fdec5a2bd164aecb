"""Refusing what an estimator would silently get wrong: second derivatives that are not symmetric."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_noted: ContextVar[list[str] | None] = ContextVar("noted", default=None)
"""What called `asymmetric` while that was noted."""
_relying: ContextVar[str | None] = ContextVar("relying", default=None)
"""The estimator whose use of symmetry is being traced."""


@contextlib.contextmanager
def relying_on_symmetry(estimator: str) -> Iterator[None]:
    """While this is open, `asymmetric` raises, and its message names the estimator."""
    token = _relying.set(estimator)
    try:
        yield
    finally:
        _relying.reset(token)


@contextlib.contextmanager
def noting_asymmetry() -> Iterator[list[str]]:
    """The list of what calls `asymmetric` while this is open, for a trace that is used later."""
    noted: list[str] = []
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)


def asymmetric(what: str) -> None:
    """Call this in a model or loss with made-up derivatives, such as straight-through ones, whenever it is computed.

    Args:
      what: has them; the message begins with it.
    Raises:
      ValueError: at trace time, inside a meta-gradient of `mixed_mode()` or `implicit()`. It goes unnoticed where a
        jitted function of the caller's own was traced before.
    """
    if (noted := _noted.get()) is not None:
        noted.append(what)
    if estimator := _relying.get():
        raise ValueError(
            f"{what} has made-up derivatives, whose own derivatives are not symmetric, as {estimator} needs them; use "
            "unrolled() or first_order()."
        )
