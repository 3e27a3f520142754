"""Windows of measurement, lined up with the interval so that many flows share one query."""

import math
import zlib
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict


class Window(BaseModel):
    """A half-open span [start, end) of UTC time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """The window's length in seconds."""
        return (self.end - self.start).total_seconds()

    def halves(self) -> tuple["Window", "Window"]:
        """Split the window in the middle."""
        middle = self.start + (self.end - self.start) / 2
        return Window(start=self.start, end=middle), Window(start=middle, end=self.end)


def _at(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def latest_window(now: datetime, *, interval: float, length: float, delay: float) -> Window:
    """Return the newest window that analytics can know wholly at `now`.

    It ends on a multiple of `interval` (counted from 1970, UTC), at least `delay` seconds ago,
    and is `length` seconds long.
    """
    end = math.floor((now.timestamp() - delay) / interval) * interval
    return Window(start=_at(end - length), end=_at(end))


def ended_since(start: datetime, now: datetime, *, interval: float, delay: float) -> int:
    """Return how many windows ended after `start` that analytics can know wholly at `now`."""
    known = math.floor((now.timestamp() - delay) / interval)
    return max(known - math.floor(start.timestamp() / interval), 0)


def next_due(now: datetime, *, interval: float, delay: float) -> datetime:
    """Return when the window after the one of `now` will be known: its end plus `delay` seconds."""
    end = (math.floor((now.timestamp() - delay) / interval) + 1) * interval
    return _at(end + delay)


def since(window: Window, start: datetime) -> Window:
    """Cut off what lies before `start`: calls from before a deployment say nothing about it."""
    return window if start <= window.start else Window(start=start, end=window.end)


def spread(watch_id: str, *, watches: int, per_second: float, interval: float) -> float:
    """Return how many seconds after its window's end a watch is polled, always the same share.

    All windows end together: `watches` polls are spread so that `per_second` fall due a second,
    over half an interval at most.
    """
    share = zlib.crc32(watch_id.encode()) / 2**32
    return share * min(watches / per_second, interval / 2)
