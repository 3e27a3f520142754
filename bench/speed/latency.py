"""One rollback at a time, beside its floor, a bare chain and a script, at several API latencies."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from celery import Celery, chain

from bench.speed.calls import Calls, steps
from bench.speed.installation import Installation
from bench.speed.measuring import Spread, ratios
from knowngood.runs.model import RunKind
from knowngood.runs.workflows import STEPS
from tests.stack import ROOT

LATENCIES = (0.0, 0.02, 0.1)
TASKS = len(STEPS[RunKind.ROLLBACK]) + 1
"""The steps and the entry task."""
WARM_UP = 24
"""Rollbacks that are not measured: each pool process opens its connections first."""


@dataclass(frozen=True)
class Latency:
    """What was measured at one API latency; times in seconds."""

    latency: float
    rollback: Spread
    floor: Spread
    chain: Spread
    script: Spread
    to_floor: Spread
    to_chain: Spread
    to_script: Spread


def measure(rounds: int) -> list[Latency]:
    with Installation() as stack:
        stack.rollback_worker()
        bare = _bare(stack)
        for flow in stack.flows(WARM_UP):
            stack.restore([flow])
            bare(flow)
        return [_at(latency, stack, bare, rounds) for latency in LATENCIES]


def _at(latency: float, stack: Installation, bare: Callable[[str], float], rounds: int) -> Latency:
    stack.delay(latency)
    org = Calls(stack.sim.base_url)
    found: dict[str, list[float]] = {"rollback": [], "floor": [], "chain": [], "script": []}
    for number in range(rounds + 1):
        mine, floors, scripts = stack.flows(3)
        sample = {
            "rollback": stack.restore([mine]).ended[0],
            "floor": _timed(lambda flow=floors: [step(flow) for step in steps(org)]),  # type: ignore[misc]
            "chain": bare(mine),
            "script": _script(stack.sim.base_url, scripts),
        }
        if number:
            for name, seconds in sample.items():
                found[name].append(seconds)
    ours = found["rollback"]
    return Latency(
        latency,
        *(Spread.of(found[name]) for name in found),
        *(ratios(ours, found[name]) for name in list(found)[1:]),
    )


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _script(org: str, flow: str) -> float:
    command = [sys.executable, "-m", "bench.speed.script", org, flow]
    return _timed(lambda: subprocess.run(command, cwd=ROOT, check=True))


def _bare(stack: Installation) -> Callable[[str], float]:
    """Start a worker for no-op tasks, with a database of its own on the same server."""
    broker = stack.broker.url.removesuffix("0") + "1"
    command = [sys.executable, "-m", "celery", "-A", "bench.bare", "worker", "-Q", "rollback"]
    command += ["-n", "bare@bench", "-l", "INFO", "--without-mingle", "--without-gossip"]
    stack.await_line(stack.start("bare", command, {"BROKER_URL": broker}), " ready.")
    app, redis = Celery(broker=broker), stack.client.store.redis

    def measured(name: str) -> float:
        tasks = [
            app.signature(
                "bare.noop",
                args=[name],
                kwargs={"last": number == TASKS - 1},
                immutable=True,
                queue="rollback",
            )
            for number in range(TASKS)
        ]
        began = time.perf_counter()
        chain(*tasks).apply_async()
        if redis.blpop([f"bare:{name}"], timeout=30) is None:
            raise SystemExit("the bare chain did not end")
        return time.perf_counter() - began

    return measured
