"""The same seven-step job on other engines, side by side: one at a time, and many at once.

Every engine has 16 slots, split over as many processes as its documentation advises or as suits it
better. Only one engine runs at a time. The CPU is that of the whole machine: clients,
workers, broker, database and org.
"""

import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, Self, cast

import psycopg
import redis

from bench.speed.installation import Installation
from bench.speed.measuring import Spread, Tree, machine_cpu
from bench.speed.throughput import LATENCY
from tests.stack import Process

SLOTS = 16
PROCESSES = 2
POSTGRES = "postgresql://127.0.0.1:5432"


@dataclass(frozen=True)
class Sample:
    """One pass of one engine: latencies of single jobs in seconds, and rate and CPU of many."""

    engine: str
    durable: bool
    noop: list[float]
    calls: list[float]
    noop_rate: float
    noop_cpu: float
    calls_rate: float
    calls_cpu: float
    memory: float


@dataclass(frozen=True)
class Figures:
    """One engine's over all passes."""

    engine: str
    durable: bool
    noop: Spread
    calls: Spread
    noop_rate: float
    noop_cpu: float
    calls_rate: float
    calls_cpu: float
    memory: float

    @classmethod
    def of(cls, passes: Sequence[Sample]) -> Self:
        """Put the samples of one engine together."""

        def middle(name: str) -> float:
            return statistics.median(getattr(each, name) for each in passes)

        return cls(
            passes[0].engine,
            passes[0].durable,
            Spread.of(seconds for each in passes for seconds in each.noop),
            Spread.of(seconds for each in passes for seconds in each.calls),
            *(middle(name) for name in ("noop_rate", "noop_cpu", "calls_rate", "calls_cpu")),
            middle("memory"),
        )


class Engine(Protocol):
    """One engine, its workers running."""

    name: str
    durable: bool
    workers: list[Process]

    def one(self, flow: str) -> float:
        """Do one job; return its seconds from enqueue to end."""
        ...

    def many(self, flows: Sequence[str]) -> float:
        """Do jobs at once; return the seconds until the last has ended."""
        ...


class KnownGood:
    """This one: workers as `up` starts them, which do nothing in their steps when `noop`."""

    durable = True

    def __init__(self, stack: Installation, name: str, *, noop: bool) -> None:
        self.name = name
        self.stack = stack
        module = "bench.speed.apps.noop_app" if noop else "workers.app"
        command = [sys.executable, "-m", "celery", "-A", module, "worker", "-Q", "rollback"]
        command += ["-c", str(SLOTS // PROCESSES), "-l", "INFO"]
        command += ["--without-gossip", "--without-mingle"]
        self.workers = []
        for number in range(PROCESSES):
            worker = stack.start("worker", [*command, "-n", f"{module}{number}@bench"], settings={})
            stack.await_line(worker, " ready.")
            self.workers.append(worker)

    def one(self, flow: str) -> float:
        return self.stack.restore([flow]).ended[0]

    def many(self, flows: Sequence[str]) -> float:
        return max(self.stack.restore(flows).ended)


class Peer:
    """An engine whose last step names its flow in a Redis list."""

    def __init__(
        self,
        stack: Installation,
        name: str,
        submit: Callable[[str], None],
        workers: list[Process],
        *,
        durable: bool = False,
    ) -> None:
        self.name = name
        self.durable = durable
        self.submit = submit
        self.workers = workers
        self._redis = redis.Redis.from_url(stack.broker.url, socket_timeout=None)

    def one(self, flow: str) -> float:
        return self.many([flow])

    def many(self, flows: Sequence[str]) -> float:
        began = time.perf_counter()
        for flow in flows:
            self.submit(flow)
        for _ in flows:
            if self._redis.blpop(["bench:done"], timeout=60) is None:
                raise SystemExit(f"{self.name} did not do its jobs")
        return time.perf_counter() - began


def measure(passes: int, rounds: int, batch: int) -> list[Figures]:
    """Measure all engines in turn, `passes` times: what slows the machine down is shared out."""
    found: dict[str, list[Sample]] = {}
    with Installation() as shared:
        # The peers' modules read them when they are first imported.
        os.environ.update({"BENCH_ORG": shared.sim.base_url, "BENCH_REDIS": shared.broker.url})
        for _ in range(passes):
            ours = [_ours(rounds, batch, aof=True), _ours(rounds, batch, aof=False)]
            for each in (*ours, *_peers(shared, rounds, batch)):
                found.setdefault(each.engine, []).append(each)
    return [Figures.of(samples) for samples in found.values()]


def _ours(rounds: int, batch: int, *, aof: bool) -> Sample:
    name = "knowngood" + ("" if aof else ", Redis without fsync")
    with Installation(aof=aof) as stack:
        idle = KnownGood(stack, name, noop=True)
        noop = _latency(idle, stack, rounds, noop=True)
        noop_rate, noop_cpu = _rate(idle, stack, batch, noop=True)
        for worker in idle.workers:
            worker.kill()
        engine = KnownGood(stack, name, noop=False)
        return _sample(engine, stack, rounds, batch, noop, noop_rate, noop_cpu)


def _peers(stack: Installation, rounds: int, batch: int) -> Iterator[Sample]:
    for start in (_celery, _dramatiq, _huey, _dbos_queue, _dbos_direct):
        with start(stack) as engine:
            noop = _latency(engine, stack, rounds, noop=True)
            noop_rate, noop_cpu = _rate(engine, stack, batch, noop=True)
            yield _sample(engine, stack, rounds, batch, noop, noop_rate, noop_cpu)
        for worker in engine.workers:
            worker.kill()


def _sample(
    engine: Engine,
    stack: Installation,
    rounds: int,
    batch: int,
    noop: list[float],
    noop_rate: float,
    noop_cpu: float,
) -> Sample:
    calls = _latency(engine, stack, rounds, noop=False)
    stack.delay(LATENCY)
    calls_rate, calls_cpu = _rate(engine, stack, batch, noop=False)
    stack.delay(0)
    return Sample(
        engine.name,
        engine.durable,
        noop,
        calls,
        noop_rate,
        noop_cpu,
        calls_rate,
        calls_cpu,
        Tree(*(worker.pid for worker in engine.workers)).memory(),
    )


def _latency(engine: Engine, stack: Installation, rounds: int, *, noop: bool) -> list[float]:
    flows = _flows(stack, rounds + 2 * SLOTS, noop=noop and isinstance(engine, Peer))
    engine.many(flows[: 2 * SLOTS])
    return [engine.one(flow) for flow in flows[2 * SLOTS :]]


def _rate(engine: Engine, stack: Installation, batch: int, *, noop: bool) -> tuple[float, float]:
    flows = _flows(stack, batch, noop=noop and isinstance(engine, Peer))
    cpu = machine_cpu()
    seconds = engine.many(flows)
    return batch / seconds, (machine_cpu() - cpu) / batch


def _flows(stack: Installation, count: int, *, noop: bool) -> list[str]:
    return [f"noop-{number}" for number in range(count)] if noop else stack.flows(count)


def _submit_of(module: str) -> Callable[[str], None]:
    # Imported when the broker that it connects to is known.
    found = importlib.import_module(f"bench.speed.apps.{module}")
    return cast("Callable[[str], None]", found.submit)


@contextmanager
def _celery(stack: Installation) -> Iterator[Engine]:
    command = [sys.executable, "-m", "celery", "-A", "bench.speed.apps.celery_app", "worker"]
    worker = stack.start("celery", [*command, "-c", str(SLOTS), "-l", "INFO"], settings={})
    stack.await_line(worker, " ready.")
    yield Peer(stack, "Celery chain", _submit_of("celery_app"), [worker])


@contextmanager
def _dramatiq(stack: Installation) -> Iterator[Engine]:
    command = [sys.executable, "-m", "dramatiq", "bench.speed.apps.dramatiq_app"]
    command += ["-p", str(PROCESSES), "-t", str(SLOTS // PROCESSES)]
    worker = stack.start("dramatiq", command, settings={})
    stack.await_line(worker, "is ready for action")
    yield Peer(stack, "Dramatiq pipeline", _submit_of("dramatiq_app"), [worker])


@contextmanager
def _huey(stack: Installation) -> Iterator[Engine]:
    command = [sys.executable, "-m", "huey.bin.huey_consumer", "bench.speed.apps.huey_app.huey"]
    worker = stack.start("huey", [*command, "-k", "process", "-w", str(SLOTS)], settings={})
    stack.await_line(worker, "Huey consumer started")
    yield Peer(stack, "Huey pipeline", _submit_of("huey_app"), [worker])


@contextmanager
def _dbos_queue(stack: Installation) -> Iterator[Engine]:
    from bench.speed.apps.dbos_app import Submitter  # noqa: PLC0415 - slow to import

    with _database(stack) as (kind, url):
        workers = _dbos_workers(stack)
        submitter = Submitter(url)
        try:
            name = f"DBOS queue, {kind}"
            yield Peer(stack, name, submitter.enqueue, workers, durable=True)
        finally:
            submitter.close()
            for worker in workers:
                worker.kill()


@contextmanager
def _dbos_direct(stack: Installation) -> Iterator[Engine]:
    client = redis.Redis.from_url(stack.broker.url)
    with _database(stack) as (kind, _):
        workers = _dbos_workers(stack)

        def push(flow: str) -> None:
            client.lpush("bench:start", flow)

        try:
            yield Peer(stack, f"DBOS in its own process, {kind}", push, workers, durable=True)
        finally:
            for worker in workers:
                worker.kill()


def _dbos_workers(stack: Installation) -> list[Process]:
    workers = []
    for number in range(PROCESSES):
        command = [sys.executable, "-m", "bench.speed.apps.dbos_app", f"bench-{number}"]
        worker = stack.start("dbos", [*command, str(SLOTS // PROCESSES)], settings={})
        stack.await_line(worker, "dbos ready.")
        workers.append(worker)
    return workers


@contextmanager
def _database(stack: Installation) -> Iterator[tuple[str, str]]:
    """Make a database for DBOS: PostgreSQL where one answers, else SQLite; yield kind and URL."""
    name = f"knowngood_bench_{os.getpid()}"
    with ExitStack() as cleaning:
        try:
            server: psycopg.Connection[Any] = cleaning.enter_context(
                psycopg.connect(f"{POSTGRES}/postgres", autocommit=True, connect_timeout=2)
            )
        except psycopg.OperationalError:
            kind, url = "SQLite", f"sqlite:///{stack.directory / 'dbos.sqlite'}"
        else:
            server.execute(f'CREATE DATABASE "{name}"')
            cleaning.callback(server.execute, f'DROP DATABASE "{name}" WITH (FORCE)')
            kind, url = "PostgreSQL", f"{POSTGRES}/{name}"
        os.environ["BENCH_DATABASE"] = url
        yield kind, url
