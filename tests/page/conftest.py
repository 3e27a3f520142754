"""A browser before the page of a real API, with real workers behind it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.api.served import ROLLBACK, Served, serving
from tests.flower.browser import browsing
from tests.page.looking import Looker
from tests.stack import Stack

WIDE = {"width": 1280, "height": 900}

expect.set_options(timeout=15_000)


@pytest.fixture(scope="package")
def installation() -> Iterator[Stack]:
    """A stack whose rollbacks wait 30 s for a lock, so that there is time to look."""
    with Stack(LOCK_RETRY_DELAY="30", HEALTH_HISTORY_DAYS="0", HEALTH_MIN_CALLS="20") as stack:
        yield stack.running()


@pytest.fixture(scope="package")
def site(installation: Stack) -> Iterator[Served]:
    with serving(installation) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    with browsing(viewport=WIDE) as context:
        yield context


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    opened = browser.new_page()
    opened.set_viewport_size(WIDE)  # type: ignore[arg-type]
    yield opened
    opened.close()


@pytest.fixture
def looker(page: Page, site: Served) -> Looker:
    """Somebody with a rollback token."""
    return Looker(page, site.url, ROLLBACK)
