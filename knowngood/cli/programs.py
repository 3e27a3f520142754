"""The processes of an installation: their commands, and how to tell that each serves."""

import secrets
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


def flower(port: int, settings: Settings, env: Env) -> tuple[Program, str]:
    """Return Flower on a port of 127.0.0.1, and in words where it is and how to log in.

    Raises:
        Refused: its user and password are not as they should be.
    """
    from workers.flower import flower_command  # noqa: PLC0415 - a worker needs none of it

    url = f"http://127.0.0.1:{port}"
    launch = flower_command(settings, port=port)
    ready = _responds(f"{url}/healthcheck")
    program = Program("flower", launch.argv, {**env, **launch.env}, ready)
    return program, f"{url}, {launch.login}" if launch.login else url


def api(port: int, settings: Settings, env: Env) -> tuple[Program, str]:
    """Return the HTTP API on a port of 127.0.0.1, and in words where it is.

    Without a configured token it gets one that only this start knows, and the words tell it.
    """
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "knowngood.cli", "api", "--port", str(port)]
    ready = _responds(f"{url}/healthz")
    if settings.api_tokens:
        return Program("api", command, env, ready), url
    token = secrets.token_urlsafe(24)
    # In the environment: a command line is open to every user of a machine.
    own = {**env, "KNOWNGOOD_API_TOKENS": f"rollback:{token}"}
    return Program("api", command, own, ready), f"{url}, token {token}"


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
