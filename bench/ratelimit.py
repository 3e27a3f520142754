"""The rate limit when it binds: `python -m bench.ratelimit [place|callers|rollbacks|storm …]`.

place: what asking for a place adds to a call.
callers: 20 processes that call as often as they may, with the shared limiter and without.
rollbacks: the time of a rollback alone, and beside 20 processes that poll as often as they may.
storm: many rollbacks at once with a limit far below what they need.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import httpx

from knowngood.embedded.broker import EmbeddedBroker
from knowngood.genesys.purpose import Priority, Purpose
from knowngood.runs.model import Run, RunState
from knowngood.runs.store import connect
from knowngood.sharing.limiter import SharedLimiter
from tests.conftest import make_flow
from tests.stack import Process, Stack, wait_for

CALLERS: Final = 20
WINDOW: Final = 61
"""Seconds after which a place comes free again: whole windows are what is measured."""


def start_callers(stack: Stack, priority: str, flow: str, *more: str) -> list[Process]:
    command = [sys.executable, "-m", "bench.caller", priority, flow, *more]
    return [stack.start(f"caller{number}", command, {}) for number in range(CALLERS)]


def reads(stack: Stack) -> list[Mapping[str, Any]]:
    return [entry for entry in stack.sim.requests() if entry["job"] != "token"]


def line(name: str, *values: str) -> None:
    print(f"{name:<44}" + "".join(f"{value:>16}" for value in values), flush=True)


def place() -> None:
    """What a place below the limit costs a call."""
    rounds = 2_000
    with EmbeddedBroker() as broker:
        limiter = SharedLimiter(connect(broker.url), "client", "https://login", reserved=0.2)
        headers = {"count": "1", "allowed": "1000000", "reset": "60"}
        told = {f"inin-ratelimit-{name}": value for name, value in headers.items()}
        found = []
        for number in range(rounds):
            purpose = Purpose(Priority.ROLLBACK, f"run-{number // 8}", 8)
            began = time.perf_counter()
            limiter.acquire(purpose)
            found.append((time.perf_counter() - began) * 1e6)
            limiter.learn(httpx.Response(200, headers=told), purpose)
    line("a place below the limit, in µs", "median", "5th", "95th")
    line("", *(f"{statistics.quantiles(found, n=20)[at]:.0f}" for at in (9, 0, 18)))


def callers() -> None:
    """How many 429s, and how much of the limit is used."""
    allowed, windows = 600, 2
    line(f"{CALLERS} processes, {allowed} calls a minute", "calls/min", "of the limit", "429")
    with Stack() as limited, Stack() as alone:
        for stack, more in ((limited, ()), (alone, ("alone",))):
            stack.sim.oauth(allowed_per_token=allowed)
            start_callers(stack, "rollback", make_flow(stack), *more)
        for stack in (limited, alone):
            wait_for(lambda s=stack: reads(s), timeout=120, what="the first call")  # type: ignore[misc]
        time.sleep(windows * WINDOW)
        for name, stack, window in (
            ("with the shared limiter", limited, WINDOW),
            # Genesys' own minutes, in which each found the limit by its 429s.
            ("each alone", alone, 60),
        ):
            entries = reads(stack)
            end = entries[0]["time"] + windows * window
            measured = [entry for entry in entries if entry["time"] < end]
            passed = sum(1 for entry in measured if entry["status"] == 200)
            refused = sum(1 for entry in measured if entry["status"] == 429)
            rate = passed / (windows * window) * 60
            line(name, f"{rate:.0f}", f"{rate / allowed:.1%}", str(refused))


def timed(stack: Stack, number: int) -> float:
    flow = make_flow(stack)
    began = time.perf_counter()
    run = stack.rollback(flow, reason=f"bench {number}")
    if run.state is not RunState.SUCCEEDED:
        raise SystemExit(f"rollback {number} is {run.state}: {run.error}")
    return (time.perf_counter() - began) * 1000


def milliseconds(found: Sequence[float]) -> list[str]:
    return [f"{value:.0f}" for value in (statistics.median(found), min(found), max(found))]


def rollbacks() -> None:
    """What a rollback notices of polls that use up all that they may."""
    allowed, rounds = 3000, 40
    line(f"a rollback in ms, {allowed} calls a minute", "median", "min", "max", "polls/min")

    def measure(name: str, stack: Stack, polled: Stack | None = None) -> None:
        seen, began = polled.sim.seq() if polled else 0, time.monotonic()
        found = [timed(stack, number) for number in range(rounds)]
        minutes = (time.monotonic() - began) / 60
        polls = len(polled.sim.requests(since=seen, flow=flow)) / minutes if polled else 0
        line(name, *milliseconds(found), f"{polls:.0f}")

    with Stack() as stack, Stack() as another:
        for each in (stack, another):
            each.sim.oauth(allowed_per_token=allowed)
        stack.worker(queues="rollback")
        for number in range(5):
            timed(stack, number)
        measure("alone", stack)
        # What the polls cost this machine is not what they cost below the limit.
        for name, polled in (("another org", another), ("this org", stack)):
            flow = make_flow(polled)
            callers = start_callers(polled, "poll", flow)
            time.sleep(WINDOW)
            measure(f"beside {CALLERS} processes that poll {name}", stack, polled)
            for caller in callers:
                caller.kill()
        print(f"429 answers: {sum(1 for entry in reads(stack) if entry['status'] == 429)}")


def storm() -> None:
    """How near many rollbacks at once come to what the limit permits."""
    allowed, flows = 1200, 300
    with Stack() as stack:
        stack.sim.oauth(allowed_per_token=allowed)
        for _ in range(2):
            stack.worker(queues="rollback", concurrency=CALLERS // 2)
        stack.beat()
        timed(stack, 0)
        time.sleep(WINDOW)
        chosen = [make_flow(stack) for _ in range(flows)]
        seen = stack.sim.seq()
        began = time.time()
        ids = [stack.client.rollback(flow, "bench").run_id for flow in chosen]
        runs = [stack.ended(run_id, timeout=300) for run_id in ids]
        entries = [entry for entry in stack.sim.requests(since=seen) if entry["job"] != "token"]
        report(runs, entries, began, allowed)


def report(
    runs: Sequence[Run], entries: Sequence[Mapping[str, Any]], began: float, allowed: int
) -> None:
    failed = [run.run_id for run in runs if run.state is not RunState.SUCCEEDED]
    ended = sorted(run.ended.timestamp() - began for run in runs if run.ended)
    restores = [run.restore_seconds for run in runs if run.restore_seconds is not None]
    permitted = len(entries) / allowed * 60
    refused = sum(1 for entry in entries if entry["status"] == 429)
    line(f"{len(runs)} rollbacks at once, {allowed} calls a minute", "")
    line("calls to the API", str(len(entries)))
    line("429 answers", str(refused))
    line("runs that did not succeed", str(len(failed)))
    line("the limit permits the last after", f"{permitted:.0f} s")
    line("the last was restored after", f"{ended[-1]:.0f} s")
    line("half were restored after", f"{statistics.median(ended):.0f} s")
    line("calls a minute, of the limit", f"{permitted / ended[-1]:.1%}")
    line("from lock to live, median", f"{statistics.median(restores):.1f} s")
    line("from lock to live, the longest", f"{max(restores):.1f} s")


PARTS: Final[Mapping[str, Callable[[], None]]] = {
    "place": place,
    "callers": callers,
    "rollbacks": rollbacks,
    "storm": storm,
}


if __name__ == "__main__":
    for chosen in sys.argv[1:] or PARTS:
        PARTS[chosen]()
        print()
