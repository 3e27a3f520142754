"""What machines that look after the API ask it."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from knowngood.metrics import QUEUES
from knowngood.runs.model import RollbackRequest, RunKind
from knowngood.runs.store import RunStore
from tests.api.conftest import Open


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_answer_strangers(open_api: Open, path: str) -> None:
    answer = open_api(None).get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("knowngood_runs", {"kind": "rollback", "state": "running"}),
        ("knowngood_runs_ended_total", {"kind": "rollback", "state": "needs_attention"}),
        ("knowngood_step_duration_seconds_count", {"kind": "rollback", "step": "publish"}),
        ("knowngood_restore_duration_seconds_count", {}),
        ("knowngood_health_polls_total", {"verdict": "ok"}),
        ("knowngood_health_polls_total", {"verdict": "breach"}),
        ("knowngood_health_polls_total", {"verdict": "inconclusive"}),
        ("knowngood_leases_lost_total", {"kind": "rollback"}),
        ("knowngood_runs_reconciled_total", {"kind": "rollback"}),
        ("knowngood_step_waits_total", {"kind": "rollback", "step": "publish", "on": "rate"}),
        ("knowngood_step_wait_seconds_total", {"kind": "rollback", "step": "poll", "on": "rate"}),
        ("knowngood_alert_deliveries_total", {"result": "failed"}),
        *(("knowngood_queue_messages", {"queue": queue}) for queue in QUEUES),
    ],
)
def test_prometheus_finds_each_metric_before_anything_has_happened(
    api: httpx.Client, name: str, labels: dict[str, str]
) -> None:
    answer = api.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    found = [
        sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if (sample.name, sample.labels) == (name, labels)
    ]
    assert found == [0]


def test_prometheus_sees_what_other_processes_did(api: httpx.Client, store: RunStore) -> None:
    store.create(RunKind.ROLLBACK, RollbackRequest(flow_id="f-1", reason="a test"))
    assert 'knowngood_runs{kind="rollback",state="queued"} 1.0' in api.get("/metrics").text
