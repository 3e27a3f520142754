"""Every API request the simulator was sent, so that a test can prove what was and was not."""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Entry:
    """One request; `status` is None while it is unanswered, and stays so if it was dropped.

    `flow` is None where a query asks for several; `flows` are all of them.
    """

    seq: int
    time: float
    job: str
    dialect: str
    method: str
    path: str
    query: dict[str, str]
    flow: str | None
    correlation_id: str
    version: str | None = None
    body: Any = None
    client: str | None = None
    status: int | None = None
    effect: bool = False
    dropped: bool = False
    fault: str | None = None
    flows: tuple[str, ...] = ()
    duration: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The entry for the control API; times in epoch seconds and seconds."""
        return {name: getattr(self, name) for name in self.__slots__}


class Ledger:
    """A bounded log with sequence numbers that never repeat."""

    def __init__(self, limit: int = 200_000) -> None:
        self._entries: deque[Entry] = deque(maxlen=limit)
        self.seq = 0
        self.jobs: Counter[str] = Counter()

    def append(self, entry: Entry) -> None:
        """Number a request and keep it."""
        self.seq += 1
        entry.seq = self.seq
        self._entries.append(entry)
        self.jobs[entry.job] += 1

    def resize(self, limit: int) -> None:
        """Keep at most this many requests from now on."""
        self._entries = deque(self._entries, maxlen=limit)

    def clear(self) -> None:
        """Forget all requests; numbers go on."""
        self._entries.clear()
        self.jobs.clear()

    def select(
        self,
        *,
        since: int = 0,
        job: str | None = None,
        flow: str | None = None,
        limit: int | None = None,
    ) -> list[Entry]:
        """Requests numbered above `since`, oldest first."""
        found: list[Entry] = []
        for entry in reversed(self._entries):
            if entry.seq <= since:
                break
            if job in (None, entry.job) and flow in (None, entry.flow):
                found.append(entry)
        found.reverse()
        return found if limit is None else found[:limit]
