"""What a version uses: tracked, read from its manifest, or not to be known; never guessed."""

from typing import Any

import pytest

from knowngood.genesys.platform.gateway import PlatformGateway
from knowngood.genesys.port import Dependency, DependencyKind, DependencyVerdict
from simulator.client import SimulatorControl
from tests.genesys.conftest import MakeGateway

NEEDS = [
    {"type": "QUEUE", "id": "q1", "name": "Care"},
    {"type": "DATAACTION", "id": "a1"},
    {"type": "USERPROMPT", "id": "p1"},
]


@pytest.fixture
def needy(org: SimulatorControl) -> str:
    """A flow whose version uses a queue, a data action and a prompt, all of which exist."""
    org.put_queue("q1", name="Care")
    org.put_action("a1")
    org.put_resource("prompts", "p1")
    return str(org.create_flow(versions=[{"dependencies": NEEDS}, {}])["id"])


def kinds(found: tuple[Dependency, ...]) -> dict[str, str]:
    return {each.target: str(each.kind) for each in found}


EVERY_KIND = {"q1": "queue", "a1": "data_action", "p1": "prompt"}


def test_dependency_tracking_vouches_for_what_a_version_uses(
    gateway: PlatformGateway, needy: str
) -> None:
    found = gateway.dependencies(needy, "1.0")
    assert kinds(found.present) == EVERY_KIND
    assert (found.items, found.gone, found.complete) == ((), (), True)
    assert gateway.dependencies(needy, "2.0").present == ()


def test_what_was_deleted_is_told_apart(
    gateway: PlatformGateway, org: SimulatorControl, needy: str
) -> None:
    org.delete_queue("q1")
    found = gateway.dependencies(needy, "1.0")
    assert [str(each) for each in found.gone] == ["queue Care"]
    assert set(kinds(found.present)) == {"a1", "p1"}


def test_what_tracking_cannot_know_is_left_to_be_asked_for(
    connected: MakeGateway, org: SimulatorControl, flow: str
) -> None:
    needs = [{"type": "DATAACTION", "id": "a1"}, {"type": "COMMONMODULEFLOW", "id": flow}]
    org.put_action("a1")
    caller = str(org.create_flow(versions=[{"dependencies": needs}])["id"])
    assert kinds(connected().dependencies(caller, "1.0").items) == {flow: "flow"}
    named = connected(genesys_test_actions={"a1": {}})
    assert kinds(named.dependencies(caller, "1.0").items) == {flow: "flow", "a1": "data_action"}


def test_while_tracking_is_rebuilt_the_manifest_is_read_and_the_answer_is_incomplete(
    gateway: PlatformGateway, org: SimulatorControl, needy: str
) -> None:
    org.settings(dependency_tracking_rebuilding=True)
    found = gateway.dependencies(needy, "1.0")
    assert kinds(found.items) == EVERY_KIND
    assert (found.complete, found.gone) == (False, ())


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_so_it_is_when_tracking_cannot_be_asked(
    gateway: PlatformGateway, org: SimulatorControl, needy: str, status: int
) -> None:
    org.fault({"status": status}, match={"path": "consumedresources"})
    found = gateway.dependencies(needy, "1.0")
    assert kinds(found.items) == EVERY_KIND
    assert not found.complete


def test_all_pages_are_read(gateway: PlatformGateway, org: SimulatorControl) -> None:
    many = [{"type": "QUEUE", "id": f"q{number}"} for number in range(130)]
    flow = str(org.create_flow(versions=[{"dependencies": many}])["id"])
    assert len(gateway.dependencies(flow, "1.0").gone) == 130


def dependency(kind: str, target: str) -> Dependency:
    return Dependency(kind=DependencyKind(kind), target=target)


@pytest.mark.parametrize(
    ("kind", "target", "verdict"),
    [
        ("queue", "q1", "ok"),
        ("queue", "gone", "broken"),
        ("prompt", "p1", "ok"),
        ("prompt", "gone", "broken"),
        ("schedule", "gone", "broken"),
        ("datatable", "gone", "broken"),
        ("data_action", "a1", "ok"),
        ("data_action", "gone", "broken"),
        ("flow", "gone", "broken"),
        ("other", "whatever", "unknown"),
    ],
)
def test_each_kind_is_asked_for(
    gateway: PlatformGateway, needy: str, kind: str, target: str, verdict: str
) -> None:
    assert gateway.check_dependency(dependency(kind, target)).verdict == verdict


def test_a_flow_that_others_call_must_be_published(
    gateway: PlatformGateway, org: SimulatorControl, flow: str
) -> None:
    draft = str(org.create_flow(versions=[{"status": "DRAFT"}])["id"])
    assert gateway.check_dependency(dependency("flow", flow)).verdict is DependencyVerdict.OK
    unpublished = gateway.check_dependency(dependency("flow", draft))
    assert unpublished.verdict is DependencyVerdict.BROKEN
    assert "no published version" in unpublished.detail


def test_a_permission_that_is_missing_for_it_leaves_a_dependency_unknown(
    gateway: PlatformGateway, org: SimulatorControl, needy: str
) -> None:
    org.oauth(remove_permissions=["routing:queue:view"])
    check = gateway.check_dependency(dependency("queue", "q1"))
    assert check.verdict is DependencyVerdict.UNKNOWN
    assert "routing:queue:view" in check.detail


def test_a_data_action_is_executed_only_where_a_setting_names_it(
    connected: MakeGateway, org: SimulatorControl, needy: str
) -> None:
    connected().check_dependency(dependency("data_action", "a1"))
    assert org.executions() == []
    named = connected(genesys_test_actions={"a1": {"customerId": "42"}})
    assert named.check_dependency(dependency("data_action", "a1")).verdict == "ok"
    assert [each["input"] for each in org.executions()] == [{"customerId": "42"}]


def test_a_data_action_whose_test_fails_is_broken(
    connected: MakeGateway, org: SimulatorControl, needy: str
) -> None:
    org.put_action("a1", success=False, error="no such customer")
    named = connected(genesys_test_actions={"a1": {}})
    check = named.check_dependency(dependency("data_action", "a1"))
    assert (check.verdict, check.detail) == ("broken", "its test failed: no such customer")


@pytest.mark.parametrize(
    "manifest", [None, [], {"queue": None}, {"queue": [None, {}, {"id": 7}]}, {"queue": "q1"}]
)
def test_a_manifest_in_another_shape_tells_nothing(
    gateway: PlatformGateway, org: SimulatorControl, manifest: Any
) -> None:
    flow = str(org.create_flow(versions=[{"configuration": {"manifest": manifest}}])["id"])
    org.settings(dependency_tracking_rebuilding=True)
    assert gateway.dependencies(flow, "1.0").items == ()
