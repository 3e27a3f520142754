"""Signing in, and what stands where there is nothing to show."""

import re
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Page, expect

from knowngood.cli.programs import free_port
from tests.api.served import READ, ROLLBACK, SETTINGS, Served, serving
from tests.conftest import make_flow
from tests.page.looking import BROWSER_MARKS, Looker
from tests.stack import Stack

pytestmark = BROWSER_MARKS


def test_a_wrong_token_is_refused_in_words_and_kept_nowhere(looker: Looker) -> None:
    page = looker.page
    page.goto(looker.url)
    looker.signs_in("no-token-of-anybody-0123456789")
    expect(page.get_by_role("alert")).to_contain_text("Nobody knows this token")
    expect(page.get_by_label("Token")).to_be_focused()
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0
    assert page.context.cookies() == []


def test_a_token_that_no_header_can_carry_is_refused_in_words(looker: Looker) -> None:
    looker.page.goto(looker.url)
    looker.signs_in("токен")
    expect(looker.page.get_by_role("alert")).to_contain_text("copy it again")


def test_the_token_is_typed_once_and_lasts_over_a_reload(looker: Looker) -> None:
    looker.opens()
    looker.page.reload()
    expect(looker.page.locator("h1")).to_have_text("Runs")
    assert "token" not in looker.page.url
    looker.page.get_by_role("button", name="Sign out").click()
    expect(looker.page.locator("h1")).to_have_text("Sign in")
    assert looker.page.evaluate("sessionStorage.length") == 0


def test_a_token_that_was_withdrawn_leads_back_to_the_door(installation: Stack, page: Page) -> None:
    port = free_port()
    with serving(installation, port=port) as served:
        Looker(page, served.url, ROLLBACK).opens()
        expect(page.locator("#link")).to_have_text("Live")
    with serving(installation, {**SETTINGS, "API_TOKENS": f"read:{READ}"}, port=port):
        expect(page.locator("h1")).to_have_text("Sign in", timeout=40_000)
        expect(page.get_by_role("alert")).to_contain_text("sign in again")


def test_an_api_that_is_down_is_told_apart_from_a_wrong_token(
    installation: Stack, page: Page
) -> None:
    with serving(installation) as served:
        page.goto(served.url)
        expect(page.get_by_label("Token")).to_be_visible()
    Looker(page, served.url, ROLLBACK).signs_in(ROLLBACK)
    expect(page.get_by_role("alert")).to_contain_text("The API does not answer")


def test_a_run_that_is_not_there_is_said_with_a_way_back(looker: Looker) -> None:
    looker.opens_run("00000000-0000-4000-8000-000000000000")
    expect(looker.page.locator("h1")).to_have_text("There is no such run")
    looker.page.get_by_role("link", name="All runs").click()
    expect(looker.page.locator("h1")).to_have_text("Runs")


def test_an_address_that_is_no_page_is_said_with_a_way_back(looker: Looker) -> None:
    for address in ("#/nothing", "#/runs/%E0%A4%A"):
        looker.opens(address)
        expect(looker.page.locator("h1")).to_have_text(re.compile("There is no such (page|run)"))
        expect(looker.page.get_by_role("link", name="All runs")).to_be_visible()


def test_a_filter_that_nothing_matches_says_so(looker: Looker) -> None:
    looker.opens("#/?flow=no-such-flow-anywhere")
    expect(looker.page.get_by_role("heading", name="No run matches")).to_be_visible()


def test_filters_choose_by_state_kind_and_flow_and_are_part_of_the_address(
    installation: Stack, looker: Looker
) -> None:
    flow = make_flow(installation, name="Warranty line")
    snapshot = installation.snapshot(flow).run_id
    rollback = installation.rollback(flow).run_id
    person = installation.rollback(make_flow(installation, versions=[{"age_seconds": 60}])).run_id
    page = looker.page
    looker.opens()
    for run_id in (snapshot, rollback, person):
        expect(looker.row(run_id)).to_be_visible()
    page.get_by_label("State").select_option("for a person")
    expect(looker.row(rollback)).to_have_count(0)
    expect(looker.row(person)).to_be_visible()
    page.get_by_label("State").select_option("all")
    page.get_by_label("Flow").fill("warranty")
    page.get_by_label("Kind").select_option("snapshot")
    expect(looker.row(rollback)).to_have_count(0)
    expect(looker.row(snapshot)).to_be_visible()
    page.reload()
    expect(page.get_by_label("Flow")).to_have_value("warranty")
    expect(looker.row(rollback)).to_have_count(0)
    expect(looker.row(snapshot)).to_be_visible()
    looker.row(snapshot).click()
    page.get_by_role("link", name="← Runs").click()
    expect(page.get_by_label("Kind")).to_have_value("snapshot")


def test_nothing_is_fetched_from_elsewhere_and_the_policy_says_so(
    site: Served, looker: Looker
) -> None:
    asked: list[str] = []
    looker.page.on("request", lambda request: asked.append(request.url))
    looker.opens()
    expect(looker.page.locator("#link")).to_have_text("Live")
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(site.url).netloc}
    assert not any(ROLLBACK in url for url in asked)
    for path in ("/", "/page/main.js", "/page/style.css"):
        answer = httpx.get(site.url + path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-cache"
        again = httpx.get(site.url + path, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
        assert httpx.head(site.url + path).status_code == 200


def test_it_works_below_a_path_of_a_proxy(site: Served, page: Page) -> None:
    below = f"{site.url}/knowngood"
    # As a proxy does that takes the path away.
    page.route(
        f"{below}/**", lambda route: route.continue_(url=route.request.url.replace(below, site.url))
    )
    looker = Looker(page, below, ROLLBACK)
    looker.opens()
    expect(page.locator("#link")).to_have_text("Live")
    expect(page.locator("h1")).to_have_text("Runs")


def test_only_the_pages_own_files_are_served(site: Served) -> None:
    for path in ("nothing.js", "..%2fpage.py", "%2e%2e/page.py", "../page.py", "."):
        assert httpx.get(f"{site.url}/page/{path}").status_code in {401, 404}, path


def test_a_token_can_be_asked_what_it_may_do(site: Served) -> None:
    for token, role in ((READ, "read"), (ROLLBACK, "rollback")):
        with site.client(token) as client:
            assert client.get("/v1/token").json() == {"role": role}
    assert httpx.get(f"{site.url}/v1/token").status_code == 401
