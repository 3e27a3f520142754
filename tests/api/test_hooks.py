"""Webhooks: Alertmanager's own payload, and signed ones; each asks once, however often it comes."""

import json
import time
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from knowngood.alerts.outbox import AlertOutbox
from knowngood.api.signature import TOLERANCE, sign
from knowngood.errors import Team
from knowngood.health.signals import HealthSignals
from knowngood.runs.model import RollbackRequest, RunKind, RunState
from knowngood.runs.store import RunStore
from tests.api.conftest import Open
from tests.api.served import SECRET
from tests.api.test_orders import problem

SNAPSHOT = {"kind": "snapshot", "request": {"flow_id": "f-1"}}


def alert(flow_id: str | None = "f-1", **more: Any) -> dict[str, Any]:
    labels = {"alertname": "FlowErrors", "severity": "critical"}
    return {
        "status": "firing",
        "labels": labels | ({"flow_id": flow_id} if flow_id is not None else {}),
        "annotations": {"summary": "12 of 100 calls fail", "runbook_url": "https://wiki.example"},
        "startsAt": "2026-11-24T12:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph?g0.expr=up",
        "fingerprint": "c8a1b2c3d4e5f607",
    } | more


def notification(*alerts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": '{}:{alertname="FlowErrors"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "knowngood",
        "groupLabels": {"alertname": "FlowErrors"},
        "commonLabels": {"alertname": "FlowErrors"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "alerts": list(alerts),
    } | more


def tell(api: httpx.Client, *alerts: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    answer = api.post("/v1/hooks/alertmanager", json=notification(*alerts, **more))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["alerts"]
    return found


def raised(store: RunStore) -> Sequence[str]:
    outbox = AlertOutbox(store.redis)
    return [
        taken.kind
        for alert_id in outbox.due(store.time(), 100)
        if (taken := outbox.claim(alert_id, store.time(), 0)) and taken.team is Team.OPERATIONS
    ]


def test_an_alert_that_fires_for_a_flow_starts_its_rollback(
    api: httpx.Client, store: RunStore
) -> None:
    (outcome,) = tell(api, alert())
    assert (outcome["outcome"], outcome["flow_id"]) == ("started", "f-1")
    run = store.get(outcome["run_id"])
    request = run.request
    assert isinstance(request, RollbackRequest)
    assert (run.kind, run.flow_id, run.state) == (RunKind.ROLLBACK, "f-1", RunState.QUEUED)
    assert request.reason == "Alertmanager: FlowErrors: 12 of 100 calls fail"
    assert request.requested_by == "alertmanager"


def test_repeated_notifications_of_one_alert_start_one_rollback_even_after_it_ended(
    api: httpx.Client, store: RunStore
) -> None:
    (first,) = tell(api, alert())
    store.cancel(first["run_id"], "a test")
    (again,) = tell(api, alert())
    assert again == first | {"outcome": "repeated"}
    assert len(store.recent()) == 1


def test_resolved_alerts_and_alerts_of_no_flow_start_nothing(
    api: httpx.Client, store: RunStore
) -> None:
    found = tell(api, alert(status="resolved"), alert(flow_id=None), status="resolved")
    assert [each["outcome"] for each in found] == ["ignored", "ignored"]
    assert [each["why"] for each in found] == ["resolved", "it has no label flow_id"]
    assert not store.recent()


def test_each_alert_of_a_group_has_its_own_outcome_in_its_order(
    api: httpx.Client, store: RunStore
) -> None:
    under_way = store.create(RunKind.ROLLBACK, RollbackRequest(flow_id="f-2", reason="x")).run_id
    found = tell(
        api,
        alert(),
        alert(status="resolved"),
        alert("f-2", fingerprint="0000000000000002"),
        alert(fingerprint="0000000000000003"),
        alert("../x", fingerprint="0000000000000004"),
    )
    outcomes = [each["outcome"] for each in found]
    assert outcomes == ["started", "ignored", "joined", "joined", "refused"]
    assert found[2]["run_id"] == under_way
    assert found[3]["run_id"] == found[0]["run_id"]
    assert len(store.recent()) == 2


def test_a_flow_id_that_is_none_is_refused_and_a_person_told_once(
    api: httpx.Client, store: RunStore
) -> None:
    for _ in range(2):
        (outcome,) = tell(api, alert("no flow"))
        assert outcome["outcome"] == "refused"
        assert "flow_id='no flow'" in outcome["why"]
    assert raised(store) == ["alertmanager.refused"]


def test_in_the_cooldown_after_a_rollback_an_alert_is_held_and_a_person_told_once(
    api: httpx.Client, store: RunStore
) -> None:
    (first,) = tell(api, alert())
    store.cancel(first["run_id"], "a test")
    later = alert(startsAt="2026-11-24T12:09:00Z")
    for _ in range(2):
        (outcome,) = tell(api, later)
        assert (outcome["outcome"], outcome["run_id"]) == ("held", None)
        assert outcome["why"].startswith("cooldown: rolled back")
    assert raised(store) == ["alertmanager.held_back"]
    assert len(store.recent()) == 1


def test_what_was_held_stays_held_when_the_cooldown_is_over(
    open_api: Open, store: RunStore
) -> None:
    HealthSignals(store.redis).note_rollback("f-1", "earlier", store.time())
    (held,) = tell(open_api(), alert())
    over = open_api(cooldown=0)
    assert tell(over, alert()) == [held]
    (news,) = tell(over, alert(startsAt="2026-11-24T13:00:00Z"))
    assert news["outcome"] == "started"


def test_in_a_dry_run_nothing_is_rolled_back(open_api: Open, store: RunStore) -> None:
    (outcome,) = tell(open_api(dry_run=True), alert())
    assert (outcome["outcome"], outcome["why"][:7]) == ("held", "dry run")
    assert not store.recent()


def test_when_many_flows_fail_at_once_not_even_the_first_is_rolled_back(
    api: httpx.Client, store: RunStore
) -> None:
    found = tell(api, *(alert(f"f-{n}", fingerprint=f"{n:016x}") for n in range(5)))
    assert {each["outcome"] for each in found} == {"held"}
    assert "flows tripped at once" in found[0]["why"]
    assert not store.recent()


def test_a_notification_that_failed_half_way_goes_on_where_it_stopped(
    open_api: Open, store: RunStore
) -> None:
    (first,) = tell(open_api(), alert())
    down = open_api(broker_url="redis://127.0.0.1:1/0")
    both = notification(alert(), alert("f-2", fingerprint="0000000000000002"))
    problem(down.post("/v1/hooks/alertmanager", json=both), 503, "not-reachable")
    found = tell(open_api(), *both["alerts"])
    assert [each["outcome"] for each in found] == ["repeated", "started"]
    assert found[0]["run_id"] == first["run_id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (notification(version="3"), "version"),
        (notification(alert(status="broken")), "alerts.0.status"),
        (notification(alert(startsAt="7")), "alerts.0.startsAt"),
        (notification(alert(labels={"flow_id": 7})), "alerts.0.labels.flow_id"),
        ({}, "version"),
    ],
)
def test_what_alertmanager_would_not_send_is_refused(
    api: httpx.Client, body: dict[str, Any], field: str
) -> None:
    wrong = problem(api.post("/v1/hooks/alertmanager", json=body), 422, "invalid-request")
    assert wrong["errors"][0]["field"] == field


def signed(
    api: httpx.Client, call: object, *, secret: str = SECRET, at: int | None = None, **more: str
) -> httpx.Response:
    body = json.dumps(call).encode()
    timestamp = int(time.time()) if at is None else at
    headers = {
        "Content-Type": "application/json",
        "X-Knowngood-Timestamp": str(timestamp),
        "X-Knowngood-Signature": sign(secret, timestamp, body),
    }
    return api.post("/v1/hooks/generic", content=body, headers=headers | more)


@pytest.mark.parametrize(
    "call",
    [
        SNAPSHOT,
        {"kind": "watch", "request": {"flow_id": "f-1", "interval": 60}},
        {"kind": "rollback", "request": {"flow_id": "f-1", "reason": "a hook"}},
    ],
)
def test_a_signed_call_starts_its_run_without_a_token(
    open_api: Open, store: RunStore, call: dict[str, Any]
) -> None:
    answer = signed(open_api(None), call)
    assert answer.status_code == 202, answer.text
    run = store.get(answer.json()["run_id"])
    assert (run.kind, run.flow_id) == (call["kind"], "f-1")
    assert run.request.requested_by == "hook"
    assert answer.headers["Location"] == f"/v1/runs/{run.run_id}"


def test_a_replayed_signature_is_answered_as_repeated_and_starts_nothing(
    open_api: Open, store: RunStore
) -> None:
    api, now = open_api(None), int(time.time())
    first = signed(api, SNAPSHOT, at=now).json()
    replayed = signed(api, SNAPSHOT, at=now)
    assert replayed.json() == first | {"repeated": True}
    assert len(store.recent()) == 1
    assert signed(api, SNAPSHOT, at=now + 1).json()["run_id"] != first["run_id"]


def test_a_key_of_the_senders_own_holds_over_signatures(open_api: Open, store: RunStore) -> None:
    api, now = open_api(None), int(time.time())
    call = {"kind": "snapshot", "request": {"flow_id": "f-1", "idempotency_key": "deploy-41"}}
    first = signed(api, call, at=now).json()
    assert signed(api, call, at=now + 1).json() == first | {"repeated": True}


@pytest.mark.parametrize("off", [-TOLERANCE - 60, TOLERANCE + 60])
def test_a_signature_of_another_time_is_stale(open_api: Open, store: RunStore, off: int) -> None:
    answer = signed(open_api(None), SNAPSHOT, at=int(time.time()) + off)
    problem(answer, 401, "stale-signature")
    assert not store.recent()


def test_what_was_changed_or_signed_with_another_secret_is_refused(
    open_api: Open, store: RunStore
) -> None:
    api, now = open_api(None), int(time.time())
    problem(signed(api, SNAPSHOT, secret="another-secret-1234"), 401, "wrong-signature")
    other_time = {"X-Knowngood-Timestamp": str(now + 1)}
    problem(signed(api, SNAPSHOT, at=now, **other_time), 401, "wrong-signature")
    other_body = {"X-Knowngood-Signature": sign(SECRET, now, b"{}")}
    problem(signed(api, SNAPSHOT, at=now, **other_body), 401, "wrong-signature")
    no_scheme = {"X-Knowngood-Signature": "é".encode().hex()}
    problem(signed(api, SNAPSHOT, at=now, **no_scheme), 401, "wrong-signature")
    assert not store.recent()


def test_a_signed_call_is_checked_like_any_other(open_api: Open) -> None:
    answer = signed(open_api(None), {"kind": "deploy", "request": {"flow_id": "f-1"}})
    assert "'snapshot', 'watch', 'rollback'" in problem(answer, 422, "invalid-request")["detail"]
    answer = signed(open_api(None), {"kind": "rollback", "request": {"flow_id": "f-1"}})
    (wrong,) = problem(answer, 422, "invalid-request")["errors"]
    assert wrong["field"] == "rollback.request.reason"
