"""What Prometheus reads is what the journal did, counted once however many processes there are."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from kombu import Connection
from prometheus_client.parser import text_string_to_metric_families
from pydantic_settings import SettingsConfigDict

from knowngood.alerts.alert import Alert
from knowngood.alerts.outbox import AlertOutbox
from knowngood.embedded.broker import EmbeddedBroker
from knowngood.errors import LeaseLost, Team, Unreachable
from knowngood.health.judgement import Verdict
from knowngood.health.watches import WatchStore
from knowngood.metrics import QUEUES, exposition
from knowngood.runs.model import Counters, RollbackRequest, RunKind, RunState, SnapshotRequest
from knowngood.runs.store import RunStore, connect
from knowngood.settings import Settings
from tests.clock import Clock
from workers.queues import NAMES

ROLLBACK = RunKind.ROLLBACK
Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


class NoDotEnv(Settings):
    model_config = SettingsConfigDict(env_prefix="KNOWNGOOD_", env_file=None, frozen=True)


@pytest.fixture
def settings(broker: EmbeddedBroker) -> Settings:
    return NoDotEnv(broker_url=broker.url, redis_url=broker.url)


def scraped(client: Any, settings: Settings) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition(client, settings).decode())
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


def begun(store: RunStore, flow: str = "f-1") -> tuple[str, Any]:
    run_id = store.create(ROLLBACK, RollbackRequest(flow_id=flow, reason="a test")).run_id
    _, _, claim = store.begin(run_id, store.get(run_id).token, ROLLBACK, "acquire_lock", "w")
    return run_id, claim


def alert(alert_id: str) -> Alert:
    return Alert(
        alert_id=alert_id,
        kind="rollback.needs_attention",
        team=Team.OPERATIONS,
        title="t",
        flow_id="f-1",
        flow_name="f",
        run_id="r",
        what_happened="x",
        what_was_tried="x",
        what_to_do="x",
        raised_at=datetime.now(UTC),
        dedupe_key="k",
    )


def test_runs_under_way_are_counted_by_state_and_leave_when_they_end(
    store: RunStore, settings: Settings
) -> None:
    store.create(ROLLBACK, RollbackRequest(flow_id="f-9", reason="a test"))
    run_id, claim = begun(store)
    store.create(RunKind.SNAPSHOT, SnapshotRequest(flow_id="f-1"))
    before = scraped(store.redis, settings)
    store.end(run_id, claim.token, RunState.NEEDS_ATTENTION, claim=claim.claim)
    store.end(run_id, claim.token, RunState.NEEDS_ATTENTION, claim=claim.claim)
    after = scraped(store.redis, settings)
    runs = "knowngood_runs"
    assert of(before, runs, kind="rollback", state="queued") == 1
    assert of(before, runs, kind="rollback", state="running") == 1
    assert of(before, runs, kind="snapshot", state="queued") == 1
    assert of(after, runs, kind="rollback", state="running") == 0
    ended = "knowngood_runs_ended_total"
    assert of(before, ended, kind="rollback", state="needs_attention") == 0
    assert of(after, ended, kind="rollback", state="needs_attention") == 1


def test_a_step_lasts_from_its_first_begin_to_its_end_with_its_waits(
    store: RunStore, clock: Clock, settings: Settings
) -> None:
    run_id, claim = begun(store)
    store.wait(claim, waiting_on="lock", countdown=60, counters=Counters(lock=1), detail={})
    clock.now += 61
    _, run, claim = store.begin(run_id, claim.token, ROLLBACK, "acquire_lock", "w")
    assert run is not None
    clock.now += 1
    store.finish_step(claim, run, {}, {})
    found = scraped(store.redis, settings)
    name, labels = "knowngood_step_duration_seconds", {"kind": "rollback", "step": "acquire_lock"}
    assert of(found, f"{name}_count", **labels) == 1
    assert of(found, f"{name}_sum", **labels) == pytest.approx(62)
    assert of(found, f"{name}_bucket", **labels, le="60") == 0
    assert of(found, f"{name}_bucket", **labels, le="120") == 1
    waited = labels | {"on": "lock"}
    assert of(found, "knowngood_step_waits_total", **waited) == 1
    assert of(found, "knowngood_step_wait_seconds_total", **waited) == 60


def test_the_time_to_restore_counts_only_rollbacks_that_succeeded(
    store: RunStore, settings: Settings
) -> None:
    for flow, state in (("f-1", RunState.SUCCEEDED), ("f-2", RunState.FAILED)):
        run_id, claim = begun(store, flow)
        facts = {"lock_held_at": "1800000000", "restored_at": "1800000007.5"}
        store.end(run_id, claim.token, state, claim=claim.claim, facts=facts)
    found = scraped(store.redis, settings)
    assert of(found, "knowngood_restore_duration_seconds_count") == 1
    assert of(found, "knowngood_restore_duration_seconds_sum") == 7.5
    assert of(found, "knowngood_restore_duration_seconds_bucket", le="5") == 0
    assert of(found, "knowngood_restore_duration_seconds_bucket", le="10") == 1


def test_a_lost_lease_and_the_run_that_was_taken_over_are_each_counted_once(
    store: RunStore, clock: Clock, settings: Settings
) -> None:
    run_id, claim = begun(store)
    clock.now += 7
    assert store.take_over(run_id, backlog=False) is not None
    for _ in range(3):
        with pytest.raises(LeaseLost):
            store.renew(claim)
    found = scraped(store.redis, settings)
    assert of(found, "knowngood_leases_lost_total", kind="rollback") == 1
    assert of(found, "knowngood_runs_reconciled_total", kind="rollback") == 1


def test_a_run_whose_message_was_lost_is_reconciled_and_lost_no_lease(
    store: RunStore, clock: Clock, settings: Settings
) -> None:
    run_id = store.create(ROLLBACK, RollbackRequest(flow_id="f-1", reason="a test")).run_id
    clock.now += 60
    assert store.take_over(run_id, backlog=False) is not None
    found = scraped(store.redis, settings)
    assert of(found, "knowngood_leases_lost_total", kind="rollback") == 0
    assert of(found, "knowngood_runs_reconciled_total", kind="rollback") == 1


def test_an_alert_is_counted_when_raised_and_each_delivery_by_its_result(
    store: RunStore, settings: Settings
) -> None:
    outbox = AlertOutbox(store.redis)
    for _ in range(2):
        store.raise_alert(alert("a-1"))
    outbox.failed("a-1", {"pager-1": "pager does not answer"})
    outbox.mark("a-1", "pager", 1_800_000_031)
    found = scraped(store.redis, settings)
    assert of(found, "knowngood_alerts_raised_total", kind="rollback.needs_attention") == 1
    assert of(found, "knowngood_alert_deliveries_total", result="failed") == 1
    assert of(found, "knowngood_alert_deliveries_total", result="sent") == 1
    assert of(found, "knowngood_alert_failures_total", channel="pager-1") == 1
    assert of(found, "knowngood_alerts_undelivered") == 1
    outbox.finish("a-1")
    assert of(scraped(store.redis, settings), "knowngood_alerts_undelivered") == 0


def test_polls_are_counted_by_verdict_and_start_from_zero(
    store: RunStore, settings: Settings
) -> None:
    WatchStore(store.redis).count_polls({Verdict.BREACH: 2, Verdict.INCONCLUSIVE: 1})
    found = scraped(store.redis, settings)
    counted = {v: of(found, "knowngood_health_polls_total", verdict=v) for v in Verdict}
    assert counted == {"ok": 0, "breach": 2, "inconclusive": 1, "source_error": 0}


def test_the_reconcilers_last_round_is_told_in_the_journals_time(
    store: RunStore, clock: Clock, settings: Settings
) -> None:
    name = "knowngood_reconciler_last_round_timestamp_seconds"
    assert of(scraped(store.redis, settings), name) == 0
    store.note_round()
    assert of(scraped(store.redis, settings), name) == clock.now


def test_the_queues_depth_is_what_no_worker_has_taken(
    store: RunStore, broker: EmbeddedBroker, settings: Settings
) -> None:
    with Connection(broker.url) as connection:
        queue = connection.SimpleQueue("rollback")
        for _ in range(3):
            queue.put({})
        queue.close()
    found = scraped(store.redis, settings)
    assert of(found, "knowngood_queue_messages", queue="rollback") == 3
    assert of(found, "knowngood_queue_messages", queue="health") == 0
    assert of(found, "knowngood_broker_up") == 1


def test_every_queue_has_its_depth() -> None:
    assert QUEUES == NAMES


def test_a_broker_that_is_down_is_a_metric_and_a_journal_that_is_down_an_error(
    store: RunStore, settings: Settings
) -> None:
    gone = NoDotEnv(broker_url="redis://127.0.0.1:1/0")
    found = scraped(store.redis, gone)
    assert of(found, "knowngood_broker_up") == 0
    assert not [name for name, _ in found if name == "knowngood_queue_messages"]
    with pytest.raises(Unreachable, match="KNOWNGOOD_REDIS_URL"):
        exposition(connect("redis://127.0.0.1:1/0"), settings)


def test_no_password_of_the_broker_is_in_the_exposition(
    store: RunStore, broker: EmbeddedBroker, settings: Settings
) -> None:
    password = broker.url.split(":")[2].split("@")[0]
    assert password not in exposition(store.redis, settings).decode()


def test_a_run_in_redis_before_counting_began_breaks_nothing(
    store: RunStore, settings: Settings
) -> None:
    run_id, claim = begun(store)
    store.redis.delete(*store.redis.keys("kg:metrics:*"))
    store.finish_step(claim, store.get(run_id), {}, {})
    assert json.dumps(sorted(str(name) for name in scraped(store.redis, settings)))
