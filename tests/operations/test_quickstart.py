"""The quick start's commands, in the order of the page, in a network of their own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.namespaces import NAMESPACES, OWN_NETWORK
from tests.stack import ROOT, Process, wait_for

PAGE = (ROOT / "docs" / "quickstart.md").read_text()


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@contextmanager
def terminal(name: str, script: str, home: Path, inside: int | None = None) -> Iterator[Process]:
    """Run a terminal's commands; the first one makes the network that the others share."""
    kept = {key: text for key, text in os.environ.items() if not key.startswith("KNOWNGOOD_")}
    env = {**kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    network = list(OWN_NETWORK)
    if inside is not None:
        network = ["nsenter", "-t", str(inside), "--user", "--preserve-credentials", "--net"]
    within = f"cd {home} && {script}"
    process = Process(name, [*network, "bash", "-c", within], env, home.parent / f"{name}.log")
    try:
        yield process
    finally:
        process.kill()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not NAMESPACES, reason="this machine gives a test no namespaces")
def test_the_page_s_commands_do_what_the_page_says(tmp_path: Path) -> None:
    _, start, holds, breaks, look, again, _ = blocks()
    home = tmp_path / "trial"
    home.mkdir()
    with terminal("first", f"ip link set lo up\n{start}", home) as first:
        wait_for(lambda: "ready;" in first.tail(), timeout=120, what=f"`up`\n{first.tail()}")
        second = "\n".join([holds, breaks, look, again])
        with terminal("second", second, home, inside=first.pid) as process:
            process.child.wait(180)
            said = process.log.read_text()
    assert "fail  " not in said, "doctor finds no fault"
    assert "it holds" in said
    assert "it was rolled back (exit code 1)" in said
    assert "refused (exit code 2)" in said
    assert re.search(r"^4\.0 .*known-good", said, re.MULTILINE), said
    assert re.search(r"known-bad", said)


def test_the_container_commands_are_those_of_the_compose_file() -> None:
    containers = blocks()[-1]
    script, *lines = containers.splitlines()
    subprocess.run(["sh", "-n", ROOT / script.split()[0]], check=True)
    compose = (ROOT / "compose.yaml").read_text()
    for line in lines:
        assert line.startswith("docker compose ")
        if " exec " in line:
            assert f"  {line.split()[3]}:" in compose
    assert "profiles: [simulator]" in compose
