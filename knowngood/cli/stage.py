"""The demonstration's stage: every process of an installation, in a temporary directory."""

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from knowngood import settings as settings_module
from knowngood.embedded.broker import EmbeddedBroker
from knowngood.embedded.processes import Program, Supervisor
from simulator.client import SimulatorControl

POLL_SECONDS: Final = 2.0
"""The watch's interval, so that nobody waits for two windows of five minutes."""

CALLS_PER_MINUTE: Final = 6_000


@dataclass(frozen=True)
class Stage:
    """What runs: the org's control, where Flower is, and the supervisor with the logs.

    In `home` every command finds the installation through its `.env`.
    """

    home: Path
    org: SimulatorControl
    flower_url: str
    supervisor: Supervisor


@contextmanager
def set_up(api: str) -> Iterator[Stage]:
    """Start everything and remove it again, whatever happens; yields once all of it serves.

    This process and its children take their settings from a `.env` in a directory of their own;
    those of the environment are set aside.

    Raises:
        CannotStart: a process did not get ready; its log's tail is in the error.
        Unreachable: no broker could be started.
    """
    with ExitStack() as stack:
        home = stack.enter_context(_temporary_home())
        broker = stack.enter_context(EmbeddedBroker())
        supervisor = stack.enter_context(Supervisor(home / "logs", cwd=home))
        org = stack.enter_context(SimulatorControl(_start_org(supervisor)))
        words = home / ".env"
        words.touch(mode=0o600)
        words.write_text(_settings(api, broker.url, org, home))
        settings_module.load.cache_clear()
        yield Stage(home, org, _start_processes(supervisor), supervisor)


def _start_org(supervisor: Supervisor) -> str:
    command = [sys.executable, "-m", "simulator", "--port", "0"]
    command += ["--calls-per-minute", str(CALLS_PER_MINUTE)]
    log = supervisor.log("simulator")
    listening = re.compile(r"listening on (\S+)")
    supervisor.start(
        Program("simulator", command, ready=lambda: bool(listening.search(log.read_text())))
    )
    supervisor.await_ready("simulator")
    found = listening.search(log.read_text())
    return found.group(1) if found else ""


def _start_processes(supervisor: Supervisor) -> str:
    from knowngood.cli import programs  # noqa: PLC0415 - after the settings are in place
    from knowngood.cli.journal import open_journal  # noqa: PLC0415
    from workers.app import app  # noqa: PLC0415
    from workers.queues import NAMES  # noqa: PLC0415

    flower, flower_url = programs.flower(programs.free_port(), settings_module.load(), {})
    started = [
        programs.worker(app, "demo", ",".join(NAMES), {}, concurrency=2),
        programs.beat(app, open_journal().redis, {}),
        flower,
    ]
    for program in started:
        supervisor.start(program)
    for program in started:
        supervisor.await_ready(program.name)
    return flower_url


def _settings(api: str, broker_url: str, org: SimulatorControl, home: Path) -> str:
    flow = org.demo_flow()
    callers = {flow: {"queues": org.flow(flow)["queues"]}}
    values = {
        "BROKER_URL": broker_url,
        "REDIS_URL": broker_url,
        "ARTIFACTS_URL": (home / "artifacts").as_uri(),
        "GENESYS_API": api,
        "GENESYS_CALLERS": json.dumps(callers),
        "GENESYS_BASE_URL": org.base_url,
        "GENESYS_LOGIN_URL": org.base_url,
        "GENESYS_CLIENT_ID": "simulator",
        "GENESYS_CLIENT_SECRET": "simulator",
        "HEALTH_INTERVAL": str(POLL_SECONDS),
    }
    return "".join(f"KNOWNGOOD_{name}='{value}'\n" for name, value in values.items())


@contextmanager
def _temporary_home() -> Iterator[Path]:
    before = Path.cwd()
    home = Path(tempfile.mkdtemp(prefix="knowngood-demo-"))
    for name in [name for name in os.environ if name.startswith("KNOWNGOOD_")]:
        del os.environ[name]
    # Away from a `.env` that names somebody's real org.
    os.chdir(home)
    try:
        yield home
    finally:
        os.chdir(before)
        shutil.rmtree(home, ignore_errors=True)
