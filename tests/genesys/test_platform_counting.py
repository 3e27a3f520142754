"""Counting callers by the aggregate queries, in as few as the org takes."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from knowngood.errors import ApiUnavailable, BadAnswer
from knowngood.genesys.platform.gateway import PlatformGateway
from knowngood.genesys.port import FlowCounts
from simulator.client import SimulatorControl
from tests.genesys.conftest import MakeGateway

PATHS = {"flows": "/flows/aggregates/", "conversations": "/conversations/aggregates/"}


def counted(
    gateway: PlatformGateway, org: SimulatorControl, *flows: str, seconds: float = 300
) -> Mapping[str, FlowCounts]:
    end = datetime.fromtimestamp(org.now(), UTC).replace(microsecond=0)
    return gateway.count(flows, end - timedelta(seconds=seconds), end)


def queries(org: SimulatorControl, kind: str = "flows") -> list[int]:
    """How many values each query named, of those that the org took."""
    return [
        len(entry["body"]["filter"]["predicates"])
        for entry in org.requests(job="kpis")
        if PATHS[kind] in entry["path"] and entry["status"] == 200
    ]


def make(org: SimulatorControl, **more: object) -> str:
    given: dict[str, object] = {
        "versions": [{"age_seconds": 3_600}],
        "calls_per_minute": 600,
        **more,
    }
    return str(org.create_flow(**given)["id"])


def test_one_flow_is_counted_as_the_guide_s_dialect_counts_it(
    gateway: PlatformGateway, org: SimulatorControl
) -> None:
    quality = {"error_rate": 0.2, "abandon_rate": 0.1, "average_duration": 90.0}
    flow = make(org, versions=[{"age_seconds": 3_600, "quality": quality}])
    found = counted(gateway, org, flow)[flow]
    assert found.total_calls is not None
    assert found.total_calls > 2_000
    assert found.error_count == pytest.approx(0.2 * found.total_calls, rel=0.2)
    assert found.average_duration == pytest.approx(90, rel=0.1)
    assert found.failed_outcomes == found.error_count
    assert found.outcomes == found.total_calls
    assert found.version_id == "1.0"
    assert (found.answered_calls, found.abandoned_calls) == (None, None)


def test_calls_on_two_versions_are_counted_together_and_name_neither(
    gateway: PlatformGateway, org: SimulatorControl
) -> None:
    flow = make(org)
    org.deploy(flow)
    org.advance(120)
    assert counted(gateway, org, flow)[flow].version_id is None


def test_a_flow_that_nobody_called_is_absent(
    gateway: PlatformGateway, org: SimulatorControl
) -> None:
    quiet, busy = make(org, calls_per_minute=0), make(org)
    assert set(counted(gateway, org, quiet, busy, "none")) == {busy}


def test_many_flows_share_a_query(gateway: PlatformGateway, org: SimulatorControl) -> None:
    flows = [make(org) for _ in range(4)] + [f"none-{number}" for number in range(246)]
    assert len(counted(gateway, org, *flows)) == 4
    assert queries(org) == [100, 100, 50]


def test_a_query_that_is_refused_is_halved_and_the_size_that_worked_is_kept(
    gateway: PlatformGateway, org: SimulatorControl
) -> None:
    org.settings(max_predicates=30)
    flows = [make(org)] + [f"none-{number}" for number in range(99)]
    assert len(counted(gateway, org, *flows)) == 1
    assert queries(org) == [25, 25, 25, 25]
    org.clear_requests()
    counted(gateway, org, *flows)
    assert [entry["status"] for entry in org.requests(job="kpis")] == [200] * 4


def test_what_is_refused_for_a_single_flow_is_not_asked_for_each(
    gateway: PlatformGateway, org: SimulatorControl
) -> None:
    org.fault({"status": 413}, match={"job": "kpis"}, times=-1)
    with pytest.raises(BadAnswer):
        counted(gateway, org, *(f"flow-{number}" for number in range(100)))
    assert len(org.requests(job="kpis")) == 8
    org.clear_faults()
    org.clear_requests()
    counted(gateway, org, *(f"flow-{number}" for number in range(100)))
    assert queries(org) == [100]


@pytest.mark.parametrize("by", ["queues", "dnis"])
def test_abandonment_and_speed_of_answer_come_from_what_the_settings_name(
    connected: MakeGateway, org: SimulatorControl, by: str
) -> None:
    quality = {"abandon_rate": 0.25, "asa_seconds": 30.0}
    flow = make(org, queues=["q1"], versions=[{"age_seconds": 3_600, "quality": quality}])
    org.set_flow(flow, dnis="+15550001")
    place = {"queues": ["q1"], "dnis": ["+15550001"]}[by]
    found = counted(connected(genesys_callers={flow: {by: place}}), org, flow)[flow]
    assert found.abandoned_calls is not None
    assert found.answered_calls is not None
    assert found.abandoned_calls == pytest.approx(0.25 * (found.total_calls or 0), rel=0.2)
    assert found.answered_calls + found.abandoned_calls == found.total_calls
    assert found.average_speed_of_answer == pytest.approx(30, rel=0.1)


def test_places_of_many_flows_share_a_query_too(
    connected: MakeGateway, org: SimulatorControl
) -> None:
    flows = [make(org, queues=[f"q{number}"]) for number in range(3)]
    named = {flow: {"queues": [f"q{number}"]} for number, flow in enumerate(flows)}
    counted(connected(genesys_callers=named), org, *flows)
    assert queries(org, "conversations") == [3]


def test_those_who_hang_up_inside_are_abandoned_only_where_a_setting_says_so(
    connected: MakeGateway, org: SimulatorControl
) -> None:
    quality = {"abandon_rate": 0.25}
    flow = make(org, versions=[{"age_seconds": 3_600, "quality": quality}])
    found = counted(connected(genesys_callers={"*": {"inside": True}}), org, flow)[flow]
    assert found.abandoned_calls == pytest.approx(0.25 * (found.total_calls or 0), rel=0.2)
    assert found.answered_calls is None


def test_an_outage_is_an_outage(gateway: PlatformGateway, org: SimulatorControl) -> None:
    org.traffic(analytics_outage=True)
    with pytest.raises(ApiUnavailable, match="503"):
        counted(gateway, org, make(org))
