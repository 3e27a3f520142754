"""The processes of an installation: their commands, and how to tell that each serves."""

import socket
import sys
from collections.abc import Callable, Mapping
from typing import Final

import httpx
import redis
from celery import Celery

from knowngood.cli.fleet import answers, beat_lock
from knowngood.embedded.processes import Program
from knowngood.settings import Settings

_CELERY: Final = (sys.executable, "-m", "celery", "-A", "workers.app")
_WARM: Final = 20.0
"""Seconds for a worker's warm shutdown: a little more than its own soft shutdown takes."""

Env = Mapping[str, str]


def worker(
    app: Celery, name: str, queues: str, env: Env, concurrency: int | None = None
) -> Program:
    """Return a worker that listens on `queues`, names with commas between."""
    node = f"{name}@{socket.gethostname()}"
    command = [*_CELERY, "worker", "-Q", queues, "-n", node, "-l", "INFO"]
    command += ["--without-gossip", "--without-mingle"]
    if concurrency is not None:
        command += ["-c", str(concurrency)]
    return Program(f"worker-{name}", command, env, ready=lambda: answers(app, node), warm=_WARM)


def beat(app: Celery, journal: redis.Redis, env: Env) -> Program:
    """Return beat; it serves when somebody holds its lock, itself or another beat."""
    key = beat_lock(app)
    return Program("beat", [*_CELERY, "beat", "-l", "INFO"], env, lambda: bool(journal.exists(key)))


def flower(port: int, settings: Settings, env: Env) -> Program:
    """Return Flower on a port of 127.0.0.1, with the settings' basic auth."""
    command = [*_CELERY, "flower", f"--port={port}", "--address=127.0.0.1"]
    if settings.flower_basic_auth:
        # Through the environment: a command line is open to every user of the machine.
        env = {**env, "FLOWER_BASIC_AUTH": settings.flower_basic_auth.get_secret_value()}
    return Program("flower", command, env, _responds(f"http://127.0.0.1:{port}/healthcheck"))


def free_port() -> int:
    """Find a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Say whether nobody listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _responds(url: str) -> Callable[[], bool]:
    def ready() -> bool:
        try:
            return httpx.get(url, timeout=1).status_code == 200
        except httpx.TransportError:
            return False

    return ready
