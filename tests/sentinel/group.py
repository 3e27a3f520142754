"""A master, a replica and three Sentinels that watch them: real servers on loopback."""

import shutil
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis

from knowngood.embedded.broker import server_binary
from tests.stack import Process, wait_for

PASSWORD = "of-the-servers"
SENTINEL_PASSWORD = "of-the-sentinels"
MASTER = "mymaster"


class Group:
    """One Redis that survives its master."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="knowngood-sentinel-"))
        ports = _free_ports(5)
        self.servers = {
            port: self._server(port, None if port == ports[0] else ports[0]) for port in ports[:2]
        }
        for port in self.servers:
            self._await(port, PASSWORD)
        self.sentinels = {port: self._sentinel(port, ports[0]) for port in ports[2:]}
        wait_for(self._agreed, timeout=30, what="sentinels that know each other and the replica")

    @property
    def url(self) -> str:
        """What knowngood is told: every Sentinel, the master's name, both passwords."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinels)
        asked = f"master={MASTER}&sentinel_password={SENTINEL_PASSWORD}"
        return f"sentinel://:{PASSWORD}@{hosts}/0?{asked}"

    def master(self) -> int:
        """Return the port of the server that most Sentinels take for the master."""
        told = [self._ask(port).sentinel_get_master_addr_by_name(MASTER) for port in self.sentinels]
        ports = [int(address[1]) for address in told if address]
        return max(set(ports), key=ports.count)

    def kill_master(self) -> int:
        """Kill the master and return the port of the one that takes its place."""
        former = self.master()
        self.servers[former].kill()

        def taken_over() -> int | None:
            found = self.master()
            if found == former:
                return None
            role: Any = redis.Redis(port=found, password=PASSWORD).info("replication")
            return found if role["role"] == "master" else None

        return wait_for(taken_over, timeout=40, what="a failover")

    def close(self) -> None:
        for process in (*self.sentinels.values(), *self.servers.values()):
            process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _server(self, port: int, of: int | None) -> Process:
        lines = [f"requirepass {PASSWORD}", f"masterauth {PASSWORD}", 'save ""', "appendonly yes"]
        lines += [f"replicaof 127.0.0.1 {of}"] if of else []
        return self._start(f"server-{port}", port, lines, [])

    def _sentinel(self, port: int, master: int) -> Process:
        lines = [
            f"requirepass {SENTINEL_PASSWORD}",
            f"sentinel sentinel-pass {SENTINEL_PASSWORD}",
            f"sentinel monitor {MASTER} 127.0.0.1 {master} 2",
            f"sentinel auth-pass {MASTER} {PASSWORD}",
            f"sentinel down-after-milliseconds {MASTER} 1000",
            f"sentinel failover-timeout {MASTER} 3000",
        ]
        return self._start(f"sentinel-{port}", port, lines, ["--sentinel"])

    def _start(self, name: str, port: int, lines: Sequence[str], options: list[str]) -> Process:
        home = self.directory / name
        home.mkdir()
        configuration = home / "server.conf"
        text = [f"port {port}", "bind 127.0.0.1", f"dir {home}", *lines]
        configuration.write_text("\n".join(text) + "\n")
        command = [str(server_binary()), str(configuration), *options]
        return Process(name, command, {}, home / "log")

    def _ask(self, port: int) -> Any:
        return redis.Redis(port=port, password=SENTINEL_PASSWORD, decode_responses=True)

    def _await(self, port: int, password: str) -> None:
        def answers() -> bool:
            try:
                return bool(redis.Redis(port=port, password=password).ping())
            except redis.RedisError:
                return False

        wait_for(answers, what=f"the server on port {port}")

    def _agreed(self) -> bool:
        try:
            told = [self._ask(port).sentinel_master(MASTER) for port in self.sentinels]
        except redis.RedisError:
            return False
        return all(
            each["num-other-sentinels"] == len(self.sentinels) - 1 and each["num-slaves"] == 1
            for each in told
        )


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
