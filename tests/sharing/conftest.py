"""A simulated org, and workers that share what Redis holds: each has a gateway of its own."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from knowngood.genesys.port import FlowGateway
from simulator.client import SimulatorControl
from simulator.server import running
from tests.sharing.worker import worker

T = TypeVar("T")
MakeWorker = Callable[..., FlowGateway]


@pytest.fixture(scope="session")
def simulator_control() -> Iterator[SimulatorControl]:
    with running() as url, SimulatorControl(url) as control:
        yield control


@pytest.fixture
def org(simulator_control: SimulatorControl) -> SimulatorControl:
    """An empty ledger, no faults, a fresh OAuth."""
    simulator_control.reset()
    return simulator_control


@pytest.fixture
def flow(org: SimulatorControl) -> str:
    return org.demo_flow()


@pytest.fixture
def make_worker(org: SimulatorControl, redis_client: Any) -> Iterator[MakeWorker]:
    """Make a worker of the org; `client_id`, `secret`, `clock`, `turn` and `redis` can differ."""
    made: list[FlowGateway] = []

    def make(**more: Any) -> FlowGateway:
        redis = more.pop("redis", redis_client)
        made.append(worker(org.base_url, redis, **more))
        return made[-1]

    yield make
    for gateway in made:
        gateway.close()


def at_once(*calls: Callable[[], T]) -> list[T | Exception]:
    """Make all calls at the same moment, each in a thread; an exception is its answer."""
    ready = threading.Barrier(len(calls))

    def answer(call: Callable[[], T]) -> T | Exception:
        ready.wait(10)
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - what the call raised is its answer
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(answer, calls))
