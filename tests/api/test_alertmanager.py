"""A real Alertmanager, with the example's configuration, tells a real API of a broken flow."""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from knowngood.cli.programs import free_port
from knowngood.runs.model import RunKind
from tests.api.served import ROLLBACK, Served, serving
from tests.conftest import make_flow
from tests.stack import ROOT, Stack, wait_for

PROGRAM = shutil.which("alertmanager") or shutil.which("prometheus-alertmanager")
EXAMPLE = ROOT / "examples" / "prometheus" / "alertmanager.yml"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAM, reason="no Alertmanager on PATH"),
]


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[Served]:
    with serving(stack) as served:
        yield served


@pytest.fixture(scope="module")
def alertmanager(stack: Stack, api: Served, tmp_path_factory: pytest.TempPathFactory) -> str:
    home = tmp_path_factory.mktemp("alertmanager")
    (home / "token").write_text(ROLLBACK + "\n")
    url = f"http://127.0.0.1:{free_port()}"
    words = EXAMPLE.read_text().replace("http://api:8080", api.url)
    words = words.replace("/run/secrets/knowngood_rollback_token", str(home / "token"))
    # The example's pauses, shortened alike: each alert is told several times.
    words = words.replace("group_interval: 30s", "group_interval: 1s")
    words = words.replace("repeat_interval: 5m", "repeat_interval: 1s")
    (home / "alertmanager.yml").write_text(words)
    command = [str(PROGRAM), f"--config.file={home}/alertmanager.yml"]
    command += [f"--storage.path={home}", "--cluster.listen-address="]
    command += [f"--web.listen-address={url.removeprefix('http://')}"]
    stack.start("alertmanager", command, settings=None)
    wait_for(lambda: _is_ready(url), what="Alertmanager")
    return url


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def fire(alertmanager: str, **labels: str) -> None:
    alert = {
        "labels": {"alertname": "FlowErrors", **labels},
        "annotations": {"summary": "31% of the calls fail"},
        "startsAt": datetime.now(UTC).isoformat(),
    }
    httpx.post(f"{alertmanager}/api/v2/alerts", json=[alert]).raise_for_status()


def test_an_alert_of_a_flow_rolls_it_back_once_however_often_it_is_told(
    stack: Stack, api: Served, alertmanager: str
) -> None:
    flow = make_flow(stack)
    fire(alertmanager, severity="page")
    fire(alertmanager, flow_id=flow)
    store = stack.client.store
    wait_for(lambda: store.search(1, flow_id=flow), what="the rollback")
    (run,) = store.search(9, flow_id=flow)
    assert stack.ended(run.run_id).outcome == "restored"
    assert run.kind is RunKind.ROLLBACK
    assert run.request.requested_by == "alertmanager"

    def told_again() -> bool:
        return f"repeated {run.run_id}" in api.process.log.read_text()

    wait_for(told_again, what="a second notification")
    assert len(store.search(9, flow_id=flow)) == 1
    assert stack.writes(flow) == ["activate", "publish"]


def test_amtool_accepts_the_example(tmp_path: Path) -> None:
    done = subprocess.run(
        ["amtool", "check-config", str(EXAMPLE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
