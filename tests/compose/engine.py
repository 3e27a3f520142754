"""Runs the services of a Compose file without a container engine: the kernel's namespaces do.

Each service gets a root of its own that holds the system and this checkout and nothing else,
read-only where the file says so, with the file's secrets, configs, volumes and tmpfs; its user;
no capability; its command as it stands. All share one network of loopback only, in which each
service's name is 127.0.0.1. What is not enforced: memory, CPU and process limits, and networks.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from knowngood.embedded.broker import server_binary
from tests.namespaces import OWN_NETWORK
from tests.stack import ROOT, Process, wait_for

USER = 10001
_POD = (*OWN_NETWORK, "--mount", "--uts", "sh", "-ec")
_DEVICES = ("null", "zero", "full", "random", "urandom")


def services(file: Path, profiles: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the services of a Compose file, those of other profiles left out."""
    found = yaml.safe_load(file.read_text())["services"]
    return {
        name: service
        for name, service in found.items()
        if not service.get("profiles") or set(service["profiles"]) & set(profiles)
    }


class Engine:
    """The running services of the Compose file in `project`, a copy that the caller owns."""

    def __init__(self, project: Path, profiles: Sequence[str] = ()) -> None:
        self.project = project
        self.file = yaml.safe_load((project / "compose.yaml").read_text())
        self.services = services(project / "compose.yaml", profiles)
        self.directory = Path(tempfile.mkdtemp(prefix="knowngood-compose-"))
        self.processes: dict[str, Process] = {}
        hosts = "".join(f"127.0.0.1 {name}\n" for name in ("localhost", *self.services))
        (self.directory / "hosts").write_text(hosts)
        (self.directory / "passwd").write_text(f"knowngood:x:{USER}:{USER}::/:/bin/false\n")
        (self.directory / "group").write_text(f"knowngood:x:{USER}:\n")
        self._pod = Process(
            "pod",
            [*_POD, "ip link set lo up; echo up; exec sleep infinity"],
            os.environ,
            self.directory / "pod.log",
        )
        wait_for(lambda: "up" in self._pod.tail(), what=f"a namespace\n{self._pod.tail()}")

    def up(self, timeout: float = 120) -> None:
        """Start every service after those that it depends on, each once they are healthy."""
        for name in self._in_order():
            for needed in self.services[name].get("depends_on", {}):
                self.await_health(needed, timeout)
            self.start(name)
        for name in self.services:
            self.await_health(name, timeout)

    def start(self, name: str) -> Process:
        """Start one service."""
        log = self.directory / f"{name}.log"
        inside = ["nsenter", "-t", str(self._pod.pid), "--user", "--net", "--"]
        script = "\n".join(self._root_of(name))
        process = Process(
            name,
            [*inside, "unshare", "--mount", "--uts", "sh", "-ec", script],
            self._environment(name),
            log,
        )
        self.processes[name] = process
        return process

    def kill(self, name: str) -> None:
        """End a service as the kernel would."""
        self.processes[name].kill()

    def healthy(self, name: str) -> bool:
        """Run the service's own health check in it once, for as long as the file lets it."""
        return self._checked(name, self.services[name]["healthcheck"]["timeout"])

    def await_health(self, name: str, timeout: float) -> None:
        """Return once a service is healthy; the deadline is a failure."""

        def seen() -> bool:
            process = self.processes[name]
            if process.child.poll() is not None:
                raise RuntimeError(f"{name} ended:\n{process.tail()}")
            # A busy machine is no fault of the service.
            return self._checked(name, "60s")

        try:
            wait_for(seen, timeout=timeout, what=f"{name}'s health")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.processes[name].tail()}") from None

    def _checked(self, name: str, timeout: str) -> bool:
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD", "a check that needs a shell needs one in the image"
        try:
            done = self.exec(name, *command, timeout=float(timeout.removesuffix("s")))
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def exec(
        self, name: str, *command: str, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a service, as `docker compose exec` does."""
        inside = [
            "nsenter",
            "-t",
            str(self.processes[name].pid),
            "--user",
            "--preserve-credentials",
        ]
        inside += ["--mount", "--net", "--uts", "--"]
        directory = self.services[name].get("working_dir", "/")
        script = f"cd {shlex.quote(directory)} && exec {shlex.join(command)}"
        return subprocess.run(
            [*inside, "sh", "-c", script],
            env=self._environment(name),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def facts(self, name: str) -> Mapping[str, str]:
        """Return what the kernel says of a service's process: /proc/PID/status."""
        lines = Path(f"/proc/{self.processes[name].pid}/status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def close(self) -> None:
        """End every service and remove what they left."""
        for process in (*reversed(self.processes.values()), self._pod):
            process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _in_order(self) -> Iterator[str]:
        left = dict(self.services)
        while left:
            ready = [name for name in left if not set(left[name].get("depends_on", {})) & set(left)]
            assert ready, f"{sorted(left)} depend on each other"
            for name in ready:
                del left[name]
                yield name

    def _environment(self, name: str) -> dict[str, str]:
        service = self.services[name]
        env = {
            "PATH": f"{Path(sys.executable).parent}:{server_binary().parent}:/usr/sbin:/usr/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        }
        for each in service.get("env_file", ()):
            file = self.project / each["path"]
            assert file.exists() or not each.get("required", True), f"{file} is missing"
            lines = file.read_text().splitlines() if file.exists() else []
            env |= dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        return env | service.get("environment", {})

    def _root_of(self, name: str) -> Iterator[str]:
        """Yield the shell's lines that make a service's root, move into it and become it."""
        service = self.services[name]
        root = self.directory / "roots" / name
        root.mkdir(parents=True, exist_ok=True)
        yield f"hostname {name}"
        yield f"mount -t tmpfs -o mode=755 none {root}"
        for link in Path("/").iterdir():
            if link.is_symlink() and link.readlink().parts[0] == "usr":
                yield f"ln -s {link.readlink()} {root}{link}"
        # First, for this checkout may be below one of them.
        for each in service.get("tmpfs", ()):
            target, options = each.split(":")
            yield f"mkdir -p {root}{target} && mount -t tmpfs -o {options} none {root}{target}"
        for path in _image():
            yield from _bind(path, f"{root}{path}", writable=False)
        for file in ("hosts", "passwd", "group"):
            yield from _bind(self.directory / file, f"{root}/etc/{file}", writable=False)
        yield from _bind(Path("/proc"), f"{root}/proc")
        yield f"mkdir -p {root}/dev/shm && mount -t tmpfs -o mode=1777 none {root}/dev/shm"
        for device in _DEVICES:
            yield from _bind(Path("/dev", device), f"{root}/dev/{device}")
        for each in service.get("configs", ()):
            source = self.project / self.file["configs"][each["source"]]["file"]
            yield from _bind(source, f"{root}{each['target']}", writable=False)
        for each in service.get("secrets", ()):
            long = each if isinstance(each, dict) else {"source": each, "target": each}
            source = self.project / self.file["secrets"][long["source"]]["file"]
            yield from _bind(source, f"{root}/run/secrets/{long['target']}", writable=False)
        for each in service.get("volumes", ()):
            source, target = each.split(":")
            volume = self.directory / "volumes" / source
            volume.mkdir(parents=True, exist_ok=True)
            yield from _bind(volume, f"{root}{target}")
        directory = service.get("working_dir", "/")
        yield f"mkdir -p {root}{directory}"
        if service.get("read_only"):
            yield f"mount -o remount,bind,ro {root}"
        yield f"cd {root} && pivot_root . . && umount -l . && cd {directory}"
        command = ["unshare", "--user", f"--map-user={USER}", f"--map-group={USER}", "--"]
        command += ["setpriv", "--pdeathsig", "KILL"]
        if "no-new-privileges:true" in service.get("security_opt", ()):
            command.append("--no-new-privs")
        yield shlex.join(["exec", *command, "--", *service["command"]])


def _image() -> list[Path]:
    """Return what stands for an image: the system, Python and this checkout."""
    wanted = [Path("/usr"), Path("/etc"), ROOT, Path(sys.prefix), Path(sys.base_prefix)]
    wanted.append(server_binary().parent)
    return [path for path in wanted if not any(path.is_relative_to(o) for o in wanted if o != path)]


def _bind(source: Path, target: str, *, writable: bool = True) -> Iterator[str]:
    if source.is_dir():
        yield f"mkdir -p {target}"
    else:
        yield f"mkdir -p {os.path.dirname(target)}; [ -e {target} ] || : >{target}"  # noqa: PTH120
    yield f"mount --rbind {source} {target}"
    if not writable:
        # What the kernel locked on a mount must be said again with it.
        locked = f"$(findmnt -no VFS-OPTIONS --target {target} | tail -n 1 | sed 's/^rw/ro/')"
        yield f"mount -o remount,bind,{locked} {target}"


def redacted(text: str) -> str:
    """Return a log without what looks like a password of the test's own, for its failures."""
    return re.sub(r"[0-9a-f]{48}", "…", text)
