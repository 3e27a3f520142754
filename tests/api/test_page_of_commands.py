"""docs/api.md, word for word: its commands are executed in their order, in one shell."""

import os
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.api.served import ROLLBACK, SECRET, serving
from tests.conftest import make_flow
from tests.stack import ROOT, Stack

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "api.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
MARK = "=== next block ==="


@pytest.fixture(scope="module")
def said(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """What each block of the page printed."""
    with serving(stack) as api:
        script = f"\necho '{MARK}'\n".join(BLOCKS).replace("http://127.0.0.1:8080", api.url)
        told = {"TOKEN": ROLLBACK, "HOOK_SECRET": SECRET, "FLOW": make_flow(stack)}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path_factory.mktemp("reader"),
            env=os.environ | told,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield done.stdout.split(MARK + "\n")


def block(said: list[str], part: str) -> str:
    (number,) = (number for number, text in enumerate(BLOCKS) if part in text)
    return said[number]


def test_a_request_is_answered_with_its_run_and_where_it_is(said: list[str]) -> None:
    printed = block(said, "/v1/snapshots")
    assert printed.startswith("HTTP/1.1 202")
    assert "location: /v1/runs/" in printed
    assert printed.count('"joined":false,"repeated":false') == 3


def test_progress_is_told_to_the_end_and_again_from_where_it_was_left(said: list[str]) -> None:
    printed = block(said, "Last-Event-ID")
    assert printed.count('"event":"accepted"') == 1
    assert printed.count('"event":"run-ended"') == 2
    assert printed.count("event: end\n") == 2


def test_runs_cancels_flows_and_hooks_answer_as_the_page_says(said: list[str]) -> None:
    assert '"state":"cancelled"' in block(said, "/cancel")
    assert '"notes":["live"' in block(said, "/versions")
    assert '"outcome":"started"' in block(said, "/v1/hooks/alertmanager")
    assert '"repeated":false' in block(said, "/v1/hooks/generic")
    probed = block(said, "/healthz")
    assert probed.startswith('{"role":"rollback"}{"status":"ok"}{"status":"ok"}# HELP')
    assert '"invalid-request"' in block(said, "../x").replace("urn:knowngood:problem:", "")


def test_the_page_names_every_problem_that_the_code_answers_with() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "knowngood/api").glob("*.py"))
    kinds = set(re.findall(r'(?:Problem|_refused)\(\s*(?:\d{3},\s*)?"([a-z-]+)"', code))
    assert len(kinds) > 15
    assert kinds <= set(re.findall(r"`([a-z-]+)`", PAGE))
