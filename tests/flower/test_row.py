"""A run's row in Flower says how far it is, in the run's own words."""

from typing import Any

import pytest

from knowngood.runs.model import Counters, RollbackRequest, Run, RunKind, RunState
from knowngood.runs.store import RunStore
from workers.progress import row, said_of

ROLLBACK = RunKind.ROLLBACK


@pytest.fixture
def store(redis_client: Any) -> RunStore:
    return RunStore(redis_client, clock=lambda: 1_800_000_000.0)


def begun(store: RunStore) -> tuple[str, Any, Run]:
    request = RollbackRequest(flow_id="f-1", reason="a test")
    run_id = store.create(ROLLBACK, request, facts={"flow_name": "Sales IVR"}).run_id
    _, run, claim = store.begin(run_id, store.get(run_id).token, ROLLBACK, "acquire_lock", "w")
    assert run is not None
    return run_id, claim, run


def test_a_run_under_way_names_its_step_and_how_many_there_are(store: RunStore) -> None:
    _, _, run = begun(store)
    assert said_of(run) == "step 1 of 8: acquire_lock"


def test_a_waiting_run_says_for_what_and_until_when(store: RunStore) -> None:
    run_id, claim, _ = begun(store)
    store.wait(claim, waiting_on="lock", countdown=60, counters=Counters(), detail={})
    assert said_of(store.get(run_id)) == (
        "step 1 of 8: acquire_lock waits (lock) until 08:01:00 UTC"
    )


def test_a_restored_run_says_what_was_restored_and_how_fast(store: RunStore) -> None:
    run_id, claim, _ = begun(store)
    facts = {
        "lock_held_at": "1800000000",
        "restored_at": "1800000004.25",
        "target_version": "1.0",
    }
    store.end(run_id, claim.token, RunState.SUCCEEDED, claim=claim.claim, facts=facts)
    assert said_of(store.get(run_id)) == "version 1.0 restored in 4.2 s"


def test_a_run_that_needs_a_person_says_what_to_do(store: RunStore) -> None:
    run_id, claim, _ = begun(store)
    store.end(
        run_id,
        claim.token,
        RunState.NEEDS_ATTENTION,
        claim=claim.claim,
        error="the flow is locked by Ada",
        facts={"action": "ask Ada"},
    )
    assert said_of(store.get(run_id)) == ("acquire_lock: the flow is locked by Ada Do now: ask Ada")


def test_the_runs_id_and_the_flows_name_are_in_the_arguments_that_flower_searches(
    store: RunStore,
) -> None:
    run_id, _, run = begun(store)
    shown = row(run)
    assert shown["name"] == "run.rollback"
    assert shown["uuid"] == f"run-{run_id}"
    assert shown["kwargs"] == repr({"flow": "Sales IVR", "run_id": run_id})
