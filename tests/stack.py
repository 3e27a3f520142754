"""Real processes to test against: broker, simulator, worker and beat, each killable."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic_settings import SettingsConfigDict

from knowngood.client import Client
from knowngood.embedded.broker import EmbeddedBroker
from knowngood.embedded.parentage import ending_with_parent
from knowngood.runs.model import Run, RunKind
from knowngood.settings import Settings
from knowngood.snapshots.registry import SnapshotRegistry
from knowngood.snapshots.store import open_store
from simulator.client import SimulatorControl

T = TypeVar("T")
ROOT = Path(__file__).parent.parent

QUICK = {
    "LOCK_RETRY_DELAY": "0.3",
    "SNAPSHOT_RETRY_DELAY": "0.2",
    "POLL_INTERVAL": "0.05",
    "POLL_INTERVAL_MAX": "0.3",
    "API_RETRY_DELAY": "0.05",
    "API_RETRY_DELAY_MAX": "0.5",
    "RECONCILE_INTERVAL": "0.5",
    "LEASE_TTL": "2",
    "GENESYS_CONNECT_TIMEOUT": "1",
    "GENESYS_READ_TIMEOUT": "3",
}
"""The waits of production, shortened alike; everything else is the default."""


SMOKE_TEST = "/outside/testcall?flow={flow_id}&version={version_id}"


DIALECTS = ("guide", "platform")

_JOBS = {
    "guide": {"lock": "read_lock", "history": "read_flow", "snapshot": "snapshot"},
    "platform": {
        "lock": "read_flow",
        "history": "list_versions",
        "snapshot": "read_configuration",
        "activate": "read_version",
    },
}
"""The org's name for the call that a dialect does a job with, where it is another."""

_WRITES = {"guide": ("activate", "publish"), "platform": ("publish",)}


class _NoDotEnv(Settings):
    model_config = SettingsConfigDict(env_prefix="KNOWNGOOD_", env_file=None, frozen=True)


def wait_for(ask: Callable[[], T | None], *, timeout: float = 20, what: str = "the condition") -> T:
    """Ask until there is a truthy answer; the deadline is a failure, not a measurement."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.02)
    raise TimeoutError(f"{what} did not come true within {timeout} s")


class Process:
    """A child in a process group of its own, its output in a file."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as out:
            self.child = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(env),
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=ending_with_parent(),  # noqa: PLW1509
            )

    @property
    def pid(self) -> int:
        return self.child.pid

    def signal(self, number: int) -> None:
        """Send a signal to the whole group, pool processes included."""
        try:
            os.killpg(self.child.pid, number)
        except ProcessLookupError:
            return

    def kill(self) -> None:
        """End the group as the kernel would when memory runs out."""
        self.signal(signal.SIGKILL)
        self.child.wait(10)

    def stop(self, timeout: float = 15) -> int:
        """Ask for a warm shutdown; kill what does not follow."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        self.signal(signal.SIGKILL)
        return self.child.returncode

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Stack:
    """One installation: its broker, its org, its settings and its processes."""

    def __init__(
        self, *, api: str = "guide", aof: bool = False, broker_url: str | None = None, **more: str
    ) -> None:
        self.api = api
        self.directory = Path(tempfile.mkdtemp(prefix="knowngood-test-"))
        self.broker = EmbeddedBroker(aof=aof)
        self.processes: list[Process] = []
        self.simulator = self.start(
            "simulator", [sys.executable, "-m", "simulator", "--port", "0"], settings=None
        )
        self.sim = SimulatorControl(wait_for(self._simulator_url, what="the simulator"))
        self.env = {
            "BROKER_URL": broker_url or self.broker.url,
            "REDIS_URL": self.broker.url,
            "ARTIFACTS_URL": (self.directory / "artifacts").as_uri(),
            "GENESYS_API": api,
            "GENESYS_CALLERS": '{"*": {"inside": true}}',
            "GENESYS_BASE_URL": self.sim.base_url,
            "GENESYS_LOGIN_URL": self.sim.base_url,
            "SMOKE_TEST_URL": self.sim.base_url + SMOKE_TEST,
            "GENESYS_CLIENT_ID": "simulator",
            "GENESYS_CLIENT_SECRET": "simulator",
            **QUICK,
            **more,
        }
        self.client = Client(self.settings())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def settings(self) -> Settings:
        """Return this stack's settings as an object."""
        values: dict[str, Any] = {name.lower(): value for name, value in self.env.items()}
        return _NoDotEnv(**values)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of this stack's processes."""
        given = {f"KNOWNGOOD_{name}": value for name, value in {**self.env, **more}.items()}
        kept = {name: value for name, value in os.environ.items() if "KNOWNGOOD" not in name}
        return {**kept, **given, "PYTHONUNBUFFERED": "1"}

    def start(self, name: str, command: list[str], settings: Mapping[str, str] | None) -> Process:
        """Start a process of this stack, with its settings unless they are None."""
        log = self.directory / f"{name}-{len(self.processes)}.log"
        env = os.environ if settings is None else self.environment(**settings)
        process = Process(name, command, env, log)
        self.processes.append(process)
        return process

    def worker(
        self,
        *,
        queues: str = "rollback,deployment,health,alerts",
        concurrency: int = 2,
        pool: str | None = None,
        **settings: str,
    ) -> Process:
        """Start a worker and return once it takes messages."""
        name = f"worker{len(self.processes)}"
        command = [sys.executable, "-m", "celery", "-A", "workers.app", "worker"]
        command += ["-Q", queues, "-c", str(concurrency), "-n", f"{name}@test"]
        command += ["-l", "INFO", "--without-mingle", "--without-gossip"]
        # Not by `-P`: Celery takes a `-P prefork` for its own default, and the setting before it.
        more = {"WORKER_POOL": pool} if pool else {}
        process = self.start(name, command, {**settings, **more})
        self.await_line(process, " ready.")
        return process

    def beat(self, **settings: str) -> Process:
        """Start beat and return once it has begun."""
        command = [sys.executable, "-m", "celery", "-A", "workers.app", "beat", "-l", "INFO"]
        process = self.start("beat", command, settings)
        self.await_line(process, "beat: Starting")
        return process

    def running(self, **worker: Any) -> Self:
        """Start one worker and beat."""
        self.worker(**worker)
        self.beat()
        return self

    def rollback(self, flow_id: str, *, timeout: float = 30, **more: Any) -> Run:
        """Roll a flow back and return the run once it has ended."""
        run_id = self.client.rollback(flow_id, more.pop("reason", "a test"), **more).run_id
        return self.ended(run_id, timeout=timeout)

    def snapshot(self, flow_id: str, *, timeout: float = 30, **more: Any) -> Run:
        """Take a snapshot and return the run once it has ended."""
        return self.ended(self.client.start(RunKind.SNAPSHOT, flow_id=flow_id, **more).run_id)

    def ended(self, run_id: str, *, timeout: float = 30) -> Run:
        """Return a run once it has ended; say what its processes logged when it does not."""
        run = self.client.wait(run_id, timeout)
        if not run.state.terminal:
            logs = "\n\n".join(f"== {p.name}\n{p.tail()}" for p in self.processes)
            raise TimeoutError(f"run {run_id} is still {run.state} at {run.step}\n{logs}")
        return run

    def registry(self) -> SnapshotRegistry:
        """Open this stack's registry."""
        return SnapshotRegistry(open_store(self.env["ARTIFACTS_URL"]))

    def job(self, what: str) -> str:
        """Name the call that this dialect does a job with, as the org's log does."""
        return _JOBS[self.api].get(what, what)

    @property
    def changes(self) -> tuple[str, ...]:
        """The writes of a rollback: activating is one of its own in the guide's dialect alone."""
        return _WRITES[self.api]

    def writes(self, flow_id: str) -> list[str]:
        """Return the writes to a flow that the org received, in order."""
        return [
            entry["job"]
            for entry in self.sim.requests(flow=flow_id)
            if entry["job"] in {"snapshot", "activate", "publish"}
        ]

    def close(self) -> None:
        """End every process and remove what they left."""
        for process in reversed(self.processes):
            process.kill()
        self.broker.stop()

    def await_line(self, process: Process, text: str) -> None:
        """Return once a process has written something; say what it wrote when it ends instead."""

        def seen() -> bool:
            if process.child.poll() is not None:
                raise RuntimeError(f"{process.name} ended:\n{process.tail()}")
            return text in process.log.read_text(errors="replace")

        wait_for(seen, timeout=30, what=f"{text!r} from {process.name}")

    def _simulator_url(self) -> str | None:
        said = self.simulator.log.read_text()
        marker = "listening on "
        return said.split(marker)[1].split()[0] if marker in said else None
