"""Runs the command as a person or a script does: in a terminal, or into a pipe."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path

COMMAND = Path(sys.executable).with_name("knowngood")
Done = subprocess.CompletedProcess[str]


def piped(*arguments: str, env: Mapping[str, str], cwd: Path, timeout: float = 30) -> Done:
    """Run the command with its output in pipes."""
    return subprocess.run(
        [COMMAND, *arguments],
        env=dict(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


class Terminal:
    """The command in a terminal of `columns` characters; `text` is what it wrote so far."""

    def __init__(
        self, *arguments: str, env: Mapping[str, str], cwd: Path, columns: int = 100
    ) -> None:
        self._owner, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        plain = {name: value for name, value in env.items() if name not in {"COLUMNS", "LINES"}}
        self.process = subprocess.Popen(
            [COMMAND, *arguments],
            env={**plain, "TERM": "xterm-256color"},
            cwd=cwd,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - no threads here
        )
        os.close(inner)
        self.text = ""

    def read_until(self, words: str, timeout: float = 30) -> str:
        """Read until the command has written these words."""
        deadline = time.monotonic() + timeout
        while words not in self.text:
            assert time.monotonic() < deadline, f"no {words!r} in:\n{self.text}"
            if not self._read(0.1) and self.process.poll() is not None:
                assert words in self.text, f"ended without {words!r}:\n{self.text}"
        return self.text

    def press_ctrl_c(self) -> None:
        """Type Ctrl-C, which the terminal turns into SIGINT."""
        os.write(self._owner, b"\x03")

    def ended(self, timeout: float = 30) -> int:
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still running:\n{self.text}"
            self._read(0.1)
        while self._read(0.1):
            pass
        os.close(self._owner)
        return self.process.returncode

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._owner], [], [], seconds)
        if not ready:
            return False
        try:
            got = os.read(self._owner, 65_536)
        except OSError:  # Linux answers EIO once the other end is closed
            return False
        self.text += got.decode(errors="replace")
        return bool(got)


def _take_terminal() -> None:
    # A job in the background ignores Ctrl-C, and its children would as well.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
