"""An installation with the settings of production, its workers started as `knowngood up` does."""

import time
from collections.abc import Sequence
from datetime import datetime

from knowngood.cli import programs
from knowngood.cli.installation import rollback_workers
from knowngood.runs.model import Run, RunState
from knowngood.settings import Settings
from tests.conftest import make_flow
from tests.stack import QUICK, Process, Stack

PRODUCTION = {name: str(Settings.model_fields[name.lower()].default) for name in QUICK}


class Installation(Stack):
    """A broker, an org that answers after `latency` seconds, and workers for rollbacks."""

    def __init__(self, *, latency: float = 0.0, aof: bool = False, **more: str) -> None:
        super().__init__(aof=aof, **PRODUCTION, **more)
        self.delay(latency)

    def delay(self, latency: float) -> None:
        """Let each call of the API take so many seconds from now on."""
        self.sim.settings(latency=latency)

    def rollback_worker(
        self, *, pool: str | None = None, concurrency: int | None = None
    ) -> Process:
        """Start the worker that takes rollbacks; the defaults are those of `up`."""
        number = len(self.processes)
        program = programs.worker(
            self.client.celery, f"rollback{number}", "rollback", {}, concurrency
        )
        # gevent is no setting, and patches Python's sockets only when the command line names it.
        command = [*program.command, *(["-P", pool] if pool == "gevent" else [])]
        chosen = {"WORKER_POOL": pool} if pool and pool != "gevent" else {}
        process = self.start(program.name, command, settings=chosen)
        self.await_line(process, " ready.")
        return process

    def rollback_workers(self) -> list[Process]:
        """Start as many workers for rollbacks as `up` does."""
        return [self.rollback_worker() for _ in rollback_workers()]

    def others(self) -> None:
        """Start what stands beside it: the worker of the other queues, and beat."""
        program = programs.worker(self.client.celery, "rest", "deployment,health,alerts", {}, 2)
        self.await_line(self.start(program.name, list(program.command), settings={}), " ready.")
        self.beat()

    def flows(self, count: int) -> list[str]:
        """Make broken flows."""
        return [make_flow(self) for _ in range(count)]

    def restore(self, flows: Sequence[str]) -> "Restored":
        """Roll flows back at once and return what came of it.

        Raises:
            SystemExit: one of them was not restored.
        """
        began = time.time()
        ids = [self.client.rollback(flow, "bench").run_id for flow in flows]
        accepted = time.time()
        pause = 0.002 if len(flows) == 1 else 0.02
        while self.client.store.redis.zcard("kg:runs:active"):
            time.sleep(pause)
        runs = list(self.client.store.many(ids).values())
        for run in runs:
            if run.state is not RunState.SUCCEEDED or run.outcome != "restored":
                raise SystemExit(f"rollback {run.run_id} is {run.state} {run.outcome}: {run.error}")
        return Restored(began, accepted, runs)


class Restored:
    """Runs that succeeded. Times are seconds since the first was asked for.

    The journal's clock is this machine's, so that nobody has to watch while they are measured.
    """

    def __init__(self, began: float, accepted: float, runs: Sequence[Run]) -> None:
        self.runs = runs
        self.accepted = accepted - began
        self.ended = [_since(began, run.ended) for run in runs]
        self._began = began

    @property
    def live(self) -> list[float]:
        """When callers heard the good version again."""
        return [_since(self._began, run.restored_at) for run in self.runs]


def _since(began: float, moment: datetime | None) -> float:
    if moment is None:
        raise SystemExit("a run that succeeded has no time")
    return moment.timestamp() - began
