"""Runs over HTTP: which there are, how one fares, and its end by a person's wish."""

from typing import Any

import httpx
import pytest

from knowngood.cli.output import run_document
from knowngood.runs.model import RollbackRequest, RunKind, RunState, SnapshotRequest, WatchRequest
from knowngood.runs.store import RunStore
from tests.api.conftest import Open
from tests.api.served import DEPLOY, READ
from tests.api.test_orders import problem

ROLLBACK = RunKind.ROLLBACK


@pytest.fixture
def reader(open_api: Open) -> httpx.Client:
    return open_api(READ)


def rollback(store: RunStore, flow_id: str = "f-1") -> str:
    return store.create(ROLLBACK, RollbackRequest(flow_id=flow_id, reason="a test")).run_id


def begin(store: RunStore, run_id: str, step: str) -> Any:
    return store.begin(run_id, store.get(run_id).token, ROLLBACK, step, "worker-1")[2]


def past(store: RunStore, run_id: str, *steps: str) -> None:
    for step in steps:
        claim = begin(store, run_id, step)
        store.finish_step(claim, store.get(run_id), {}, {})


def listed(reader: httpx.Client, **chosen: Any) -> list[str]:
    return [run["run_id"] for run in reader.get("/v1/runs", params=chosen).json()["runs"]]


def test_runs_are_listed_newest_first_and_filtered(reader: httpx.Client, store: RunStore) -> None:
    one = rollback(store, "f-1")
    two = store.create(RunKind.SNAPSHOT, SnapshotRequest(flow_id="f-1")).run_id
    three = store.create(RunKind.WATCH, WatchRequest(flow_id="f-2")).run_id
    begin(store, one, "acquire_lock")
    store.cancel(three, "a test")
    assert listed(reader) == [three, two, one]
    assert listed(reader, limit=1) == [three]
    assert listed(reader, flow="f-1") == [two, one]
    assert listed(reader, kind=["watch", "snapshot"]) == [three, two]
    assert listed(reader, state=["running", "cancelled"]) == [three, one]
    assert listed(reader, state="running", kind="snapshot") == []


@pytest.mark.parametrize(
    "wrong", [{"limit": 0}, {"limit": 501}, {"state": "done"}, {"flow": "../x"}, {"sate": "queued"}]
)
def test_a_filter_that_is_none_is_refused_and_named(
    reader: httpx.Client, wrong: dict[str, Any]
) -> None:
    document = problem(reader.get("/v1/runs", params=wrong), 422, "invalid-request")
    assert document["errors"][0]["field"].startswith(next(iter(wrong)))


def test_a_run_is_what_the_command_line_shows_with_its_steps_in_time(
    reader: httpx.Client, store: RunStore
) -> None:
    run_id = rollback(store)
    past(store, run_id, "acquire_lock", "select_target")
    document = reader.get(f"/v1/runs/{run_id}").json()
    shown = run_document(store.get(run_id))
    assert {name: document[name] for name in shown} == shown
    assert set(document) == set(shown) | {"steps", "watch"}
    steps = {step["name"]: step["state"] for step in document["steps"]}
    assert steps["select_target"] == "done"
    assert steps["publish"] == "pending"


def test_a_request_that_joined_another_run_leads_to_that_run(
    reader: httpx.Client, store: RunStore
) -> None:
    first = rollback(store)
    request = RollbackRequest(flow_id="f-1", reason="again")
    store.create(ROLLBACK, request, run_id="joined-it")
    assert reader.get("/v1/runs/joined-it").json()["run_id"] == first


def test_a_run_that_is_none_is_a_404_wherever_it_is_asked_for(api: httpx.Client) -> None:
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancel")):
        answer = api.request(method, f"/v1/runs/no-such{path}")
        assert "there is no run no-such" in problem(answer, 404, "no-such-run")["detail"]


def test_a_cancelled_run_stays_so_with_its_reason(api: httpx.Client, store: RunStore) -> None:
    run_id = rollback(store)
    for reason in ("a false alarm", "another one"):
        answer = api.post(f"/v1/runs/{run_id}/cancel", json={"reason": reason})
        assert answer.status_code == 200
        assert answer.json()["state"] == "cancelled"
    assert store.get(run_id).error == "a false alarm"


def test_without_a_reason_it_is_said_who_cancelled(open_api: Open, store: RunStore) -> None:
    run_id = store.create(RunKind.WATCH, WatchRequest(flow_id="f-1")).run_id
    assert open_api(DEPLOY).post(f"/v1/runs/{run_id}/cancel").status_code == 200
    assert store.get(run_id).error == "cancelled by api:deploy"


def test_a_run_that_changes_its_flow_or_has_ended_is_not_cancelled(
    api: httpx.Client, store: RunStore
) -> None:
    run_id = rollback(store)
    past(store, run_id, "acquire_lock", "select_target", "check_dependencies")
    claim = begin(store, run_id, "activate")
    answer = api.post(f"/v1/runs/{run_id}/cancel")
    assert "step activate is changing the flow" in problem(answer, 409, "cannot-cancel")["detail"]
    store.end(run_id, claim.token, RunState.FAILED, claim=claim.claim)
    answer = api.post(f"/v1/runs/{run_id}/cancel")
    assert problem(answer, 409, "cannot-cancel")["detail"] == "it has already ended: failed"


def test_to_cancel_a_rollback_takes_the_role_that_may_start_one(
    open_api: Open, store: RunStore
) -> None:
    run_id = rollback(store)
    deployer = open_api(DEPLOY)
    problem(deployer.post(f"/v1/runs/{run_id}/cancel"), 403, "role-too-low")
    problem(open_api(READ).post(f"/v1/runs/{run_id}/cancel"), 403, "role-too-low")
    assert store.get(run_id).state is RunState.QUEUED
