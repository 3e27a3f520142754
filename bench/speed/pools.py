"""The ways in which Celery can do several steps at once, for steps that wait for HTTP."""

from dataclasses import dataclass

from bench.speed.installation import Installation
from bench.speed.measuring import Tree
from bench.speed.throughput import LATENCY

WAYS = (
    ("prefork", 8, 1),
    ("prefork", 16, 1),
    ("prefork", 32, 1),
    ("threads", 16, 1),
    ("threads", 8, 2),
    ("gevent", 16, 1),
    ("gevent", 400, 1),
)
"""Pool, slots of each worker, workers."""
SLOW = ("gevent", 16, 1)
"""Is given a sixth of the batch, or it would take minutes."""


@dataclass(frozen=True)
class Pool:
    """A batch of rollbacks by one way; seconds, cores, CPU seconds per run and megabytes."""

    pool: str
    slots: int
    workers: int
    last_live: float
    rate: float
    cores: float
    cpu: float
    memory: float


def measure(batch: int) -> list[Pool]:
    found = []
    for way in WAYS:
        pool, slots, count = way
        size = batch // 6 if way == SLOW else batch
        with Installation(latency=LATENCY) as stack:
            workers = Tree(
                *(stack.rollback_worker(pool=pool, concurrency=slots).pid for _ in range(count))
            )
            stack.restore(stack.flows(min(2 * slots * count, size)))
            flows, cpu = stack.flows(size), workers.cpu()
            restored = stack.restore(flows)
            cpu = workers.cpu() - cpu
            ended = max(restored.ended)
            found.append(
                Pool(
                    pool,
                    slots,
                    count,
                    max(restored.live),
                    size / ended,
                    cpu / ended,
                    cpu / size,
                    workers.memory(),
                )
            )
    return found
