"""One machine's whole installation: started in order, tended, stopped without a trace."""

import fcntl
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from knowngood import settings as settings_module
from knowngood.cli import programs
from knowngood.cli.exits import Exit
from knowngood.cli.journal import open_journal
from knowngood.embedded.broker import EmbeddedBroker
from knowngood.embedded.processes import CannotStart, Program, Supervisor
from knowngood.errors import Refused
from knowngood.settings import Settings

HOME: Final = Path(".knowngood")
"""Where `up` keeps logs and the embedded broker's data, below the present directory."""
_MOST_WORKERS: Final = 4
"""Workers for rollbacks that `up` starts, however many cores there are."""


@dataclass(frozen=True)
class Wanted:
    """What to start beside workers and beat; a port of None leaves that server out."""

    embedded: bool
    flower_port: int | None
    api_port: int | None


def run_installation(wanted: Wanted) -> Exit:
    """Start everything, tend it until Ctrl-C or SIGTERM, and stop it all.

    Raises:
        Refused: a setting or a port is wrong; nothing was started.
        Unreachable: the broker does not answer; nothing was started.
    """
    api_port = wanted.api_port if _opens(wanted) else None
    for option, port in (("--flower-port", wanted.flower_port), ("--api-port", api_port)):
        if port is not None and not programs.port_is_free(port):
            raise Refused(option, port, "another process listens there; name a free port")
    with ExitStack() as stack:
        stack.enter_context(_only_one_here())
        stop = stack.enter_context(_stopped_by_signal())
        broker = stack.enter_context(_embedded_broker()) if wanted.embedded else None
        settings = settings_module.load()
        open_journal().time()
        supervisor = stack.enter_context(Supervisor(HOME / "logs", tell=_tell))
        try:
            _start(supervisor, wanted, settings, stop)
        except CannotStart as error:
            print(error.tail, file=sys.stderr)
            raise
        while not stop.wait(0.5):
            supervisor.tend()
            if broker is not None and broker.pid is None:
                _tell("the embedded broker ended; it starts again")
                broker.restart()
        _tell("stopping: steps under way may finish")
    _tell("stopped")
    return Exit.DONE


def _start(
    supervisor: Supervisor, wanted: Wanted, settings: Settings, stop: threading.Event
) -> None:
    from workers.app import app  # noqa: PLC0415 - reads the settings when imported

    started: list[tuple[Program, str]] = [
        *((programs.worker(app, name, "rollback", {}), "rollbacks") for name in rollback_workers()),
        (programs.worker(app, "rest", "deployment,health,alerts", {}), "all other queues"),
        (programs.beat(app, open_journal().redis, {}), "the schedule"),
    ]
    if wanted.flower_port is not None:
        started.append(programs.flower(wanted.flower_port, settings, {}))
    if wanted.api_port is not None and _opens(wanted):
        started.append(programs.api(wanted.api_port, settings, {}))
    for program, _ in started:
        supervisor.start(program)
    for program, what in started:
        if stop.is_set():
            return
        supervisor.await_ready(program.name)
        _tell(f"{program.name}: {what}; log {supervisor.log(program.name)}")
    if wanted.api_port is not None and not _opens(wanted):
        _tell("api: not started, for it would be closed; set KNOWNGOOD_API_TOKENS")
    _tell("ready; Ctrl-C stops everything")


def rollback_workers() -> list[str]:
    """Name the workers for rollbacks that are started on this machine."""
    # A worker's threads share one core; many flows may need rolling back at once.
    return [f"rollback-{number + 1}" for number in range(min(os.cpu_count() or 1, _MOST_WORKERS))]


def _opens(wanted: Wanted) -> bool:
    # With a broker of its own an installation is one person's, who is told a token made up for it.
    tokens = wanted.embedded or bool(settings_module.load().api_tokens)
    return wanted.api_port is not None and tokens


@contextmanager
def _only_one_here() -> Iterator[None]:
    # Two embedded brokers on the same files would destroy them.
    try:
        HOME.mkdir(exist_ok=True)
        lock = (HOME / "up.lock").open("w")
    except OSError as error:
        raise Refused("directory", str(HOME.absolute()), f"{error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                "directory", str(Path.cwd()), "another `knowngood up` runs here; stop it first"
            ) from None
        yield


@contextmanager
def _embedded_broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(aof=True, directory=HOME / "broker") as broker:
        os.environ["KNOWNGOOD_BROKER_URL"] = os.environ["KNOWNGOOD_REDIS_URL"] = broker.url
        words = HOME / "up.env"
        words.touch(mode=0o600)
        words.write_text(f"KNOWNGOOD_BROKER_URL={broker.url}\nKNOWNGOOD_REDIS_URL={broker.url}\n")
        _tell(f"broker: embedded; commands in this directory find it through {words}")
        try:
            yield broker
        finally:
            words.unlink(missing_ok=True)


@contextmanager
def _stopped_by_signal() -> Iterator[threading.Event]:
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        if stop.is_set():
            # The second one: whoever sends it does not want to wait for the warm shutdown.
            raise KeyboardInterrupt(number)
        stop.set()

    former = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    former[signal.SIGHUP] = signal.signal(signal.SIGHUP, ask)
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _tell(line: str) -> None:
    print(line, flush=True)
