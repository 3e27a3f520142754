"""Runs as they go on, without a reload."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from knowngood.cli.programs import free_port
from knowngood.runs.model import RunKind, RunState
from tests.api.served import ROLLBACK, Served, serving
from tests.conftest import make_flow
from tests.page.looking import BROWSER_MARKS, Looker
from tests.stack import Stack, wait_for

pytestmark = BROWSER_MARKS


@pytest.fixture(scope="module")
def idle() -> Iterator[Stack]:
    """A stack without a worker as yet."""
    with Stack() as stack:
        yield stack


def test_a_rollback_is_seen_from_queued_to_succeeded(idle: Stack, page: Page) -> None:
    flow = make_flow(idle, name="Sales IVR")
    with serving(idle) as served:
        run_id = idle.client.rollback(flow, "errors after deploy 41").run_id
        looker = Looker(page, served.url, ROLLBACK)
        looker.opens()
        expect(looker.row(run_id)).to_contain_text("queued")
        expect(looker.row(run_id)).to_contain_text("errors after deploy 41")
        looker.row(run_id).click()
        expect(looker.state).to_contain_text("queued")
        page.evaluate("window.same = true")

        idle.running()
        expect(looker.state).to_contain_text("succeeded", timeout=40_000)
        expect(page.locator(".headline")).to_contain_text("Version 1.0 is live again, restored in")
        expect(page.locator("h1")).to_have_text("Rollback of Sales IVR")
        expect(page.locator(".step[data-state=done]")).to_have_count(8)
        expect(page.locator(".journal li")).to_have_count(
            len(idle.client.store.journal(run_id)), timeout=5_000
        )
        page.get_by_role("link", name="← Runs").click()
        expect(looker.row(run_id)).to_contain_text("succeeded")
        assert page.evaluate("window.same")


def test_a_new_run_comes_into_the_list_and_changes_no_other_row(
    installation: Stack, looker: Looker
) -> None:
    first = installation.snapshot(make_flow(installation, name="Claims")).run_id
    looker.opens()
    expect(looker.row(first)).to_be_visible()
    expect(looker.page.locator("#link")).to_have_text("Live")
    looker.row(first).evaluate(
        """row => {
            window.touched = 0;
            new MutationObserver(changes => { window.touched += changes.length; })
                .observe(row.querySelector(".state"), {
                    subtree: true, childList: true, attributes: true, characterData: true,
                });
        }"""
    )
    second = installation.snapshot(make_flow(installation, name="Refunds")).run_id
    expect(looker.row(second)).to_contain_text("succeeded")
    expect(looker.page.locator("tbody tr").first).to_have_attribute("data-key", second)
    assert looker.page.evaluate("window.touched") == 0


def test_after_the_api_was_restarted_it_reconnects_and_shows_what_it_missed(
    installation: Stack, page: Page
) -> None:
    port = free_port()
    flow = make_flow(installation, name="Night service")
    installation.sim.lock(flow, by="Ada")
    run_id = installation.client.rollback(flow, "silence").run_id
    wait_for(
        lambda: installation.client.get(run_id).state is RunState.WAITING, what="the lock's wait"
    )
    with serving(installation, port=port) as served:
        looker = Looker(page, served.url, ROLLBACK)
        looker.opens_run(run_id)
        expect(page.locator("#link")).to_have_text("Live")
        expect(page.locator(".headline")).to_contain_text("the flow is locked by user Ada")
        page.evaluate("window.same = true")
    expect(page.locator("#link")).to_have_text("Reconnecting…")
    expect(looker.state).to_contain_text("waiting: lock")
    installation.client.cancel(run_id, "deploy 42 is better")
    with serving(installation, port=port):
        expect(looker.state).to_contain_text("cancelled", timeout=40_000)
        expect(page.locator(".headline")).to_contain_text("Deploy 42 is better")
        assert page.evaluate("window.same")


def test_a_stream_is_understood_however_the_network_cuts_it(site: Served, looker: Looker) -> None:
    looker.opens()
    stream = (
        'retry: 1000\n\nid: 1-0\r\ndata: {"a":\r\ndata: 1}\r\n\r\n'
        ": alive\n\nevent: end\nid: 2-0\ndata: é\n\n"
    )
    pieces = looker.page.evaluate(
        """async stream => {
            const { Parser } = await import(new URL("page/stream.js", location.href));
            return [...stream].map((_, cut) => {
                const parser = new Parser();
                return [...parser.feed(stream.slice(0, cut)), ...parser.feed(stream.slice(cut))];
            });
        }""",
        stream,
    )
    assert len(pieces) == len(stream)
    for events in pieces:
        assert events == [
            {"id": "1-0", "event": "message", "data": '{"a":\n1}'},
            {"id": "2-0", "event": "end", "data": "é"},
        ]


def test_two_hundred_runs_are_listed_and_one_that_changes_touches_its_row_alone(
    page: Page,
) -> None:
    with Stack() as stack, serving(stack) as served:
        looker = Looker(page, served.url, ROLLBACK)
        looker.opens()
        expect(page.get_by_role("heading", name="No run yet")).to_be_visible()
        page.screenshot(path=stack.directory / "empty.png")
        flows = [make_flow(stack) for _ in range(3)]
        runs = [
            stack.client.start(RunKind.SNAPSHOT, flow_id=flows[n % 3]).run_id for n in range(200)
        ]
        expect(page.locator("tbody tr")).to_have_count(200)
        page.evaluate(
            """() => {
                window.rows = new Set();
                new MutationObserver(changes => {
                    for (const { target } of changes) {
                        const cell = (target.closest ? target : target.parentElement).closest("td");
                        if (cell?.className !== "state") continue;
                        window.rows.add(cell.parentElement.dataset.key);
                    }
                }).observe(document.querySelector("tbody"), {
                    subtree: true, childList: true, attributes: true, characterData: true,
                });
            }"""
        )
        stack.client.cancel(runs[120], "not wanted")
        expect(looker.row(runs[120])).to_contain_text("cancelled")
        assert page.evaluate("[...window.rows]") == [runs[120]]
