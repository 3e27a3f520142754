"""The gateway over a simulator on a real socket, reset before each test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from knowngood.genesys.connect import connect
from knowngood.genesys.platform.gateway import PlatformGateway
from knowngood.genesys.port import FlowGateway
from knowngood.settings import Settings
from simulator.client import SimulatorControl
from simulator.server import running

MakeGateway = Callable[..., Any]


@pytest.fixture(scope="session")
def org_url() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture
def org(org_url: str) -> Iterator[SimulatorControl]:
    with SimulatorControl(org_url) as control:
        control.reset()
        yield control


@pytest.fixture
def connected(org: SimulatorControl) -> Iterator[MakeGateway]:
    """Makes gateways with the settings that are given."""
    made: list[FlowGateway] = []

    def make(**more: Any) -> FlowGateway:
        given = {
            "genesys_api": "platform",
            "genesys_base_url": org.base_url,
            "genesys_client_id": "simulator",
            "genesys_client_secret": "simulator",
            "genesys_read_timeout": 1,
            **more,
        }
        gateway = connect(Settings(_env_file=None, **given))
        made.append(gateway)
        return gateway

    yield make
    for each in made:
        each.close()


@pytest.fixture
def gateway(connected: MakeGateway) -> PlatformGateway:
    gateway = connected()
    assert isinstance(gateway, PlatformGateway)
    return gateway


@pytest.fixture
def flow(org: SimulatorControl) -> str:
    """A flow that 1.0 served until 2.0 was deployed."""
    made = org.create_flow(versions=[{"age_seconds": 7_200}, {"age_seconds": 60}])
    return str(made["id"])
