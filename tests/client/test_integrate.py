"""docs/integrate.md, word for word, from processes that are not ours."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import pytest

from knowngood.runs.model import Run, RunKind, RunState
from tests.conftest import make_flow
from tests.stack import ROOT, Stack, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CLIENT, BY_NAME = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "integrate.md").read_text(), re.DOTALL
)


def said(python: Path | str, script: str, home: Path, env: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [str(python), "-c", script], cwd=home, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_service_with_our_package_uses_the_client(stack: Stack, tmp_path: Path) -> None:
    env = stack.environment() | {"FLOW": make_flow(stack)}
    snapshot, watch, rollback, refused = said(sys.executable, CLIENT, tmp_path, env)
    assert snapshot == "snapshot: recorded"
    assert watch == "watch: cancelled"
    assert rollback == "rollback: succeeded restored"
    assert refused.startswith("refused: flow_id must be a flow's id")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that knows Celery and nothing of ours."""
    home = tmp_path_factory.mktemp("foreign")
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    python = home / "bin" / "python"
    wanted = f"celery[redis]=={version('celery')}"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wanted], check=True)
    return python


def plain(stack: Stack, flow: str) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "BROKER_URL": stack.broker.url, "FLOW": flow}


def arrived(stack: Stack, run_id: str) -> Run:
    wait_for(lambda: stack.client.store.find(run_id), what="the message to be taken")
    return stack.ended(run_id)


def test_a_service_without_our_package_enqueues_by_name(
    stack: Stack, foreign: Path, tmp_path: Path
) -> None:
    flow = make_flow(stack)
    without = "import importlib.util as u; print(u.find_spec('knowngood'), u.find_spec('workers'))"
    assert said(foreign, without, tmp_path, plain(stack, flow)) == ["None None"]
    (run_id,) = said(foreign, BY_NAME, tmp_path, plain(stack, flow))
    run = arrived(stack, run_id)
    assert (run.kind, run.flow_id) == (RunKind.ROLLBACK, flow)
    assert (run.state, run.outcome) == (RunState.SUCCEEDED, "restored")


def test_a_message_that_is_sent_again_with_its_id_starts_one_run(
    stack: Stack, foreign: Path, tmp_path: Path
) -> None:
    flow, run_id = make_flow(stack), str(uuid4())
    script = BY_NAME.replace("str(uuid4())", repr(run_id))
    for _ in range(2):
        assert said(foreign, script, tmp_path, plain(stack, flow)) == [run_id]
    assert arrived(stack, run_id).outcome == "restored"
    assert [run.run_id for run in stack.client.store.search(9, flow_id=flow)] == [run_id]
    assert stack.writes(flow) == ["activate", "publish"]


def test_a_message_with_a_wrong_argument_raises_an_alert_and_starts_nothing(
    stack: Stack, foreign: Path, tmp_path: Path
) -> None:
    (run_id,) = said(foreign, BY_NAME, tmp_path, plain(stack, "no flow's id"))
    alert = f"kg:alert:{run_id}.refused"
    wait_for(lambda: stack.client.store.redis.exists(alert), what="the alert")
    assert stack.client.store.find(run_id) is None
