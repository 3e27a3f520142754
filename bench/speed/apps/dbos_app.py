"""The job as a DBOS workflow: `python -m bench.speed.apps.dbos_app NAME SLOTS`.

The process takes workflows from a DBOS queue, and starts those itself whose flows are pushed to a
Redis list. DBOS polls a queue every second by default; here every 10 ms.
"""

import os
import sys

import redis
from dbos import DBOS, DBOSClient

from bench.speed.calls import STEPS, do

QUEUE = "jobs"
_redis = redis.Redis.from_url(os.environ["BENCH_REDIS"], socket_timeout=None)


@DBOS.step()
def step(number: int, flow: str) -> None:
    do(number, flow)


@DBOS.workflow()
def job(flow: str) -> None:
    for number in range(STEPS):
        step(number, flow)
    _redis.lpush("bench:done", flow)


class Submitter:
    """Enqueues workflows from another process."""

    def __init__(self, database: str) -> None:
        self._client = DBOSClient(system_database_url=database)

    def enqueue(self, flow: str) -> None:
        self._client.enqueue({"queue_name": QUEUE, "workflow_name": job.__qualname__}, flow)

    def close(self) -> None:
        self._client.destroy()


def main() -> None:
    name, slots = sys.argv[1], int(sys.argv[2])
    DBOS(
        config={
            "name": "bench",
            "system_database_url": os.environ["BENCH_DATABASE"],
            "executor_id": name,
            "log_level": "ERROR",
            "max_executor_threads": slots,
        }
    )
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=slots, polling_interval_sec=0.01)
    print("dbos ready.", flush=True)
    while True:
        popped = _redis.blpop(["bench:start"], timeout=0)
        if popped is not None:
            DBOS.start_workflow(job, popped[1].decode())  # type: ignore[index]


if __name__ == "__main__":
    main()
