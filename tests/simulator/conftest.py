"""A simulator on a real socket, started once and reset before each test."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest

from simulator.client import SimulatorControl
from simulator.server import running

CREDENTIALS = ("simulator", "simulator")


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    with running() as base_url:
        yield base_url


@pytest.fixture(scope="session")
def shared_control(url: str) -> Iterator[SimulatorControl]:
    with SimulatorControl(url) as control:
        yield control


@pytest.fixture
def control(shared_control: SimulatorControl) -> SimulatorControl:
    shared_control.reset()
    return shared_control


@pytest.fixture
def api(url: str, control: SimulatorControl) -> Iterator[httpx.Client]:
    token = get_token(url)
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


@pytest.fixture
def flow(control: SimulatorControl) -> str:
    return control.demo_flow()


@pytest.fixture
def kpis(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> Callable[..., list[dict[str, float]]]:
    """The guide's KPIs of the last seconds, or of [start, end)."""

    def ask(seconds: float = 300, *, end: float | None = None) -> list[dict[str, float]]:
        until = control.now() if end is None else end
        query = {"startTime": iso(until - seconds), "endTime": iso(until)}
        answer = api.get(f"/api/v2/analytics/flows/{flow}/summary", params=query)
        assert answer.status_code == 200, answer.text
        data: list[dict[str, float]] = answer.json()["data"]
        return data

    return ask


def get_token(url: str) -> str:
    answer = httpx.post(
        f"{url}/oauth/token", auth=CREDENTIALS, data={"grant_type": "client_credentials"}
    )
    token: str = answer.json()["access_token"]
    return token


def iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat()
