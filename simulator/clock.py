"""The org's clock: wall time plus an offset that tests move instead of sleeping."""

import re
import time
from datetime import UTC, datetime

_ISO_DURATION = re.compile(
    r"^P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?$"
)


class Clock:
    """Epoch seconds that can be moved forward or back."""

    __slots__ = ("offset",)

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> float:
        """Epoch seconds as the org sees them."""
        return time.time() + self.offset


def to_iso(epoch: float) -> str:
    """ISO 8601 in UTC with milliseconds, as Genesys Cloud writes dates."""
    moment = datetime.fromtimestamp(epoch, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def from_iso(text: str) -> float:
    """Epoch seconds of an ISO 8601 date; one without a zone is UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def duration_seconds(text: str) -> int:
    """Seconds of an ISO 8601 duration such as PT5M or P1D."""
    found = _ISO_DURATION.match(text)
    seconds = 0
    if found:
        parts = {name: int(value or 0) for name, value in found.groupdict().items()}
        seconds = (
            parts["days"] * 86400 + parts["hours"] * 3600 + parts["minutes"] * 60 + parts["seconds"]
        )
    if seconds <= 0:
        raise ValueError(f"not an ISO 8601 duration: {text!r}")
    return seconds
