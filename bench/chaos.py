"""Seeded chaos: faults at random under rollbacks and snapshots, and what the org saw of them.

`python -m bench.chaos --rounds 200 --seed 7` prints its seed, replays the same choices with it, and
ends 1 when an invariant broke or a run was left without an end or an alert.
"""

import argparse
import random
import secrets
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable

import psutil

from knowngood.runs.model import Run, RunKind, RunState
from tests.conftest import make_flow
from tests.stack import DIALECTS, Process, Stack, wait_for

JOBS = ("lock", "history", "activate", "publish", "snapshot")
EFFECTS = (
    {"status": 500},
    {"status": 503},
    {"status": 429, "headers": {"Retry-After": "1"}},
    {"drop": "before"},
    {"drop": "after"},
    {"status": 502, "apply": True},
    {"malformed": True},
    {"wrong_shape": True},
    {"latency": 2.0},
)
NEVER = (
    "publishes_over_anothers_lock",
    "publishes_not_activated",
    "forced_unlocks",
    "snapshots_changed",
)
WAIT = 90.0
POOLS = ("threads", "prefork")
"""One worker of each."""


class Chaos:
    """One installation, the faults injected into it and what came of them."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self.stack = stack
        self.random = random.Random(seed)
        self.injected: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.broken: list[str] = []
        self.recovered: list[float] = []
        self.workers = [self.worker(pool) for pool in POOLS]
        self.beat = stack.beat()
        self.flows: list[str] = []
        self.faults: dict[str, tuple[int, Callable[[], None]]] = {
            "api": (8, self.disturb_api),
            "lock": (2, self.lock),
            "kill worker": (3, self.kill_worker),
            "kill pool process": (3, self.kill_pool_process),
            "freeze worker": (2, self.freeze_worker),
            "duplicate messages": (3, self.duplicate),
            "kill beat": (1, self.kill_beat),
            "restart redis": (1, self.restart_redis),
        }

    def round(self) -> None:
        """Start runs, inject one to three faults into them, and see them end."""
        flows = self.flows = [make_flow(self.stack) for _ in range(self.random.randint(1, 3))]
        names = list(self.faults)
        weights = [weight for weight, _ in self.faults.values()]
        chosen = self.random.choices(names, weights, k=self.random.randint(1, 3))
        # The API's faults wait in the org; the others need something under way.
        for name in sorted(chosen, key=lambda each: each not in {"api", "lock"}):
            if name in {"api", "lock"}:
                self.inject(name)
        runs = []
        for flow in flows:
            kind = self.random.choices([RunKind.ROLLBACK, RunKind.SNAPSHOT], [4, 1])[0]
            reason = {"reason": "chaos"} if kind is RunKind.ROLLBACK else {}
            runs.append(self.stack.client.start(kind, flow_id=flow, **reason).run_id)
        time.sleep(self.random.uniform(0, 0.08))
        began = time.monotonic()
        for name in chosen:
            if name not in {"api", "lock"}:
                self.inject(name)
        self.tend()
        for run_id, flow in zip(runs, flows, strict=True):
            self.judge(run_id, flow)
        self.recovered.append(time.monotonic() - began)
        self.stack.sim.clear_faults()

    def inject(self, name: str) -> None:
        self.injected[name] += 1
        self.faults[name][1]()

    def disturb_api(self) -> None:
        job = self.stack.job(self.random.choice(JOBS))
        match = {"job": job, "flow": self.random.choice(self.flows)}
        times = self.random.randint(1, 3)
        self.stack.sim.fault(dict(self.random.choice(EFFECTS)), match=match, times=times)

    def lock(self) -> None:
        seconds = self.random.choice([0.3, 5.0])
        self.stack.sim.lock(self.random.choice(self.flows), by="Ada", seconds=seconds)

    def kill_worker(self) -> None:
        self.random.choice(self.workers).kill()

    def kill_pool_process(self) -> None:
        forking = self.workers[POOLS.index("prefork")]
        if forking.child.poll() is None:
            for child in psutil.Process(forking.pid).children()[:1]:
                child.kill()

    def freeze_worker(self) -> None:
        worker = self.random.choice(self.workers)
        worker.signal(signal.SIGSTOP)
        # Past the lease: another worker takes its runs over, and then it wakes.
        time.sleep(3)
        worker.signal(signal.SIGCONT)

    def duplicate(self) -> None:
        for run in self.stack.client.store.active(RunKind.ROLLBACK):
            for step in ("activate", "publish"):
                self.stack.client.celery.send_task(
                    f"rollback.{step}",
                    kwargs={"run_id": run.run_id, "token": run.token, "flow": run.flow_name},
                    queue="rollback",
                )

    def kill_beat(self) -> None:
        self.beat.kill()

    def restart_redis(self) -> None:
        self.stack.broker.kill()
        self.stack.broker.restart()
        # A worker that held a message ends over it; give it the time to.
        time.sleep(1)

    def tend(self) -> None:
        """Start again what died, as `up` does."""
        self.workers = [
            worker if worker.child.poll() is None else self.worker(pool)
            for worker, pool in zip(self.workers, POOLS, strict=True)
        ]
        if self.beat.child.poll() is not None:
            self.beat = self.stack.beat()

    def worker(self, pool: str) -> Process:
        return self.stack.worker(concurrency=2, pool=pool)

    def judge(self, run_id: str, flow: str) -> None:
        """See a run to its end and hold what the org saw against the rules."""
        run = self.end_of(run_id)
        if run is None or not run.state.terminal:
            self.broken.append(f"{run_id} did not end within {WAIT:g} s")
            self.ended["none"] += 1
            return
        self.ended[f"{run.kind} {run.state}"] += 1
        if run.state in {RunState.NEEDS_ATTENTION, RunState.FAILED}:
            if not self.stack.client.store.redis.exists(f"kg:alert:{run_id}.end"):
                self.broken.append(f"{run_id} ended {run.state} without an alert")
            return
        if run.kind is RunKind.ROLLBACK and self.stack.sim.live(flow) != "1.0":
            self.broken.append(f"{run_id} succeeded, but 1.0 is not live")
        for job in ("activate", "publish"):
            sent = [e for e in self.stack.sim.requests(flow=flow, job=job) if e["effect"]]
            if len(sent) > 1:
                sends = [(round(e["time"], 2), e["status"], e["duration"]) for e in sent]
                self.broken.append(f"{run_id}: {job} took effect {len(sent)} times: {sends}")
                self.broken.extend(
                    f"  {e.at:%H:%M:%S.%f} {e.event} {e.step} {e.attempt} {e.detail}"
                    for e in self.stack.client.store.journal(run_id)
                )

    def end_of(self, run_id: str) -> Run | None:
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            run = self.stack.client.store.find(run_id)
            if run and run.state.terminal:
                return run
            self.tend()
            time.sleep(0.05)
        return self.stack.client.store.find(run_id)

    def verdict(self) -> list[str]:
        """Return every broken invariant, the org's own counters included."""
        found = self.stack.sim.invariants()
        broken = [f"{name}: {found[name]}" for name in NEVER if found[name]]
        for left in found["flows_left_activated"]:
            told = self.told_of(left["flow"])
            if not told:
                broken.append(f"flow {left['flow']} is activated, not published, and nobody knows")
        return self.broken + broken

    def told_of(self, flow: str) -> bool:
        store = self.stack.client.store
        return any(
            run.flow_id == flow and run.state in {RunState.NEEDS_ATTENTION, RunState.FAILED}
            for run in store.recent(2_000)
        )


def table(chaos: Chaos, rounds: int, seed: int) -> str:
    times = sorted(chaos.recovered)
    late = times[min(int(len(times) * 0.95), len(times) - 1)]
    injected = ", ".join(f"{name} {n}" for name, n in sorted(chaos.injected.items()))
    ended = ", ".join(f"{name} {n}" for name, n in sorted(chaos.ended.items()))
    return "\n".join(
        [
            f"rounds               {rounds} (seed {seed})",
            f"faults injected      {sum(chaos.injected.values())}: {injected}",
            f"runs started         {sum(chaos.ended.values())}",
            f"runs ended           {ended}",
            f"invariants broken    {len(chaos.verdict())}",
            f"time to recover      median {statistics.median(times):.1f} s, 95th {late:.1f} s",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--api", choices=DIALECTS, default="guide")
    given = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    with Stack(api=given.api, aof=True) as stack:
        chaos = Chaos(stack, seed)
        wait_for(stack.client.store.born, what="the reconciler")
        for number in range(given.rounds):
            chaos.round()
            if chaos.broken or (number + 1) % 20 == 0:
                print(f"round {number + 1}: {len(chaos.broken)} broken", flush=True)
            if chaos.broken:
                break
        print(table(chaos, number + 1, seed))
        broken = chaos.verdict()
    for each in broken:
        print(f"BROKEN {each}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
