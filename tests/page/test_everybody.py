"""A page for everybody: by night, on a phone, by keyboard, by ear, in another time zone."""

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from knowngood.runs.model import Run
from tests.api.served import ROLLBACK, Served
from tests.conftest import make_flow
from tests.page.looking import BROWSER_MARKS, Looker
from tests.stack import Stack

pytestmark = BROWSER_MARKS

PHONE: Any = {"width": 360, "height": 740}
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\"' {{7*7}} &lt;b&gt;"
LONG = "W" * 60


@pytest.fixture(scope="module")
def runs(installation: Stack) -> dict[str, Run]:
    """A run of each kind of page."""
    calling = make_flow(
        installation, name=LONG, versions=[{"age_seconds": 7_200}], calls_per_minute=3_000
    )
    watch = installation.client.watch(calling, interval=1.0, bake_time=4.0).run_id
    return {
        "watch": installation.ended(watch),
        "done": installation.rollback(make_flow(installation, name="Support IVR")),
        "person": installation.rollback(make_flow(installation, versions=[{"age_seconds": 60}])),
    }


def luminance(page: Page, selector: str) -> float:
    red, green, blue = page.locator(selector).evaluate(
        "e => getComputedStyle(e).backgroundColor.match(/[0-9.]+/g).slice(0, 3).map(Number)"
    )
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)


def test_by_night_it_is_dark(runs: dict[str, Run], looker: Looker) -> None:
    looker.opens()
    assert luminance(looker.page, "body") > 200
    looker.page.emulate_media(color_scheme="dark")
    assert luminance(looker.page, "body") < 40
    assert luminance(looker.page, ".runs") < 60


def test_a_phone_needs_no_sideways_scrolling(runs: dict[str, Run], looker: Looker) -> None:
    looker.page.set_viewport_size(PHONE)
    looker.page.goto(looker.url)
    assert not looker.overflows()
    looker.opens()
    expect(looker.row(runs["watch"].run_id)).to_contain_text(LONG)
    assert not looker.overflows()
    for run in runs.values():
        looker.opens_run(run.run_id)
        expect(looker.state).to_be_visible()
        for details in looker.page.locator("summary").all():
            details.click()
        assert not looker.overflows()
    button = looker.page.get_by_role("button", name=re.compile("^Copy: knowngood")).first
    box = button.bounding_box()
    assert box is not None
    assert box["height"] >= 44


def test_a_keyboard_is_enough(runs: dict[str, Run], looker: Looker) -> None:
    page = looker.page
    page.goto(looker.url)
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type(ROLLBACK)
    page.keyboard.press("Enter")
    expect(looker.row(runs["done"].run_id)).to_be_visible()

    page.reload()
    expect(looker.row(runs["done"].run_id)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for role, name in (("combobox", "State"), ("combobox", "Kind"), ("searchbox", "Flow")):
        page.keyboard.press("Tab")
        expect(page.get_by_role(role, name=name)).to_be_focused()  # type: ignore[arg-type]
    page.keyboard.press("Tab")
    first = page.locator("tbody a").first
    expect(first).to_be_focused()
    outline = page.locator("tbody tr").first.evaluate("e => getComputedStyle(e).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("ArrowDown")
    expect(page.locator("tbody a").nth(1)).to_be_focused()
    chosen = page.locator("tbody tr").nth(1).get_attribute("data-key")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"#/runs/{chosen}$"))
    expect(page.locator("h1")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("h1")).to_have_text("Runs")
    expect(looker.row(str(chosen)).locator("a")).to_be_focused()


def test_a_name_that_is_markup_stays_a_name(installation: Stack, looker: Looker) -> None:
    page = looker.page
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    flow = make_flow(
        installation, name=HOSTILE, versions=[{"age_seconds": 7_200}], calls_per_minute=3_000
    )
    watch = installation.ended(installation.client.watch(flow, interval=1.0, bake_time=4.0).run_id)
    snapshot = installation.snapshot(flow, description=HOSTILE)
    looker.opens()
    expect(looker.row(snapshot.run_id).locator("a")).to_have_text(HOSTILE)
    expect(looker.row(snapshot.run_id).locator(".purpose")).to_have_text(HOSTILE)
    looker.opens_run(watch.run_id)
    expect(page.locator("h1")).to_have_text(f"Watch of {HOSTILE}")
    expect(page.locator("figure .plot title").first).to_contain_text(HOSTILE)
    page.goto(f"{looker.url}/#/runs/%3Cimg%20src=x%20onerror=alert(3)%3E")
    expect(page.locator("h1")).to_have_text("There is no such run")
    assert page.locator("main img, main script").count() == 0
    assert dialogs == []
    assert [line for line in complaints if "404" not in line] == []


def test_times_are_the_viewers_with_utc_beside(runs: dict[str, Run], looker: Looker) -> None:
    page = looker.page
    zone = page.context.new_cdp_session(page)
    zone.send("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Kolkata"})
    looker.opens_run(runs["done"].run_id)
    ended = runs["done"].ended
    assert ended is not None
    shown = page.locator('[data-key="ended"] time')
    expect(shown).to_have_attribute("title", f"{ended:%Y-%m-%d %H:%M:%S} UTC")
    minutes = (ended.hour * 60 + ended.minute + 330) % 1440
    expect(shown).to_have_text(f"{minutes // 60:02}:{minutes % 60:02}:{ended:%S}")


def test_a_phone_whose_clock_is_wrong_tells_the_right_age(
    installation: Stack, looker: Looker
) -> None:
    run = installation.snapshot(make_flow(installation))
    looker.page.clock.install(time=run.created.timestamp() + 7_200)
    looker.opens()
    expect(looker.row(run.run_id).locator(".age")).to_have_text(re.compile(r"^\d+ (s|min) ago$"))


def test_whoever_wants_less_motion_gets_none(runs: dict[str, Run], looker: Looker) -> None:
    looker.page.emulate_media(reduced_motion="reduce")
    looker.opens()
    assert looker.page.evaluate("document.getAnimations().length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_accessibility_rule_is_broken(
    scheme: Any, runs: dict[str, Run], site: Served, looker: Looker
) -> None:
    page = looker.page
    page.emulate_media(color_scheme=scheme)
    page.goto(looker.url)
    expect(page.get_by_label("Token")).to_be_visible()
    assert broken_rules(page) == {}
    looker.opens()
    expect(looker.row(runs["done"].run_id)).to_be_visible()
    assert broken_rules(page) == {}
    page.set_viewport_size(PHONE)
    assert broken_rules(page) == {}
    for run in runs.values():
        looker.opens_run(run.run_id)
        expect(looker.state).to_be_visible()
        for details in page.locator("summary").all():
            details.click()
        assert broken_rules(page) == {}


def broken_rules(page: Page) -> dict[str, list[str]]:
    found = Axe().run(page).response["violations"]
    return {
        rule["id"]: [" ".join(map(str, node["target"])) for node in rule["nodes"]] for rule in found
    }
