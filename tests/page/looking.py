"""What a person does with the page."""

from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.flower.browser import CHROMIUM

BROWSER_MARKS = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH"),
]


@dataclass(frozen=True)
class Looker:
    """Somebody before the page."""

    page: Page
    url: str
    token: str

    def opens(self, address: str = "#/") -> None:
        """Go to an address of the page, and sign in where it asks."""
        self.page.goto(f"{self.url}/{address}")
        self.page.wait_for_selector("h1")
        if self.page.title().startswith("Sign in"):
            self.signs_in(self.token)
            expect(self.page.locator("#leave")).to_be_visible()

    def signs_in(self, token: str) -> None:
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Sign in").click()

    def opens_run(self, run_id: str) -> None:
        self.opens(f"#/runs/{run_id}")

    def row(self, run_id: str) -> Locator:
        """Return a run's row in the list."""
        return self.page.locator(f'tr[data-key="{run_id}"]')

    @property
    def state(self) -> Locator:
        """The state of the run that is shown."""
        return self.page.locator(".head .badge")

    def overflows(self) -> bool:
        """Say whether the page has to be scrolled sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))
