import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from knowngood.cli.programs import free_port
from tests.cli.terminal import COMMAND, Terminal, piped

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "KNOWNGOOD" not in name}
    return {
        **kept,
        "KNOWNGOOD_GENESYS_BASE_URL": "http://127.0.0.1:1",
        "KNOWNGOOD_GENESYS_CLIENT_ID": "nobody",
        "KNOWNGOOD_GENESYS_CLIENT_SECRET": "hunter2",
        "KNOWNGOOD_FLOWER_BASIC_AUTH": "ops:opensesame",
    }


def family(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not so within the deadline"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def installation(
    env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Terminal, Path, int]]:
    """A whole `up --embedded` in a terminal, with Flower and the API on ports of their own."""
    home, port = tmp_path_factory.mktemp("up"), free_port()
    ports = ("--flower-port", str(port), "--api-port", str(free_port()))
    terminal = Terminal("up", "--embedded", *ports, env=env, cwd=home)
    try:
        terminal.read_until("ready; Ctrl-C stops everything", timeout=60)
        yield terminal, home, port
    finally:
        if terminal.process.poll() is None:
            terminal.process.kill()


def test_it_says_where_everything_is_and_serves_every_queue(
    installation: tuple[Terminal, Path, int], env: dict[str, str]
) -> None:
    terminal, home, port = installation
    assert f"flower: http://127.0.0.1:{port}" in terminal.text
    assert "hunter2" not in terminal.text
    words = dict(
        line.split("=", 1) for line in (home / ".knowngood/up.env").read_text().splitlines()
    )
    assert (home / ".knowngood/up.env").stat().st_mode & 0o077 == 0
    found = piped("doctor", env={**env, **words}, cwd=home).stdout
    for queue in ("rollback", "deployment", "health", "alerts"):
        assert f"ok    queue {queue}: served by" in found
    assert "ok    beat: alive" in found
    assert "ok    persistence: Redis persists: AOF" in found
    rest = next(line for line in found.splitlines() if "queue health" in line)
    assert "rollback@" not in rest


def test_flower_asks_for_the_password_which_no_command_line_shows(
    installation: tuple[Terminal, Path, int],
) -> None:
    terminal, _, port = installation
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b" 401 " in connection.recv(100)
    for process in family(terminal.process.pid):
        assert "opensesame" not in " ".join(process.cmdline())


def test_the_api_lets_in_who_has_the_token_that_it_tells_and_no_command_line_shows(
    installation: tuple[Terminal, Path, int],
) -> None:
    terminal, _, _ = installation
    found = re.search(r"api: (http://127\.0\.0\.1:\d+), token (\S+);", terminal.text)
    assert found
    url, token = found.groups()
    assert httpx.get(f"{url}/v1/runs").status_code == 401
    told = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{url}/v1/runs", headers=told).json() == {"runs": []}
    assert httpx.get(f"{url}/readyz").json() == {"status": "ok"}
    for process in family(terminal.process.pid):
        assert token not in " ".join(process.cmdline())


def test_a_second_one_in_the_same_directory_is_refused(
    installation: tuple[Terminal, Path, int], env: dict[str, str]
) -> None:
    _, home, port = installation
    taken = piped("up", "--flower-port", str(port), env=env, cwd=home)
    assert (taken.returncode, taken.stderr.count("\n")) == (2, 1)
    assert f"--flower-port={port}" in taken.stderr
    again = piped("up", "--no-flower", env=env, cwd=home)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "another `knowngood up` runs here" in again.stderr


def test_a_killed_worker_and_a_killed_broker_are_started_again(
    installation: tuple[Terminal, Path, int],
) -> None:
    terminal, _, _ = installation
    worker = next(p for p in family(terminal.process.pid) if "rest@" in " ".join(p.cmdline()))
    os.killpg(worker.pid, signal.SIGKILL)
    terminal.read_until("worker-rest ended by SIGKILL; it starts again in 1 s")
    terminal.read_until("worker-rest started again")
    broker = next(p for p in family(terminal.process.pid) if "-server" in p.name())
    broker.kill()
    terminal.read_until("the embedded broker ended; it starts again")
    until(lambda: any("-server" in p.name() for p in family(terminal.process.pid)))


def test_ctrl_c_stops_everything_and_leaves_no_process(
    installation: tuple[Terminal, Path, int],
) -> None:
    terminal, home, _ = installation
    children = family(terminal.process.pid)
    assert len(children) >= 5
    terminal.press_ctrl_c()
    assert terminal.ended(timeout=40) == 0
    assert terminal.text.rstrip().endswith("stopped")
    assert not [process for process in children if process.is_running()]
    assert not (home / ".knowngood/up.env").exists()


def test_it_dies_with_its_children_when_it_is_killed(env: dict[str, str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [COMMAND, "up", "--embedded", "--no-flower", "--no-api"],
        env=env,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: len(family(process.pid)) >= 4, seconds=40)
    children = family(process.pid)
    process.kill()
    process.wait()
    until(lambda: not [p for p in children if p.is_running() and p.status() != "zombie"])


def test_a_broker_that_is_down_is_said_in_one_line(env: dict[str, str], tmp_path: Path) -> None:
    nobody = {"KNOWNGOOD_BROKER_URL": "redis://127.0.0.1:1/0"}
    nobody["KNOWNGOOD_REDIS_URL"] = nobody["KNOWNGOOD_BROKER_URL"]
    done = piped("up", "--no-flower", env={**env, **nobody}, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == "knowngood: the journal does not answer: ConnectionError; see KNOWNGOOD_REDIS_URL\n"
    )
