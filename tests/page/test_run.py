"""One run on the page: what to do, its steps, its health."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from knowngood.runs.model import Run, RunState
from tests.api.served import DEPLOY, READ, Served
from tests.conftest import make_flow
from tests.page.looking import BROWSER_MARKS, Looker
from tests.stack import Stack, wait_for

pytestmark = BROWSER_MARKS

BROKEN = {"error_rate": 0.5, "abandon_rate": 0.4}


@pytest.fixture(scope="module")
def tripped(installation: Stack) -> Run:
    """A watch that saw healthy polls, then two breaches, and rolled back."""
    flow = make_flow(
        installation,
        name="Sales IVR",
        versions=[{"age_seconds": 7_200}, {"age_seconds": 3_600}],
        calls_per_minute=3_000,
    )
    installation.snapshot(flow)
    installation.sim.deploy(flow)
    run_id = installation.client.watch(flow, interval=1.0, bake_time=60.0).run_id
    start = int(installation.sim.now()) + 5
    installation.sim.traffic(blips=[{"start": start, "seconds": 4, **BROKEN}])
    run = installation.ended(run_id, timeout=40)
    assert run.outcome == "rolled_back"
    return run


@pytest.fixture
def locked(installation: Stack) -> Iterator[Run]:
    """A rollback that waits for a person's lock."""
    flow = make_flow(installation, name="Claims hotline")
    installation.sim.lock(flow, by="Ada")
    run_id = installation.client.rollback(flow, "silence after deploy 41").run_id
    wait_for(lambda: installation.client.get(run_id).state is RunState.WAITING, what="the wait")
    run = installation.client.get(run_id)
    yield run
    if not installation.client.get(run_id).state.terminal:
        installation.client.cancel(run_id)


def test_a_watch_shows_each_kpi_with_its_limit_and_the_marks(
    tripped: Run, looker: Looker, tmp_path: Path
) -> None:
    looker.opens_run(tripped.run_id)
    page = looker.page
    expect(looker.state).to_have_text(re.compile("rolled back"))
    for kpi in ("Error rate", "Abandon rate", "ASA"):
        plot = page.get_by_role("img", name=f"{kpi} of Sales IVR")
        expect(plot).to_be_visible()
        expect(plot.locator(".limit line")).to_have_count(1)
        for mark in ("deployed", "breached", "rolled", "restored"):
            expect(plot.locator(f"line.mark.{mark}")).to_have_count(1)
    error_rate = page.get_by_role("img", name="Error rate of Sales IVR")
    expect(error_rate).to_contain_text("at most 5 %")
    assert error_rate.locator(".point.breach").count() >= 2
    assert error_rate.locator(".point.ok").count() >= 2
    marks = page.get_by_role("list", name="Marks in the plots")
    for said in ("version 4.0 deployed", "the watch trips", "the rollback begins", "2.0 is live"):
        expect(marks).to_contain_text(said)
    page.screenshot(path=tmp_path / "watch.png", full_page=True)


def test_the_plots_are_a_table_too(tripped: Run, looker: Looker) -> None:
    looker.opens_run(tripped.run_id)
    looker.page.get_by_text(re.compile(r"The \d+ polls as a table")).click()
    table = looker.page.get_by_role("table", name="Polls of Sales IVR")
    for header in ("Poll", "Calls", "Error rate", "Abandon rate", "Verdict", "Why"):
        expect(table.get_by_role("columnheader", name=header, exact=True)).to_be_visible()
    expect(table).to_contain_text("error_rate: ")
    expect(table.locator("tr[data-verdict=breach] .broken").first).to_contain_text("!")


def test_a_watch_and_its_rollback_lead_to_each_other(tripped: Run, looker: Looker) -> None:
    looker.opens_run(tripped.run_id)
    looker.page.get_by_role("link", name="the rollback it started").click()
    expect(looker.page.locator("h1")).to_have_text("Rollback of Sales IVR")
    expect(looker.page.get_by_role("img", name="Error rate of Sales IVR")).to_be_visible()
    looker.page.get_by_role("link", name="the watch that tripped").first.click()
    expect(looker.page.locator("h1")).to_have_text("Watch of Sales IVR")


def test_a_wait_shows_for_whom_and_until_when(locked: Run, looker: Looker, tmp_path: Path) -> None:
    looker.opens_run(locked.run_id)
    page = looker.page
    expect(looker.state).to_have_text(re.compile("waiting: lock"))
    expect(page.locator(".headline")).to_contain_text(
        re.compile(r"waits for the flow's lock \(.*Ada.*\); it looks again in \d+ s")
    )
    step = page.locator(".step").first
    expect(step).to_have_attribute("data-state", "waiting")
    expect(step.locator(".bar rect.waits").first).to_be_attached()
    expect(step.locator(".notes")).to_contain_text("the flow is locked by user Ada")
    page.screenshot(path=tmp_path / "waiting.png", full_page=True)


def test_whoever_may_cancels_and_is_asked_first(
    locked: Run, installation: Stack, looker: Looker
) -> None:
    looker.opens_run(locked.run_id)
    button = looker.page.get_by_role("button", name="Cancel this rollback")
    button.click()
    looker.page.get_by_role("button", name="Let it go on").click()
    assert installation.client.get(locked.run_id).state is RunState.WAITING
    button.click()
    looker.page.get_by_role("button", name="Cancel the rollback").click()
    expect(looker.state).to_have_text(re.compile("cancelled"))
    expect(looker.page.locator("#said")).to_contain_text("cancelled")
    assert installation.client.get(locked.run_id).state is RunState.CANCELLED


@pytest.mark.parametrize("token", [READ, DEPLOY])
def test_whoever_may_not_cancel_is_told_what_it_takes(
    token: str, locked: Run, page: Page, site: Served
) -> None:
    Looker(page, site.url, token).opens_run(locked.run_id)
    expect(
        page.get_by_text("To cancel this rollback, sign in with a rollback token.")
    ).to_be_visible()
    expect(page.get_by_role("button", name="Cancel this rollback")).to_have_count(0)


def test_a_refused_cancel_says_why(locked: Run, installation: Stack, looker: Looker) -> None:
    looker.opens_run(locked.run_id)
    looker.page.get_by_role("button", name="Cancel this rollback").click()
    looker.page.route(
        "**/cancel", lambda route: route.continue_(headers={"authorization": "Bearer " + "x" * 40})
    )
    looker.page.get_by_role("button", name="Cancel the rollback").click()
    expect(looker.page.get_by_role("alert")).to_contain_text("It was not cancelled: nobody knows")
    assert installation.client.get(locked.run_id).state is RunState.WAITING


def test_a_run_for_a_person_says_what_to_do_with_a_command_to_copy(
    installation: Stack, looker: Looker, tmp_path: Path
) -> None:
    run = installation.rollback(make_flow(installation, versions=[{"age_seconds": 60}]))
    assert run.state is RunState.NEEDS_ATTENTION
    page = looker.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    looker.opens_run(run.run_id)
    todo = page.get_by_role("region", name="Do now")
    expect(todo).to_contain_text("choose a version", ignore_case=True)
    command = f"knowngood rollback {run.flow_id} --to VERSION --reason '…'"
    expect(todo.locator("code", has_text="--to VERSION")).to_have_text(command)
    todo.get_by_role("button", name=f"Copy: {command}").click()
    expect(page.locator("#said")).to_have_text(f"Copied: {command}")
    assert page.evaluate("navigator.clipboard.readText()") == command
    page.screenshot(path=tmp_path / "for-a-person.png", full_page=True)
