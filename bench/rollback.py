"""A whole rollback against a bare Celery chain of as many no-op tasks, in one run.

Both have one worker process with the same settings; the simulator's latency is zero. Prints
milliseconds from enqueue to end (median, fastest, slowest) and the ratio of the medians.
"""

import statistics
import sys
import time
from collections.abc import Callable

from celery import Celery, chain

from knowngood.runs.model import RunKind, RunState
from knowngood.runs.workflows import STEPS
from tests.conftest import make_flow
from tests.stack import Stack

ROUNDS = 40
TASKS = len(STEPS[RunKind.ROLLBACK]) + 1
"""The steps and the entry task."""


def rollback(stack: Stack, number: int) -> Callable[[], None]:
    flow = make_flow(stack)

    def measured() -> None:
        run = stack.rollback(flow, reason=f"bench {number}")
        if run.state is not RunState.SUCCEEDED:
            raise SystemExit(f"rollback {number} is {run.state}: {run.error}")

    return measured


def bare(stack: Stack, number: int) -> Callable[[], None]:
    app = Celery(broker=stack.env["BROKER_URL"])
    name = f"{number}"

    def measured() -> None:
        steps = [
            app.signature(
                "bare.noop",
                args=[name],
                kwargs={"last": step == TASKS - 1},
                immutable=True,
                queue="rollback",
            )
            for step in range(TASKS)
        ]
        chain(*steps).apply_async()
        stack.client.store.redis.blpop([f"bare:{name}"], timeout=10)

    return measured


def times(make: Callable[[Stack, int], Callable[[], None]], stack: Stack) -> list[float]:
    found = []
    for number in range(ROUNDS + 5):
        measured = make(stack, number)
        began = time.perf_counter()
        measured()
        found.append((time.perf_counter() - began) * 1000)
    # The first ones open connections.
    return found[5:]


def line(name: str, found: list[float]) -> str:
    return f"{name:<34}{statistics.median(found):8.1f}{min(found):8.1f}{max(found):8.1f}"


def main() -> None:
    with Stack() as stack:
        worker = stack.worker(concurrency=1)
        ours = times(rollback, stack)
        worker.stop()
        command = [sys.executable, "-m", "celery", "-A", "bench.bare", "worker"]
        command += ["-Q", "rollback", "-c", "1", "--without-mingle", "--without-gossip"]
        stack.start("bare", command, {})
        floor = times(bare, stack)
    heading = f"ms from enqueue to end, {ROUNDS} rounds"
    print(f"{heading:<34}{'median':>8}{'min':>8}{'max':>8}")
    print(line(f"rollback ({TASKS} tasks, 8 API calls)", ours))
    print(line(f"bare chain ({TASKS} no-op tasks)", floor))
    print(f"ratio of the medians: {statistics.median(ours) / statistics.median(floor):.2f}")


if __name__ == "__main__":
    main()
