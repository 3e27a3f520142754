"""Many flows rolled back at once: how long until the last is restored, and what it costs."""

from dataclasses import dataclass

from bench.speed.installation import Installation
from bench.speed.measuring import RedisUse, Spread, Tree

LATENCY = 0.05


@dataclass(frozen=True)
class Throughput:
    """One batch. Times in seconds, CPU in seconds, memory in megabytes; the last four per run.

    Cores and memory are those of one worker.
    """

    flows: int
    accepted: float
    last_live: float
    last_ended: float
    run: Spread
    worker_cores: float
    memory_before: float
    memory_after: float
    worker_cpu: float
    calls: float
    redis_commands: float
    redis_bytes: float

    @property
    def rate(self) -> float:
        """Runs per second."""
        return self.flows / self.last_ended


def measure(sizes: tuple[int, ...]) -> list[Throughput]:
    with Installation(latency=LATENCY) as stack:
        workers = Tree(*(worker.pid for worker in stack.rollback_workers()))
        stack.others()
        stack.restore(stack.flows(64))
        return [_batch(stack, workers, size) for size in sizes]


def _batch(stack: Installation, workers: Tree, size: int) -> Throughput:
    flows = stack.flows(size)
    client = stack.client.store.redis
    calls, cpu, memory = sum(stack.sim.counts().values()), workers.cpu(), workers.memory()
    used = RedisUse.of(client)
    restored = stack.restore(flows)
    used = RedisUse.of(client).since(used)
    cpu = workers.cpu() - cpu
    last = max(restored.ended)
    return Throughput(
        flows=size,
        accepted=restored.accepted,
        last_live=max(restored.live),
        last_ended=last,
        run=Spread.of(
            (run.ended - run.created).total_seconds() for run in restored.runs if run.ended
        ),
        worker_cores=cpu / last / workers.size,
        memory_before=memory / workers.size,
        memory_after=workers.memory() / workers.size,
        worker_cpu=cpu / size,
        calls=(sum(stack.sim.counts().values()) - calls) / size,
        redis_commands=used.commands / size,
        redis_bytes=used.bytes / size,
    )
