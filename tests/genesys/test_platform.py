"""The Platform API's adapter: what it makes of an org's answers, and what it never sends."""

import pytest

from knowngood.errors import (
    AccessDenied,
    ApiUnavailable,
    BadAnswer,
    FlowConflict,
    FlowGone,
    FlowLocked,
    VersionGone,
)
from knowngood.genesys.platform.calls import CALLS
from knowngood.genesys.platform.gateway import PlatformGateway
from knowngood.genesys.port import VersionStatus
from simulator.client import SimulatorControl
from tests.genesys.conftest import MakeGateway


def unfenced() -> None:
    """Let the write pass."""


def posts(org: SimulatorControl) -> list[int]:
    return [entry["status"] for entry in org.requests(job="publish")]


def test_nothing_is_ever_written_but_a_publish() -> None:
    writing = {call.path for call in CALLS if call.method != "GET"}
    queries = {
        "/api/v2/analytics/flows/aggregates/query",
        "/api/v2/analytics/conversations/aggregates/query",
        "/api/v2/integrations/actions/{actionId}/test",
    }
    assert writing - queries == {"/api/v2/flows/actions/publish"}


# Reading


def test_a_flow_shows_what_is_live_and_its_history_newest_first(
    gateway: PlatformGateway, flow: str
) -> None:
    found = gateway.read_flow(flow)
    assert found.is_live("2.0")
    assert [version.version_id for version in found.versions] == ["2.0", "1.0"]
    assert {version.status for version in found.versions} == {VersionStatus.PUBLISHED}
    assert found.versions[0].created_at is not None


def test_all_pages_of_versions_are_read(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    for _ in range(130):
        org.add_version(flow, status="DRAFT", age_seconds=30)
    found = gateway.read_flow(flow)
    assert len(found.versions) == 132
    assert found.versions[0].version_id == "132.0"
    assert found.versions[0].status is VersionStatus.OTHER


def test_a_draft_is_no_version(gateway: PlatformGateway, org: SimulatorControl, flow: str) -> None:
    draft = org.add_version(flow, id="saved_version_8d1c", status="DRAFT")
    assert draft not in {version.version_id for version in gateway.read_flow(flow).versions}
    with pytest.raises(VersionGone, match="draft"):
        gateway.activate(flow, "", draft, fence=unfenced)


def test_without_history_the_versions_are_not_asked_for(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    assert gateway.read_flow(flow, history=False).versions == ()
    assert org.requests(job="list_versions") == []


def test_a_flow_that_was_deleted_or_never_was_is_gone(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    org.set_flow(flow, deleted=True)
    for flow_id in (flow, "none"):
        with pytest.raises(FlowGone):
            gateway.read_flow(flow_id)
        with pytest.raises(FlowGone):
            gateway.activate(flow_id, "", "1.0", fence=unfenced)


@pytest.mark.parametrize("kind", ["user", "client"])
def test_a_lock_names_its_holder(
    gateway: PlatformGateway, org: SimulatorControl, flow: str, kind: str
) -> None:
    assert gateway.read_lock(flow) is None
    org.lock(flow, by={"id": "a1", "name": "Ada", "kind": kind})
    assert str(gateway.read_lock(flow)) == str(gateway.read_flow(flow).lock) == f"{kind} Ada"


def test_an_operation_under_way_is_a_conflict_and_says_whose(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    org.foreign_operation(flow, action="CHECKIN", seconds=60)
    with pytest.raises(FlowConflict, match="CHECKIN by user Alex Editor"):
        gateway.read_lock(flow)


# Publishing


@pytest.mark.parametrize("status", [200, 202])
def test_a_publish_gives_its_operation_and_is_followed_by_it(
    gateway: PlatformGateway, org: SimulatorControl, flow: str, status: int
) -> None:
    org.settings(publish_status=status, publishing_seconds=100)
    operation = gateway.publish(flow, "1.0", fence=unfenced)
    assert posts(org) == [status]
    under_way = gateway.read_flow(flow, history=False)
    assert under_way.publishing
    assert under_way.is_live("2.0")
    assert under_way.operation is not None
    assert (under_way.operation.operation_id, under_way.operation.own) == (operation, True)
    org.advance(101)
    done = gateway.read_flow(flow, history=False)
    assert done.is_live("1.0")
    assert not done.publishing


def test_a_publish_that_failed_tells_why(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    org.fail_publish(code="flow.invalid", message="A queue is missing.")
    gateway.publish(flow, "1.0", fence=unfenced)
    found = gateway.read_flow(flow, history=False)
    assert found.is_live("2.0")
    assert found.operation is not None
    assert found.operation.failure == "A queue is missing., flow.invalid"


def test_what_is_live_already_is_not_published_again(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    assert gateway.publish(flow, "2.0", fence=unfenced) is None
    assert posts(org) == []


def test_a_version_that_does_not_exist_is_never_published(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    for attempt in (gateway.activate, gateway.publish):
        arguments = (flow, "") if attempt == gateway.activate else (flow,)
        with pytest.raises(VersionGone) as gone:
            attempt(*arguments, "99.0", fence=unfenced)  # type: ignore[call-arg]
        assert gone.value.version_id == "99.0"
    assert posts(org) == []


def test_another_s_lock_is_never_published_over(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    # Whether Genesys itself refuses it is not known: here it does not.
    org.settings(enforce_locks=False)
    org.lock(flow, by="Ada")
    with pytest.raises(FlowLocked) as locked:
        gateway.publish(flow, "1.0", fence=unfenced)
    assert locked.value.holder == "user Ada"
    assert posts(org) == []


def test_a_409_is_told_apart_by_reading_the_flow_again(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    with pytest.raises(FlowLocked, match="locked by user Ada"):
        gateway.publish(flow, "1.0", fence=lambda: org.lock(flow, by="Ada") and None)
    org.unlock(flow)

    def begin() -> None:
        org.foreign_operation(flow, action="VALIDATE", seconds=60)

    with pytest.raises(FlowConflict, match="VALIDATE by user Alex Editor is under way"):
        gateway.publish(flow, "1.0", fence=begin)
    org.advance(61)
    org.fault({"status": 409}, match={"job": "publish"})
    with pytest.raises(FlowConflict, match="409"):
        gateway.publish(flow, "1.0", fence=unfenced)
    assert posts(org) == [409, 409, 409]


@pytest.mark.parametrize(
    "effect",
    [{"drop": "after"}, {"status": 504, "apply": True}, {"latency": 1.5}, {"drop": "before"}],
)
def test_a_publish_without_an_answer_is_ambiguous_and_sent_once(
    gateway: PlatformGateway, org: SimulatorControl, flow: str, effect: dict[str, object]
) -> None:
    org.fault(effect, match={"job": "publish"})
    with pytest.raises(ApiUnavailable) as lost:
        gateway.publish(flow, "1.0", fence=unfenced)
    assert lost.value.ambiguous
    assert len(posts(org)) == 1


def test_the_fence_stands_between_the_last_reading_and_the_write(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    seen: list[str] = []
    gateway.publish(flow, "1.0", fence=lambda: seen.extend(org.jobs()))
    assert seen[-2:] == ["read_version", "read_flow"]
    assert org.jobs()[-1] == "publish"


# Snapshots


def test_a_snapshot_only_reads_the_live_version(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    assert gateway.save_snapshot(flow, "before the deployment").version_id == "2.0"
    assert {entry["method"] for entry in org.requests(flow=flow)} == {"GET"}


def test_a_digest_tells_one_content_from_another_and_not_its_order(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    ordered, other = {"a": 1, "b": [1, 2]}, {"a": 1, "b": [2, 1]}
    versions = [
        org.deploy(flow, configuration=each)
        for each in (ordered, dict(reversed(ordered.items())), other)
    ]
    first, same, changed = (gateway.configuration_digest(flow, each) for each in versions)
    assert first == same != changed


def test_a_snapshot_waits_for_a_publish_under_way(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    org.foreign_operation(flow, action="PUBLISH", seconds=60)
    with pytest.raises(FlowConflict):
        gateway.save_snapshot(flow, "")


def test_a_flow_that_was_never_published_has_nothing_to_record(
    gateway: PlatformGateway, org: SimulatorControl
) -> None:
    fresh = str(org.create_flow(versions=[{"status": "DRAFT"}])["id"])
    assert gateway.read_flow(fresh).active is None
    with pytest.raises(FlowGone, match="no published version"):
        gateway.save_snapshot(fresh, "")


# Permissions


@pytest.mark.parametrize(
    ("permission", "ask"),
    [
        ("architect:flow:view", lambda gateway, flow: gateway.read_flow(flow)),
        (
            "architect:flow:publish",
            lambda gateway, flow: gateway.publish(flow, "1.0", fence=unfenced),
        ),
    ],
)
def test_a_missing_permission_is_named(
    connected: MakeGateway, org: SimulatorControl, flow: str, permission: str, ask: object
) -> None:
    org.oauth(remove_permissions=[permission, "architect:flow:unlock"])
    with pytest.raises(AccessDenied) as denied:
        ask(connected(), flow)  # type: ignore[operator]
    assert permission in denied.value.action


# Trying the org


def test_an_export_that_differs_each_time_is_told(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    (probe,) = [each for each in gateway.probes(flow) if each.name == "configuration"]
    assert "the same digest" in probe.ask()
    other = {"status": 200, "body": {"exportedAt": "now"}}
    org.fault(other, match={"job": "read_configuration"}, after=1)
    with pytest.raises(BadAnswer, match="different content"):
        probe.ask()
    assert not probe.needed


def test_an_org_that_hides_its_roles_policies_leaves_the_publish_open(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    (probe,) = [each for each in gateway.probes(flow) if each.name == "publish"]
    body = {"grants": [{"role": {"id": "r"}}]}
    org.fault({"status": 200, "body": body}, match={"path": "subjects/me"})
    assert "does not tell" in probe.ask()
    org.fault({"status": 200, "body": {"grants": []}}, match={"path": "subjects/me"})
    with pytest.raises(AccessDenied) as denied:
        probe.ask()
    assert denied.value.permissions == ("architect:flow:publish",)
    assert posts(org) == []
