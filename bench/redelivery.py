"""How long a message that a killed worker held stays away, against the reconciler's time.

A Redis broker gives such messages back only after the visibility timeout: it is set to 10 s here so
that nobody waits for the hour of production. Prints seconds from kill -9 to the next begin.
"""

import sys
import time

from celery import Celery
from redis import Redis

from tests.conftest import make_flow
from tests.stack import Process, Stack, wait_for

VISIBILITY = 10


def bare_worker(stack: Stack, number: int) -> Process:
    command = [sys.executable, "-m", "celery", "-A", "bench.bare", "worker", "-Q", "rollback"]
    command += ["-c", "1", "-n", f"bare{number}@bench", "--without-mingle", "--without-gossip"]
    process = stack.start(f"bare{number}", [*command, "-l", "INFO"], {})
    wait_for(lambda: " ready." in process.log.read_text(), what="the worker")
    return process


def after_kill(stack: Stack, *, countdown: float | None) -> float:
    """Kill a worker that holds a message (or waits with it) and see it begun elsewhere."""
    app = Celery(broker=stack.env["BROKER_URL"])
    redis = Redis.from_url(stack.broker.url, socket_timeout=None)
    first = bare_worker(stack, 1)
    task = "bare.hold" if countdown is None else "bare.noop"
    name = f"{task}.{countdown}"
    kwargs = {} if countdown is None else {"last": True}
    app.send_task(task, args=[name], kwargs=kwargs, queue="rollback", countdown=countdown)
    if countdown is None:
        redis.blpop([f"bare:{name}"], timeout=20)
    else:
        wait_for(lambda: "received" in first.log.read_text(), what="the waiting message")
    first.kill()
    killed = time.monotonic()
    second = bare_worker(stack, 2)
    if redis.blpop([f"bare:{name}"], timeout=120) is None:
        raise SystemExit("the message did not come back")
    taken = time.monotonic() - killed
    second.kill()
    return taken


def reconciled(stack: Stack) -> float:
    """Kill a worker inside a step and see the run taken over, with the production's lease."""
    settings = {"LEASE_TTL": "6", "RECONCILE_INTERVAL": "2"}
    worker = stack.worker(concurrency=1, **settings)
    stack.beat(**settings)
    flow = make_flow(stack)
    fault = stack.sim.fault({"pause": "before"}, match={"job": "publish", "flow": flow})
    run_id = stack.client.rollback(flow, "bench").run_id
    stack.sim.wait_holding(fault)
    stack.worker(concurrency=1, **settings)
    worker.kill()
    killed = time.monotonic()
    stack.sim.remove_fault(fault)
    stack.ended(run_id)
    return time.monotonic() - killed


def main() -> None:
    with Stack(VISIBILITY_TIMEOUT=str(VISIBILITY)) as stack:
        held = after_kill(stack, countdown=None)
        waiting = after_kill(stack, countdown=2.0)
    with Stack() as stack:
        taken = reconciled(stack)
    print(f"seconds from kill -9 to the next begin, visibility timeout {VISIBILITY} s")
    print(f"a message under way    {held:6.1f}")
    print(f"a message that waits   {waiting:6.1f}")
    print(f"the reconciler, to the run's end, visibility timeout 3600 s {taken:6.1f}")


if __name__ == "__main__":
    main()
