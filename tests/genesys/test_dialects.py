"""Both dialects are words for the same org: what one changes, the other sees."""

from datetime import UTC, datetime, timedelta

import pytest

from knowngood.genesys.port import FlowGateway
from simulator.client import SimulatorControl
from tests.genesys.conftest import MakeGateway


@pytest.fixture
def both(connected: MakeGateway) -> dict[str, FlowGateway]:
    return {api: connected(genesys_api=api) for api in ("guide", "platform")}


def unfenced() -> None:
    """Let the write pass."""


@pytest.mark.parametrize(("one", "other"), [("guide", "platform"), ("platform", "guide")])
def test_a_flow_changed_through_one_dialect_is_seen_through_the_other(
    both: dict[str, FlowGateway], flow: str, one: str, other: str
) -> None:
    both[one].activate(flow, "Flow", "1.0", fence=unfenced)
    both[one].publish(flow, "1.0", fence=unfenced)
    seen = both[other].read_flow(flow)
    assert seen.is_live("1.0")
    assert {version.version_id for version in seen.versions} == {"1.0", "2.0"}


def test_a_publish_under_way_is_seen_in_both(
    both: dict[str, FlowGateway], org: SimulatorControl, flow: str
) -> None:
    org.settings(publishing_seconds=60)
    both["platform"].publish(flow, "1.0", fence=unfenced)
    for gateway in both.values():
        assert gateway.read_flow(flow).publishing
        assert not gateway.read_flow(flow).is_live("1.0")


def test_a_lock_is_seen_in_both(
    both: dict[str, FlowGateway], org: SimulatorControl, flow: str
) -> None:
    org.lock(flow, by="Ada")
    assert {str(gateway.read_lock(flow)) for gateway in both.values()} == {"user Ada"}


def test_both_count_the_same_callers(
    both: dict[str, FlowGateway], org: SimulatorControl, flow: str
) -> None:
    org.set_flow(flow, calls_per_minute=600)
    org.advance(600)
    end = datetime.fromtimestamp(org.now(), UTC).replace(microsecond=0)
    start = end - timedelta(minutes=5)
    guide, platform = (gateway.count([flow], start, end)[flow] for gateway in both.values())
    assert (guide.total_calls, guide.error_count) == (platform.total_calls, platform.error_count)
    assert guide.average_duration == pytest.approx(platform.average_duration, rel=0.01)


@pytest.mark.parametrize("api", ["guide", "platform"])
def test_every_probe_of_a_whole_org_succeeds(
    both: dict[str, FlowGateway], flow: str, api: str
) -> None:
    assert all(probe.ask() for probe in both[api].probes(flow))
