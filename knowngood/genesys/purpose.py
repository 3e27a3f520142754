"""What a call to Genesys is made for, so that the rate limit serves what matters most first.

The transport asks; whoever begins work says so by `calling_for`, once for all calls of the work.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Priority(StrEnum):
    """Who goes first when the rate limit binds, from first to last."""

    ROLLBACK = "rollback"
    REQUEST = "request"
    """Snapshots, new watches and people's commands."""
    POLL = "poll"
    HISTORY = "history"
    """What was usual at an hour on earlier days: good to know, and can wait."""


@dataclass(frozen=True)
class Purpose:
    """A priority, and the run that is served, if one is.

    A run takes places for about as many `calls` as it makes with its first one, so that what has
    begun is finished before more is `begun`.
    """

    priority: Priority
    run_id: str | None = None
    calls: int = 1
    begun: bool = False


_ANYTHING: Final = Purpose(Priority.REQUEST)
_purpose: Final = ContextVar("knowngood_purpose", default=_ANYTHING)


def purpose() -> Purpose:
    """Return what this thread's calls are made for."""
    return _purpose.get()


@contextmanager
def calling_for(chosen: Purpose) -> Iterator[None]:
    """Make the block's calls for a purpose."""
    before = _purpose.set(chosen)
    try:
        yield
    finally:
        _purpose.reset(before)
