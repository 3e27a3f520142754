"""Flower as a person sees it: a real browser, real workers, a rollback in progress."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from knowngood.cli.programs import free_port
from knowngood.runs.model import RunState
from tests.conftest import make_flow
from tests.flower.browser import CHROMIUM, browsing
from tests.stack import Stack, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH"),
]
PORT = free_port()
URL = f"http://127.0.0.1:{PORT}"
PASSWORD = "opensesame"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack whose rollbacks wait 20 s for a lock, so that there is time to look."""
    with Stack(LOCK_RETRY_DELAY="20", FLOWER_BASIC_AUTH=f"ops:{PASSWORD}") as installation:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FLOWER_PORT", str(PORT))
            installation.start("flower", [sys.executable, "-m", "workers.flower"], settings={})
        installation.running()
        wait_for(serves, what="Flower")
        wait_for(lambda: counts(installation), what="Flower's first event")
        yield installation


def serves(port: int = PORT) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthcheck").status_code == 200
    except httpx.TransportError:
        return False


def counts(installation: Stack) -> bool:
    return "flower_events_total{" in httpx.get(f"{URL}/metrics").text


@pytest.fixture(scope="module")
def browser(stack: Stack) -> Iterator[BrowserContext]:
    credentials = {"username": "ops", "password": PASSWORD}
    size = {"width": 1600, "height": 900}
    with browsing(http_credentials=credentials, viewport=size) as context:
        yield context


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    opened = browser.new_page()
    yield opened
    opened.close()


def search(page: Page, text: str) -> None:
    page.goto(f"{URL}/tasks")
    page.locator("input[type=search]").fill(text)


def test_nobody_sees_anything_without_the_password(stack: Stack) -> None:
    for path in ("/", "/workers", "/tasks", "/tasks/datatable", "/broker"):
        assert httpx.get(f"{URL}{path}").status_code == 401
        assert httpx.get(f"{URL}{path}", auth=("ops", "guess")).status_code == 401


WRITES = ("task/send-task/runs.reconcile", "worker/shutdown/worker", "task/revoke/x")


def test_its_api_is_off_even_with_the_password(stack: Stack) -> None:
    for path in ("tasks", "workers", "queues/length", "task/types"):
        answer = httpx.get(f"{URL}/api/{path}", auth=("ops", PASSWORD))
        assert answer.status_code == 404, answer.text
    for path in WRITES:
        answer = httpx.post(f"{URL}/api/{path}", auth=("ops", PASSWORD), json={"args": []})
        assert answer.status_code == 404, answer.text


def test_its_api_shows_once_it_was_enabled_and_changes_nothing(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("FLOWER_PORT", str(port))
    command = [sys.executable, "-m", "workers.flower"]
    opened = stack.start("flower-with-api", command, settings={"FLOWER_API": "true"})
    api = f"http://127.0.0.1:{port}/api"
    wait_for(lambda: serves(port), what="Flower")
    assert httpx.get(f"{api}/task/types").status_code == 401
    assert httpx.get(f"{api}/task/types", auth=("ops", PASSWORD)).status_code == 200
    for path in WRITES:
        answer = httpx.post(f"{api}/{path}", auth=("ops", PASSWORD), json={"args": []})
        assert answer.status_code == 403, answer.text
    opened.stop()


def test_a_run_in_progress_is_found_by_its_id_with_its_state_and_how_far_it_is(
    stack: Stack, page: Page, tmp_path: Path
) -> None:
    done = stack.rollback(make_flow(stack, name="Support IVR"))
    flow = make_flow(stack, name="Sales IVR")
    stack.sim.lock(flow, by="Ada")
    run_id = stack.client.rollback(flow, "errors after deploy 41").run_id
    wait_for(lambda: stack.client.get(run_id).state is RunState.WAITING, what="the wait")

    search(page, run_id)
    row = page.locator(f"tr#run-{run_id}")
    expect(row).to_contain_text("WAITING")
    expect(row).to_contain_text("step 1 of 8: acquire_lock waits (lock) until")
    expect(row).to_contain_text(flow)
    expect(page.locator("tbody tr", has_text="rollback.acquire_lock")).to_have_count(1)
    expect(page.locator("tbody")).not_to_contain_text(done.run_id)
    page.screenshot(path=tmp_path / "waiting.png")

    search(page, done.run_id)
    row = page.locator(f"tr#run-{done.run_id}")
    expect(row).to_contain_text("SUCCESS")
    expect(row).to_contain_text(re.compile(r"version 1.0 restored in \d+\.\d s"))
    for step in ("activate", "publish", "verify", "finish"):
        expect(page.locator("tbody")).to_contain_text(f"rollback.{step}")
    page.screenshot(path=tmp_path / "succeeded.png")

    page.goto(f"{URL}/task/run-{run_id}")
    expect(page.locator("body")).to_contain_text("run.rollback")
    expect(page.locator("body")).to_contain_text("WAITING")
    page.screenshot(path=tmp_path / "run.png")
    stack.client.cancel(run_id)


def test_a_run_that_needs_a_person_says_so_and_what_to_do(
    stack: Stack, page: Page, tmp_path: Path
) -> None:
    run = stack.rollback(make_flow(stack, versions=[{"age_seconds": 60}]))
    assert run.state is RunState.NEEDS_ATTENTION
    search(page, run.run_id)
    row = page.locator(f"tr#run-{run.run_id}")
    expect(row).to_contain_text("NEEDS_ATTENTION")
    expect(row).to_contain_text("Do now:")
    page.screenshot(path=tmp_path / "needs-attention.png")
