"""Checking what a target needs: what is asked for, what the API vouches for, what is left out."""

from collections.abc import Iterator, Sequence

import pytest

from knowngood.errors import ApiUnavailable, DependencyBroken
from knowngood.genesys.connect import connect
from knowngood.genesys.port import Dependency, DependencyCheck, DependencyKind, DependencyVerdict
from knowngood.runs.dependencies import MOST, check_all
from knowngood.settings import Settings
from simulator.client import SimulatorControl
from simulator.server import running


@pytest.fixture
def org() -> Iterator[SimulatorControl]:
    with running() as url, SimulatorControl(url) as control:
        yield control


def checked(
    org: SimulatorControl, flow: str, recorded: Sequence[Dependency] = (), *, last_try: bool = True
) -> dict[str, DependencyCheck]:
    settings = Settings(
        _env_file=None,
        genesys_api="platform",
        genesys_base_url=org.base_url,
        genesys_client_id="simulator",
        genesys_client_secret="simulator",
    )
    gateway = connect(settings)
    try:
        found = check_all(
            gateway,
            settings,
            flow_id=flow,
            version_id="1.0",
            recorded=recorded,
            last_try=last_try,
        )
    finally:
        gateway.close()
    return {check.dependency.target: check for check in found}


def using(org: SimulatorControl, *queues: str, exist: bool = True) -> str:
    for queue in queues if exist else ():
        org.put_queue(queue)
    needs = [{"type": "QUEUE", "id": queue} for queue in queues]
    return str(org.create_flow(versions=[{"dependencies": needs}])["id"])


def asked(org: SimulatorControl) -> int:
    return sum("/routing/queues/" in entry["path"] for entry in org.requests())


def queue(target: str) -> Dependency:
    return Dependency(kind=DependencyKind.QUEUE, target=target)


def test_what_tracking_vouches_for_is_not_asked_for(org: SimulatorControl) -> None:
    flow = using(org, *(f"q{number}" for number in range(200)))
    assert checked(org, flow, [queue("q1")]) == {}
    assert asked(org) == 0


def test_what_tracking_does_not_know_is_asked_for(org: SimulatorControl) -> None:
    org.put_queue("elsewhere")
    found = checked(org, using(org, "q1"), [queue("elsewhere")])
    assert [check.verdict for check in found.values()] == [DependencyVerdict.OK]
    assert asked(org) == 1


def test_hundreds_are_not_asked_for_one_by_one_and_the_rest_is_called_unknown(
    org: SimulatorControl,
) -> None:
    flow = using(org, *(f"q{number}" for number in range(200)))
    org.settings(dependency_tracking_rebuilding=True)
    found = checked(org, flow)
    assert asked(org) == MOST
    verdicts = [check.verdict for check in found.values()]
    assert verdicts.count(DependencyVerdict.OK) == MOST
    assert verdicts.count(DependencyVerdict.UNKNOWN) == 200 - MOST


def test_what_was_deleted_breaks_it_once_though_it_was_recorded_too(
    org: SimulatorControl,
) -> None:
    flow = using(org, "gone", exist=False)
    with pytest.raises(ApiUnavailable):
        checked(org, flow, last_try=False)
    with pytest.raises(DependencyBroken) as broken:
        checked(org, flow, [queue("gone")])
    assert broken.value.message.count("is broken") == 1
    assert asked(org) == 0
