"""A watch outlives workers, duplicates and lost records, and a standing one follows the settings.

Each test breaks its installation, so each has one of its own.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from knowngood.health.watches import WatchStore
from knowngood.runs.model import Run, RunKind, RunState
from tests.conftest import make_flow
from tests.stack import DIALECTS, Process, Stack, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

BROKEN = {"error_rate": 0.5, "abandon_rate": 0.4}


@pytest.fixture(params=DIALECTS)
def installation(request: pytest.FixtureRequest) -> Iterator[Stack]:
    with Stack(api=request.param, HEALTH_INTERVAL="1") as stack:
        yield stack


def calling(stack: Stack) -> str:
    return make_flow(
        stack,
        versions=[{"age_seconds": 7_200}, {"age_seconds": 3_600}],
        calls_per_minute=12_000,
    )


def watches_of(stack: Stack) -> WatchStore:
    return WatchStore(stack.client.store.redis)


def polls(stack: Stack, run_id: str) -> int:
    found = watches_of(stack).find(run_id)
    return found.number if found else 0


def runs_of(stack: Stack, flow: str, kind: RunKind) -> list[Run]:
    found = stack.client.store.search(50, kinds=[kind], flow_id=flow)
    return list(reversed(found))


def standing_on(stack: Stack, flow: str) -> str | None:
    """Return the id of the standing watch that is on for a flow."""
    (on,) = watches_of(stack).of_flows([flow], dry_run=stack.env.get("DRY_RUN") == "true")
    found = watches_of(stack).find(on) if on else None
    return on if found and found.standing else None


def enqueue(stack: Stack, task: str, queue: str, **arguments: object) -> str:
    """Enqueue a task by name, as any service may."""
    with Celery(broker=stack.env["BROKER_URL"]) as service:
        sent = service.send_task(task, kwargs=arguments, queue=queue)
    return str(sent.id)


def restarted(stack: Stack, worker: Process, **settings: str) -> Process:
    worker.kill()
    return stack.worker(**settings)


def test_a_service_starts_a_watch_by_name_and_it_is_polled_at_once(installation: Stack) -> None:
    installation.running()
    flow = calling(installation)
    run_id = enqueue(
        installation, "deployment.watch", "deployment", flow_id=flow, interval=60, bake_time=600
    )
    # Its next poll is a minute away: this one is the first.
    wait_for(lambda: polls(installation, run_id) == 1, what="its first poll")
    refused = enqueue(installation, "deployment.watch", "deployment", flow_id=flow, policy="guess")
    redis = installation.client.store.redis
    told = wait_for(lambda: redis.hget(f"kg:alert:{refused}.refused", "alert"), what="the alert")
    assert "policy" in str(told)


def test_a_worker_that_is_killed_in_mid_poll_loses_no_watch(installation: Stack) -> None:
    worker = installation.worker()
    installation.beat()
    flows = [calling(installation) for _ in range(3)]
    asked = [installation.client.watch(flow, bake_time=8).run_id for flow in flows]
    fault = installation.sim.fault({"pause": "after"}, match={"job": "kpis", "flow": flows[0]})
    installation.sim.wait_holding(fault, timeout=20)
    restarted(installation, worker)
    installation.sim.release(fault)
    for run_id in asked:
        run = installation.ended(run_id, timeout=100)
        assert run.outcome == "passed"
        numbers = [
            entry.detail["number"]
            for entry in installation.client.store.journal(run_id)
            if entry.event == "polled"
        ]
        assert numbers == list(range(1, len(numbers) + 1))


def test_polls_that_are_delivered_twice_take_effect_once(installation: Stack) -> None:
    installation.running(concurrency=4)
    flow = calling(installation)
    run_id = installation.client.watch(flow, interval=5, bake_time=11).run_id
    wait_for(lambda: polls(installation, run_id), what="its first poll")
    while not installation.client.get(run_id).state.terminal:
        enqueue(installation, "health.poll", "health", watch_ids=[run_id])
    run = installation.ended(run_id)
    numbers = [
        entry.detail["number"]
        for entry in installation.client.store.journal(run_id)
        if entry.event == "polled"
    ]
    assert numbers == list(range(1, len(numbers) + 1))
    assert run.results["watch"]["polls"] == len(numbers)
    # One poll each five seconds, however often it was asked for.
    assert len(numbers) <= 5


def test_a_watch_whose_entries_vanish_ends_with_a_person_told(installation: Stack) -> None:
    installation.running()
    flow = calling(installation)
    run_id = installation.client.watch(flow, bake_time=600).run_id
    wait_for(lambda: polls(installation, run_id) >= 2, what="two polls")
    redis = installation.client.store.redis
    redis.delete(f"kg:watch:{run_id}")
    run = installation.ended(run_id)
    assert (run.state, run.outcome) == (RunState.NEEDS_ATTENTION, "lost")
    sent = f"kg:alert:{run_id}.lost"
    wait_for(lambda: redis.exists(sent) and not redis.zscore("kg:alerts:due", f"{run_id}.lost"))


def test_a_watch_that_nobody_polls_is_told_and_ends_once_somebody_does(
    installation: Stack,
) -> None:
    installation.worker(queues="rollback,deployment,alerts")
    installation.beat()
    flow = calling(installation)
    run_id = installation.client.watch(flow, interval=1, bake_time=1).run_id
    redis = installation.client.store.redis
    store = installation.client.store

    def is_left_to_its_polls() -> bool:
        look_again: Any = redis.zscore("kg:runs:active", run_id)
        return bool(look_again > store.time() + 30)

    wait_for(is_left_to_its_polls, what="the watch")
    wait_for(lambda: store.time() > store.get(run_id).created.timestamp() + 1, what="its end")
    # As if ten intervals and a minute more had passed.
    redis.zadd("kg:runs:active", {run_id: 0})
    wait_for(lambda: redis.exists(f"kg:alert:{run_id}.overdue"), what="the alert")
    installation.worker(queues="health")
    installation.ended(run_id)


def test_a_standing_watch_rolls_back_goes_on_and_ends_when_it_is_listed_no_more(
    installation: Stack,
) -> None:
    flow = calling(installation)
    installation.env["STANDING_WATCHES"] = flow
    worker = installation.worker()
    installation.beat()
    first = wait_for(lambda: standing_on(installation, flow), what="the standing watch")
    wait_for(lambda: polls(installation, first) >= 2, what="two polls")
    broken = installation.sim.deploy(flow, quality=BROKEN)
    wait_for(lambda: installation.sim.live(flow) == "2.0", timeout=40, what="the rollback")
    (rollback,) = runs_of(installation, flow, RunKind.ROLLBACK)
    installation.ended(rollback.run_id)
    assert broken in installation.registry().verdicts(flow).known_bad
    before = polls(installation, first)
    wait_for(lambda: polls(installation, first) > before + 2, what="more polls")

    # A deployment's own watch stands in for it, and gives its place back.
    deployment = installation.client.watch(flow, bake_time=3).run_id
    assert installation.ended(deployment).outcome == "passed"
    assert installation.ended(first).outcome == "superseded"
    second = wait_for(lambda: standing_on(installation, flow), what="the standing watch")
    assert second != first

    restarted(installation, worker, STANDING_WATCHES="")
    ended = installation.ended(second, timeout=60)
    assert ended.state is RunState.CANCELLED
    assert "KNOWNGOOD_STANDING_WATCHES" in ended.error


def test_a_standing_watch_in_a_dry_run_is_put_on_once_and_reports_once(
    installation: Stack,
) -> None:
    flow = calling(installation)
    broken = installation.sim.deploy(flow, quality=BROKEN)
    installation.env |= {"STANDING_WATCHES": flow, "DRY_RUN": "true"}
    installation.running()
    on = wait_for(lambda: standing_on(installation, flow), what="the standing watch")
    redis = installation.client.store.redis
    wait_for(lambda: redis.keys(f"kg:alert:{on}.dry.*"), what="the report")
    at = polls(installation, on)
    wait_for(lambda: polls(installation, on) > at + 3, what="more polls")
    assert len(runs_of(installation, flow, RunKind.WATCH)) == 1
    assert len(redis.keys(f"kg:alert:{on}.*")) == 1  # type: ignore[arg-type]
    assert installation.sim.live(flow) == broken
    assert installation.writes(flow) == []
    assert runs_of(installation, flow, RunKind.ROLLBACK) == []


def test_a_standing_watch_of_a_flow_that_does_not_exist_is_told_and_not_tried_again_at_once(
    installation: Stack,
) -> None:
    wrong = "0d9e3c1a-0000-4000-8000-000000000000"
    right = calling(installation)
    installation.env["STANDING_WATCHES"] = f"{wrong} {right}"
    installation.running()
    on = wait_for(lambda: standing_on(installation, right), what="the standing watch")
    (run,) = wait_for(lambda: runs_of(installation, wrong, RunKind.WATCH), what="its run")
    assert installation.ended(run.run_id).state is RunState.NEEDS_ATTENTION
    at = polls(installation, on)
    wait_for(lambda: polls(installation, on) > at + 3, what="more ticks")
    assert len(runs_of(installation, wrong, RunKind.WATCH)) == 1


def test_a_deployment_that_lands_while_a_rollback_waits_for_the_lock_is_not_rolled_back(
    installation: Stack,
) -> None:
    installation.env |= {"LOCK_RETRY_DELAY": "3", "LOCK_ATTEMPTS": "10"}
    installation.running()
    flow = calling(installation)
    installation.sim.deploy(flow, quality=BROKEN)
    installation.sim.lock(flow)
    watch = installation.client.watch(flow, bake_time=60).run_id
    store = installation.client.store
    rollback = wait_for(lambda: store.holder(flow), timeout=30, what="the rollback")
    wait_for(lambda: installation.client.get(rollback).waiting_on, what="its wait for the lock")
    fixed = installation.sim.deploy(flow, quality={"error_rate": 0.0})
    installation.sim.unlock(flow)
    ended = installation.ended(rollback)
    assert (ended.state, ended.outcome) == (RunState.SUCCEEDED, "moved_on")
    assert installation.ended(watch).outcome == "overtaken"
    assert installation.sim.live(flow) == fixed
    assert installation.writes(flow) == []
