"""The guide's dialect."""

from typing import Any

import httpx
import pytest

from simulator.client import SimulatorControl

FLOWS = "/api/v2/architect/flows"


def put(api: httpx.Client, flow: str, version: str) -> httpx.Response:
    body = {"name": "Main line", "version": {"versionId": version}, "status": "PUBLISHED"}
    return api.put(f"{FLOWS}/{flow}", json=body)


def post_publish(api: httpx.Client, flow: str, version: str) -> httpx.Response:
    return api.post(f"{FLOWS}/{flow}/versions/{version}/publish")


def shown(api: httpx.Client, flow: str) -> dict[str, Any]:
    version: dict[str, Any] = api.get(f"{FLOWS}/{flow}").json()["version"]
    return version


def test_a_flow_shows_its_live_version_and_its_history_newest_first(
    api: httpx.Client, flow: str
) -> None:
    body = api.get(f"{FLOWS}/{flow}").json()
    assert body["id"] == flow
    assert body["version"]["versionId"] == "2.0"
    assert body["version"]["status"] == "PUBLISHED"
    assert [v["versionId"] for v in body["versions"]] == ["2.0", "1.0"]


def test_an_entry_may_lack_its_creation_time(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.set_version(flow, "1.0", show_created_at=False)
    newest, oldest = api.get(f"{FLOWS}/{flow}").json()["versions"]
    assert "createdAt" in newest
    assert "createdAt" not in oldest


def test_put_alone_leaves_callers_where_they_are(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    assert put(api, flow, "1.0").status_code == 200
    assert shown(api, flow)["status"] == "ACTIVATED"
    assert control.live(flow) == "2.0"
    left = control.invariants()["flows_left_activated"]
    assert [(each["flow"], each["version"]) for each in left] == [(flow, "1.0")]


def test_publishing_takes_its_time_and_then_moves_the_callers(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.settings(publishing_seconds=60)
    put(api, flow, "1.0")
    assert post_publish(api, flow, "1.0").json()["status"] == "PUBLISHING"
    assert shown(api, flow)["status"] == "PUBLISHING"
    assert control.live(flow) == "2.0"
    control.advance(61)
    assert shown(api, flow)["status"] == "PUBLISHED"
    assert control.live(flow) == "1.0"
    assert control.invariants()["flows_left_activated"] == []


def test_a_failed_publication_leaves_the_version_activated(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.fail_publish()
    put(api, flow, "1.0")
    post_publish(api, flow, "1.0")
    assert shown(api, flow) | {"createdAt": ""} == {
        "versionId": "1.0",
        "status": "ACTIVATED",
        "createdAt": "",
    }
    assert control.live(flow) == "2.0"


def test_a_snapshot_is_a_draft_that_changes_nothing(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    body = {"description": "before release 7, v_hotfix", "status": "DRAFT"}
    made = api.post(f"{FLOWS}/{flow}/versions", json=body).json()
    assert made["versionId"] == "3.0"
    entry = api.get(f"{FLOWS}/{flow}").json()["versions"][0]
    assert (entry["status"], entry["tags"]) == ("DRAFT", ["v_hotfix"])
    assert control.live(flow) == "2.0"


@pytest.mark.parametrize("kind", ["user", "deployment"])
def test_a_lock_refuses_snapshots_with_409_and_publishing_with_423(
    api: httpx.Client, control: SimulatorControl, flow: str, kind: str
) -> None:
    control.lock(flow, by={"id": "u-1", "name": "Alex", "kind": kind})
    locks = api.get(f"{FLOWS}/{flow}/locks").json()
    assert locks["lockedBy"] == {"id": "u-1", "name": "Alex", "type": kind}
    assert api.post(f"{FLOWS}/{flow}/versions", json={}).status_code == 409
    assert post_publish(api, flow, "1.0").status_code == 423
    counters = control.invariants()
    assert counters["publishes_refused_by_lock"] == 1
    assert counters["publishes_over_anothers_lock"] == 0
    control.unlock(flow)
    assert api.get(f"{FLOWS}/{flow}/locks").json()["locked"] is False


def test_a_lock_with_an_end_ends(api: httpx.Client, control: SimulatorControl, flow: str) -> None:
    control.lock(flow, seconds=60)
    assert api.get(f"{FLOWS}/{flow}/locks").json()["locked"] is True
    control.advance(61)
    assert api.get(f"{FLOWS}/{flow}/locks").json()["locked"] is False


def test_a_publication_over_anothers_lock_is_counted_when_locks_are_not_enforced(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.settings(enforce_locks=False)
    control.lock(flow)
    put(api, flow, "1.0")
    assert post_publish(api, flow, "1.0").status_code == 200
    assert control.invariants()["publishes_over_anothers_lock"] == 1


def test_a_missing_flow_and_a_missing_version_are_told_apart(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.delete_version(flow, "1.0")
    gone = put(api, flow, "1.0")
    assert (gone.status_code, gone.json()["code"]) == (404, "version.not.found")
    assert post_publish(api, flow, "1.0").status_code == 404
    nowhere = put(api, "no-such-flow", "1.0")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "flow.not.found")


def test_publishing_what_nobody_activated_is_accepted_and_counted(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    assert post_publish(api, flow, "1.0").status_code == 200
    counters = control.invariants()
    assert counters["publishes_not_activated"] == 1
    assert counters["evidence"][0]["version"] == "1.0"


def test_repeated_writes_are_counted(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.settings(publishing_seconds=60)
    for _ in range(2):
        put(api, flow, "1.0")
    for _ in range(3):
        post_publish(api, flow, "1.0")
    counters = control.invariants()
    assert counters["repeated_activations"] == 1
    assert counters["repeated_publishes"] == 2
    assert counters["publishes_not_activated"] == 0


@pytest.mark.parametrize("body", ["{", "[]", "{}", '{"version": "1.0", "status": "PUBLISHED"}'])
def test_a_body_that_makes_no_sense_is_refused(api: httpx.Client, flow: str, body: str) -> None:
    answer = api.put(f"{FLOWS}/{flow}", content=body)
    assert answer.status_code == 400
    assert answer.json()["contextId"] == answer.headers["ININ-Correlation-Id"]


def test_queues_endpoints_and_the_test_call_answer_as_set(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    queue = control.flow(flow)["queues"][0]
    assert api.get(f"/api/v2/routing/queues/{queue}").status_code == 200
    control.delete_queue(queue)
    assert api.get(f"/api/v2/routing/queues/{queue}").status_code == 404
    assert api.get("/outside/crm").status_code == 200
    control.put_endpoint("crm", status=503)
    assert api.get("/outside/crm").status_code == 503
    control.put_test_call(status=502, version="1.0")
    call = f"/outside/testcall?flow={flow}"
    assert api.post(f"{call}&version=2.0").json()["ok"] is True
    assert api.post(f"{call}&version=1.0").status_code == 502
    assert [each["version"] for each in control.executions()] == ["2.0", "1.0"]
