"""Many callers under one limit, in a time of their own: what each does next waits in a heap."""

import bisect
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from knowngood.errors import RateLimited
from knowngood.genesys.purpose import Priority, Purpose
from knowngood.sharing.limiter import SharedLimiter

START = 1_800_000_000.0
Then = Callable[[], None]


def limiter(redis: Any, clock: Callable[[], float], **more: Any) -> SharedLimiter:
    given = {"reserved": 0.2, **more}
    return SharedLimiter(redis, given.pop("client_id", "c"), "https://login", clock=clock, **given)


def answer(count: int, allowed: int, reset: int, status: int = 200, **body: Any) -> httpx.Response:
    """What Genesys answers, with the headers that tell of the limit."""
    told = {"count": count, "allowed": allowed, "reset": reset}
    headers = {f"inin-ratelimit-{name}": str(value) for name, value in told.items()}
    if status == 429:
        headers["retry-after"] = str(reset)
    return httpx.Response(status, headers=headers, json=body)


@dataclass
class Org:
    """Counts requests in minutes that begin with the first one, as the simulator does."""

    allowed: int
    began: float = 0.0
    count: int = 0
    refused: int = 0
    arrivals: list[float] = field(default_factory=list)

    def arrive(self, now: float) -> httpx.Response:
        if now - self.began >= 60:
            self.began, self.count = now, 0
        self.count += 1
        self.arrivals.append(now - START)
        status = 429 if self.count > self.allowed else 200
        self.refused += status == 429
        return answer(self.count, self.allowed, max(1, round(self.began + 60 - now)), status)

    def busiest(self, seconds: float) -> int:
        """Most arrivals in any time as long as this."""
        times = self.arrivals
        return max(
            number - bisect.bisect_right(times, at - seconds) + 1 for number, at in enumerate(times)
        )


class Storm:
    """Runs and polls that share a limiter; each call takes about 0.1 s."""

    def __init__(self, redis: Any, *, allowed: int, seed: int = 1, expected: int = 8) -> None:
        self.now = START
        self.org = Org(allowed)
        self.limiter = limiter(redis, lambda: self.now)
        self.random = random.Random(seed)
        self.expected = expected
        self.finished: dict[int, float] = {}
        self.asked: list[float] = []
        self.polls = 0
        self._heap: list[tuple[float, int, Then]] = []
        self._order = count()

    def at(self, seconds: float, then: Then) -> None:
        """Do something so many seconds from now."""
        heapq.heappush(self._heap, (self.now + seconds, next(self._order), then))

    def go_on(self, until: Callable[[], bool]) -> None:
        while not until():
            self.now, _, then = heapq.heappop(self._heap)
            then()

    def call(self, chosen: Purpose, done: Then, held: Callable[[float], None]) -> None:
        self.asked.append(self.now - START)
        try:
            self.limiter.acquire(chosen)
        except RateLimited as error:
            held(error.retry_after or 0)
            return

        def arrives() -> None:
            told = self.org.arrive(self.now)
            self.limiter.learn(told, chosen)
            if told.status_code == 429:
                held(float(told.headers["retry-after"]))
            else:
                self.at(0.05, done)

        self.at(self.random.uniform(0.02, 0.08), arrives)

    def run(self, number: int, calls: int, made: int = 0) -> None:
        """Make a run's calls one after the other; come back when told."""
        begun = made > 0
        chosen = Purpose(Priority.ROLLBACK, f"run-{number}", 3 if begun else self.expected, begun)

        def done() -> None:
            if made + 1 == calls:
                self.finished[number] = self.now - START
            else:
                self.run(number, calls, made + 1)

        self.call(chosen, done, lambda wait: self.at(wait, lambda: self.run(number, calls, made)))

    def poll(self) -> None:
        """Poll for ever, as fast as it may."""

        def done() -> None:
            self.polls += 1
            self.poll()

        self.call(Purpose(Priority.POLL), done, lambda wait: self.at(wait, self.poll))
