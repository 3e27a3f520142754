"""Requests for runs: accepted once, refused at the door with what would be right."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from knowngood.runs.model import RunKind, RunState
from knowngood.runs.store import RunStore
from tests.api.conftest import Open
from tests.api.served import DEPLOY

FLOW = {"flow_id": "f-1"}
ROLLBACK = FLOW | {"reason": "errors after deploy 41"}


def problem(answer: Any, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["type"] == f"urn:knowngood:problem:{kind}"
    return document


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/v1/snapshots", RunKind.SNAPSHOT, FLOW | {"description": "before deploy 41"}),
        ("/v1/watches", RunKind.WATCH, FLOW | {"bake_time": 600, "dry_run": True}),
        ("/v1/rollbacks", RunKind.ROLLBACK, ROLLBACK),
    ],
)
def test_a_request_is_accepted_and_its_run_is_where_the_answer_says(
    open_api: Open, store: RunStore, path: str, kind: RunKind, body: dict[str, Any]
) -> None:
    api = open_api()
    answer = api.post(path, json=body)
    assert answer.status_code == 202
    run_id = answer.json()["run_id"]
    assert answer.headers["Location"] == f"/v1/runs/{run_id}"
    assert answer.json() == {"run_id": run_id, "joined": False, "repeated": False}
    assert api.get(answer.headers["Location"]).json()["state"] == "queued"
    run = store.get(run_id)
    assert (run.kind, run.flow_id, run.state) == (kind, "f-1", RunState.QUEUED)
    assert run.request.requested_by == "api:rollback"
    kept = run.request.model_dump(mode="json")
    assert {name: kept[name] for name in body} == body


def test_a_run_says_who_asked_when_the_caller_does(open_api: Open, store: RunStore) -> None:
    body = FLOW | {"requested_by": "jane@example.org"}
    run_id = open_api(DEPLOY).post("/v1/snapshots", json=body).json()["run_id"]
    assert store.get(run_id).request.requested_by == "jane@example.org"


def test_the_same_key_starts_one_run_and_another_request_with_it_is_refused(
    api: httpx.Client, store: RunStore
) -> None:
    key = {"Idempotency-Key": "deploy-41"}
    first = api.post("/v1/snapshots", json=FLOW, headers=key).json()
    again = api.post("/v1/snapshots", json=FLOW, headers=key).json()
    in_body = api.post("/v1/snapshots", json=FLOW | {"idempotency_key": "deploy-41"}).json()
    assert again == in_body == first | {"repeated": True}
    assert len(store.recent()) == 1
    other = api.post("/v1/snapshots", json={"flow_id": "f-2"}, headers=key)
    problem(other, 409, "idempotency-key-reused")
    assert len(store.recent()) == 1


def test_two_keys_that_differ_are_refused(api: httpx.Client, store: RunStore) -> None:
    body = FLOW | {"idempotency_key": "one"}
    answer = api.post("/v1/snapshots", json=body, headers={"Idempotency-Key": "two"})
    assert "the header Idempotency-Key says two" in answer.json()["detail"]
    assert not store.recent()


def test_a_second_rollback_of_a_flow_joins_the_first(api: httpx.Client) -> None:
    first = api.post("/v1/rollbacks", json=ROLLBACK).json()
    second = api.post("/v1/rollbacks", json=ROLLBACK).json()
    assert second == first | {"joined": True}


@pytest.mark.parametrize(
    ("path", "body", "field", "right"),
    [
        ("/v1/rollbacks", FLOW, "reason", "required"),
        ("/v1/rollbacks", {"flow_id": "../etc", "reason": "x"}, "flow_id", "a flow's id"),
        ("/v1/rollbacks", ROLLBACK | {"reason": ""}, "reason", "at least 1 character"),
        ("/v1/rollbacks", ROLLBACK | {"target": "2.0"}, "target", "not permitted"),
        ("/v1/watches", FLOW | {"interval": "60"}, "interval", "a valid number"),
        ("/v1/watches", FLOW | {"dry_run": "no"}, "dry_run", "a valid boolean"),
        ("/v1/watches", FLOW | {"policy": "guess"}, "policy", "threshold"),
        ("/v1/snapshots", FLOW | {"idempotency_key": "é"}, "idempotency_key", "letters, digits"),
        (
            "/v1/snapshots",
            FLOW | {"dependencies": [{"kind": "endpoint", "target": "crm"}]},
            "dependencies.0",
            "a URL such as",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_what_would_be_right(
    api: httpx.Client, store: RunStore, path: str, body: dict[str, Any], field: str, right: str
) -> None:
    wrong = problem(api.post(path, json=body), 422, "invalid-request")["errors"]
    assert [each["field"] for each in wrong] == [field]
    assert right in wrong[0]["expected"]
    if field in body:
        assert wrong[0]["value"] == repr(body[field])
    assert not store.recent()


@pytest.mark.parametrize(
    "body", [b"{", b'{"flow_id": "f-1", "reason": "' + b"\xff" + b'"}', b"[" * 100_000, b""]
)
def test_a_body_that_is_no_json_is_refused(api: httpx.Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = api.post("/v1/rollbacks", content=body, headers=headers)
    assert answer.status_code in {400, 422}
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_names_that_utf8_cannot_hold_are_refused_and_not_choked_on(api: httpx.Client) -> None:
    body = rb'{"flow_id": "f-1", "reason": "x", "\ud800": "\udfff"}'
    headers = {"Content-Type": "application/json"}
    assert api.post("/v1/rollbacks", content=body, headers=headers).status_code == 422


def test_a_body_that_is_not_said_to_be_json_is_refused_with_the_header_to_send(
    api: httpx.Client,
) -> None:
    answer = api.post("/v1/rollbacks", content=b'{"flow_id": "f-1", "reason": "x"}')
    assert "Content-Type: application/json" in problem(answer, 415, "not-json")["detail"]


def chunks(size: int) -> Iterator[bytes]:
    yield b'{"flow_id": "f-1", "routing": {"a": "'
    for _ in range(size // 10_000):
        yield b"x" * 10_000
    yield b'"}}'


def test_a_large_body_is_refused_whether_or_not_it_says_its_size(
    api: httpx.Client, store: RunStore
) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (b"".join(chunks(1_100_000)), chunks(1_100_000)):
        answer = api.post("/v1/snapshots", content=body, headers=headers)
        problem(answer, 413, "body-too-large")
    for body in (b"".join(chunks(900_000)), chunks(900_000)):
        assert api.post("/v1/snapshots", content=body, headers=headers).status_code == 202
    assert len(store.recent()) == 2


def test_a_broker_that_is_down_is_a_503_and_leaves_no_run_behind(
    open_api: Open, store: RunStore
) -> None:
    api = open_api(broker_url="redis://127.0.0.1:1/0")
    answer = api.post("/v1/rollbacks", json=ROLLBACK)
    assert "KNOWNGOOD_BROKER_URL" in problem(answer, 503, "not-reachable")["detail"]
    assert answer.headers["Retry-After"]
    assert not store.recent()
    problem(api.get("/readyz"), 503, "not-reachable")
    assert api.get("/healthz").status_code == 200


def test_a_journal_that_is_down_is_a_503_and_no_url_of_it_is_told(open_api: Open) -> None:
    api = open_api(redis_url="redis://:hunter2hunter2@127.0.0.1:1/0")
    for answer in (api.get("/v1/runs"), api.get("/metrics"), api.get("/readyz")):
        document = problem(answer, 503, "not-reachable")
        assert "KNOWNGOOD_REDIS_URL" in document["detail"]
        assert "hunter2" not in answer.text


def test_what_is_not_there_and_what_cannot_be_done_there_are_problems(
    api: httpx.Client,
) -> None:
    problem(api.get("/v1/nowhere"), 404, "not-found")
    answer = api.delete("/v1/runs")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == "GET"
