"""An org, a recorder in front of it, our gateway and Genesys' client; both go by the recorder."""

from collections.abc import Iterator
from typing import Any

import pytest

from knowngood.genesys.connect import connect
from knowngood.genesys.platform.gateway import PlatformGateway
from knowngood.settings import Settings
from simulator.client import SimulatorControl
from simulator.server import running
from tests.conformance.cases import ACTION, DATATABLE, INPUT, PROMPT, QUEUE, SCHEDULE
from tests.conformance.recorder import Recorder
from tests.conformance.sdk import SDK


@pytest.fixture(scope="session")
def org_url() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture
def org(org_url: str) -> Iterator[SimulatorControl]:
    with SimulatorControl(org_url) as control:
        control.reset()
        control.put_queue(QUEUE)
        control.put_action(ACTION)
        for kind, resource in (
            ("prompts", PROMPT),
            ("schedules", SCHEDULE),
            ("datatables", DATATABLE),
        ):
            control.put_resource(kind, resource)
        yield control


@pytest.fixture
def flow(org: SimulatorControl) -> str:
    needs = [{"type": "QUEUE", "id": QUEUE}, {"type": "USERPROMPT", "id": PROMPT}]
    made = org.create_flow(
        queues=[QUEUE],
        versions=[
            {"created_at": "2026-11-01T00:00:00Z", "dependencies": needs},
            {"created_at": "2026-11-02T00:00:00Z"},
        ],
    )
    return str(made["id"])


@pytest.fixture
def recorder(org_url: str) -> Iterator[Recorder]:
    server = Recorder(org_url)
    yield server
    server.close()


@pytest.fixture
def client(org: SimulatorControl, recorder: Recorder) -> Any:
    """Genesys' own client, unmodified, with a token."""
    SDK.configuration.host = recorder.url
    client = SDK.ApiClient().get_client_credentials_token("simulator", "simulator")
    recorder.exchanges.clear()
    return client


@pytest.fixture
def settings(recorder: Recorder) -> Settings:
    return Settings(
        _env_file=None,
        genesys_api="platform",
        genesys_base_url=recorder.url,
        genesys_client_id="simulator",
        genesys_client_secret="simulator",
        genesys_callers={"*": {"queues": [QUEUE]}},
        genesys_test_actions={ACTION: INPUT},
    )


@pytest.fixture
def gateway(org: SimulatorControl, settings: Settings) -> Iterator[PlatformGateway]:
    """Our gateway, as the settings make it."""
    made = connect(settings)
    assert isinstance(made, PlatformGateway)
    yield made
    made.close()
