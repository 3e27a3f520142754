"""What compose.yaml, the Dockerfile and prepare.sh promise, read off the files."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.compose.engine import services
from tests.stack import ROOT

COMPOSE = ROOT / "compose.yaml"
FILE: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
SERVICES = services(COMPOSE, ["simulator"])
BIN = Path(sys.executable).parent


def prepared(directory: Path, *options: str) -> Path:
    """Return a copy of what a user has after `compose/prepare.sh`."""
    shutil.copytree(ROOT / "compose", directory / "compose", dirs_exist_ok=True)
    shutil.copy(COMPOSE, directory)
    subprocess.run([directory / "compose" / "prepare.sh", *options], check=True)
    return directory


def test_the_compose_file_is_what_the_compose_specification_allows() -> None:
    check = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] not in {"root", "0", "0:0"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_watched_bounded_and_started_again(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True
    assert {"mem_limit", "cpus", "pids_limit"} <= service.keys()
    assert re.search(r":\d+\.\d+\.\d+", service["image"]), "an image is pinned by exact version"


@pytest.mark.parametrize("name", SERVICES)
def test_a_port_is_open_to_this_machine_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


def test_redis_is_reached_by_the_services_and_by_nobody_else() -> None:
    assert "ports" not in SERVICES["redis"]
    assert [FILE["networks"][name] for name in SERVICES["redis"]["networks"]] == [
        {"internal": True}
    ]


def test_each_queue_has_a_worker_and_rollbacks_have_one_of_their_own() -> None:
    listened = [
        service["command"][service["command"].index("-Q") + 1]
        for service in SERVICES.values()
        if "worker" in service["command"]
    ]
    assert sorted(listened) == ["deployment,health,alerts", "rollback"]


def test_preparing_makes_every_secret_that_is_mounted(tmp_path: Path) -> None:
    prepared(tmp_path)
    for secret in FILE["secrets"].values():
        assert (tmp_path / secret["file"]).exists()
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0


def test_preparing_again_changes_no_secret(tmp_path: Path) -> None:
    def content() -> dict[str, str]:
        return {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}

    prepared(tmp_path, "--simulator")
    before = content()
    prepared(tmp_path, "--simulator")
    assert content() == before


def test_two_installations_share_no_password(tmp_path: Path) -> None:
    first, second = (
        (prepared(tmp_path / name) / "secrets" / "knowngood_redis_url").read_text()
        for name in ("a", "b")
    )
    assert first != second


def test_no_secret_is_committed_or_sent_to_the_engine() -> None:
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def test_the_image_holds_what_the_wheel_holds_and_is_pinned() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = " ".join(line for line in lines if line.startswith("COPY"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for name in project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]:
        assert name in copied
        assert f"!{name}" in (ROOT / ".dockerignore").read_text()
    bases = [line for line in lines if line.startswith("FROM")]
    assert all(re.search(r":\d+\.\d+\.\d+-slim", base) for base in bases)
    version = project["project"]["version"]
    assert f"knowngood:{version}" in {service["image"] for service in SERVICES.values()}


@pytest.mark.parametrize(
    "check",
    [
        ["hadolint", "Dockerfile"],
        ["shellcheck", "compose/prepare.sh"],
    ],
    ids=lambda check: check[1],
)
def test_the_linter_finds_no_fault(check: list[str]) -> None:
    done = subprocess.run(
        [BIN / check[0], *check[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
