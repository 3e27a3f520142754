"""A small supervisor: named child processes, their logs in files, none left behind.

It starts nothing in the background: `tend` is called from the owner's own loop, so that every
child has the owner's main thread as its parent and ends with it.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from knowngood.embedded.parentage import ending_with_parent
from knowngood.errors import Unreachable

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_STEADY_AFTER: Final = 60.0
"""A process that was up for so long and then crashed starts with the shortest pause again."""


class CannotStart(Unreachable):
    """A program ended, or did not get ready; `tail` holds the last lines of its log."""

    def __init__(self, message: str, *, tail: str = "") -> None:
        self.tail = tail
        super().__init__(message)


@dataclass(frozen=True)
class Program:
    """What to start. `ready` says whether it serves; without it, being alive is enough.

    `warm` is how long its SIGTERM may take, in seconds, before it is killed.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    ready: Callable[[], bool] | None = None
    warm: float = 10.0


@dataclass
class _Child:
    program: Program
    process: "subprocess.Popen[bytes]"
    started: float
    pause: float = _FIRST_PAUSE
    restart_at: float | None = None


class Supervisor:
    """Starts programs, restarts those that crash and stops them all.

    `tell` is given one line for each crash and each restart.
    """

    def __init__(
        self,
        logs: Path,
        *,
        cwd: Path | None = None,
        tell: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.logs = logs
        self.logs.mkdir(parents=True, exist_ok=True)
        self._cwd = cwd
        self._tell = tell
        self._clock = clock
        self._children: dict[str, _Child] = {}

    def log(self, name: str) -> Path:
        """Return the file that a program's output goes to."""
        return self.logs / f"{name}.log"

    def tail(self, name: str, lines: int = 15) -> str:
        """Return the last lines that a program wrote."""
        log = self.log(name)
        text = log.read_text(errors="replace") if log.exists() else ""
        return "\n".join(text.rstrip().splitlines()[-lines:])

    def pid(self, name: str) -> int:
        """Return the process id of a program as it was last started."""
        return self._children[name].process.pid

    def start(self, program: Program) -> None:
        """Start a program in a process group of its own.

        Raises:
            CannotStart: it cannot be executed.
        """
        self._children[program.name] = _Child(program, self._spawn(program), self._clock())

    def await_ready(self, name: str, timeout: float = 30) -> None:
        """Return once a program is ready.

        Raises:
            CannotStart: it ended, or was not ready within `timeout` seconds.
        """
        child = self._children[name]
        deadline = self._clock() + timeout
        ready = child.program.ready or (lambda: True)
        while not ready():
            code = child.process.poll()
            if code is not None:
                raise self._complaint(name, f"ended at once {_how(code)}")
            if self._clock() >= deadline:
                raise self._complaint(name, f"was not ready within {timeout:g} s")
            time.sleep(0.05)

    def tend(self) -> None:
        """Look once after every child: restart what crashed, when its pause is over."""
        now = self._clock()
        for name, child in self._children.items():
            if child.restart_at is None:
                code = child.process.poll()
                if code is None:
                    continue
                _end_group(child.process)
                if now - child.started >= _STEADY_AFTER:
                    child.pause = _FIRST_PAUSE
                child.restart_at = now + child.pause
                self._tell(f"{name} ended {_how(code)}; it starts again in {child.pause:g} s")
            elif now >= child.restart_at:
                child.process = self._spawn(child.program)
                child.started, child.restart_at = now, None
                child.pause = min(child.pause * 2, _LONGEST_PAUSE)
                self._tell(f"{name} started again")

    def stop(self) -> None:
        """End every child, the last started first; a second call does nothing.

        SIGTERM is sent to all at once, so that their warm shutdowns overlap.
        """
        children = list(reversed(self._children.values()))
        self._children = {}
        for child in children:
            if child.process.poll() is None:
                child.process.terminate()
        began = self._clock()
        try:
            for child in children:
                self._await_end(child, began)
        finally:
            # Also when a person has no patience for the warm shutdown: nothing may stay.
            for child in children:
                _end_group(child.process)

    def _await_end(self, child: _Child, began: float) -> None:
        left = began + child.program.warm - self._clock()
        try:
            child.process.wait(max(left, 0.1))
        except subprocess.TimeoutExpired:
            self._tell(f"{child.program.name} did not stop within {child.program.warm:g} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _spawn(self, program: Program) -> "subprocess.Popen[bytes]":
        try:
            with self.log(program.name).open("ab") as log:
                return subprocess.Popen(  # noqa: S603
                    list(program.command),
                    cwd=self._cwd,
                    env={**os.environ, **program.env},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    # Ctrl-C is for the supervisor alone; it stops the others in order.
                    start_new_session=True,
                    preexec_fn=ending_with_parent(),  # noqa: PLW1509
                )
        except OSError as error:
            raise CannotStart(f"{program.name} cannot be started: {error}") from None

    def _complaint(self, name: str, what: str) -> CannotStart:
        return CannotStart(f"{name} {what}; see {self.log(name)}", tail=self.tail(name))


def _how(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
