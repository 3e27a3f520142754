"""The journal's compare-and-set, against a real server with an injected clock."""

from collections.abc import Callable
from typing import Any

import pytest

from knowngood.errors import LeaseLost, Refused, Unreachable
from knowngood.runs.model import Counters, RollbackRequest, RunKind, RunState, SnapshotRequest
from knowngood.runs.store import HANDOVER, Answer, Claim, RunStore, connect
from tests.clock import Clock

ROLLBACK = RunKind.ROLLBACK


def request(flow_id: str = "f-1", **more: Any) -> RollbackRequest:
    return RollbackRequest(flow_id=flow_id, reason="a test", **more)


def begun(store: RunStore, step: str = "acquire_lock") -> tuple[str, Claim]:
    run_id = store.create(ROLLBACK, request()).run_id
    token = store.get(run_id).token
    answer, _, claim = store.begin(run_id, token, ROLLBACK, step, "w")
    assert answer is Answer.GO
    return run_id, claim


def through(store: RunStore, run_id: str, claim: Claim, *steps: str) -> Claim:
    """Finish the claimed step, then begin and finish each of `steps` but the last."""
    store.finish_step(claim, store.get(run_id), {}, {})
    for position, step in enumerate(steps):
        answer, run, claim = store.begin(run_id, claim.token, ROLLBACK, step, "w")
        assert answer is Answer.GO
        assert run is not None
        if position < len(steps) - 1:
            store.finish_step(claim, run, {}, {})
    return claim


def test_a_second_rollback_of_a_flow_joins_the_first(store: RunStore) -> None:
    first = store.create(ROLLBACK, request())
    second = store.create(ROLLBACK, request())
    assert first.created
    assert not second.created
    assert second.run_id == first.run_id


def test_a_joined_request_is_found_under_its_own_id_too(store: RunStore) -> None:
    first = store.create(ROLLBACK, request())
    store.create(ROLLBACK, request(), run_id="mine")
    assert store.get("mine").run_id == first.run_id


def test_rollbacks_of_two_flows_do_not_join(store: RunStore) -> None:
    assert store.create(ROLLBACK, request("f-1")).created
    assert store.create(ROLLBACK, request("f-2")).created


def test_the_same_idempotency_key_gives_the_same_run_even_after_it_ended(store: RunStore) -> None:
    first = store.create(ROLLBACK, request(idempotency_key="deploy-41"))
    store.cancel(first.run_id, "a test")
    again = store.create(ROLLBACK, request(idempotency_key="deploy-41"))
    assert (again.answer, again.run_id) == ("repeated", first.run_id)


def test_a_flow_is_free_for_a_new_rollback_once_the_first_has_ended(store: RunStore) -> None:
    first = store.create(ROLLBACK, request())
    store.end(first.run_id, store.get(first.run_id).token, RunState.FAILED, error="a test")
    second = store.create(ROLLBACK, request())
    assert second.created
    assert second.run_id != first.run_id


def test_snapshots_of_one_flow_do_not_join(store: RunStore) -> None:
    asked = SnapshotRequest(flow_id="f-1")
    assert store.create(RunKind.SNAPSHOT, asked).created
    assert store.create(RunKind.SNAPSHOT, asked).created


def test_accepting_the_same_message_twice_makes_one_run_and_one_dispatch(store: RunStore) -> None:
    assert store.create(ROLLBACK, request(), run_id="r").answer == "created"
    assert store.create(ROLLBACK, request(), run_id="r").answer == "exists"
    assert store.dispatch("r") is not None
    assert store.dispatch("r") is None


def test_a_step_under_way_is_busy_for_a_second_delivery(store: RunStore) -> None:
    run_id, claim = begun(store)
    answer, _, _ = store.begin(run_id, claim.token, ROLLBACK, "acquire_lock", "other")
    assert answer is Answer.BUSY


def test_a_step_that_is_done_is_done_for_a_second_delivery(store: RunStore) -> None:
    run_id, claim = begun(store)
    store.finish_step(claim, store.get(run_id), {}, {})
    answer, _, _ = store.begin(run_id, claim.token, ROLLBACK, "acquire_lock", "other")
    assert answer is Answer.DONE


def test_a_step_out_of_turn_is_not_begun(store: RunStore) -> None:
    run_id, claim = begun(store)
    answer, _, _ = store.begin(run_id, claim.token, ROLLBACK, "publish", "w")
    assert answer is Answer.STALE


def test_a_silent_run_is_taken_over_and_its_old_executor_can_write_nothing(
    store: RunStore, clock: Clock
) -> None:
    run_id, claim = begun(store)
    clock.now += 6.1
    taken = store.take_over(run_id, backlog=False)
    assert taken is not None
    assert taken.token > claim.token
    for write in writes_of(store, run_id, claim):
        with pytest.raises(LeaseLost):
            write()
    assert store.begin(run_id, claim.token, ROLLBACK, "acquire_lock", "old")[0] is Answer.STALE
    assert store.begin(run_id, taken.token, ROLLBACK, "acquire_lock", "new")[0] is Answer.GO


def writes_of(store: RunStore, run_id: str, claim: Claim) -> list[Callable[[], object]]:
    run = store.get(run_id)
    return [
        lambda: store.renew(claim),
        lambda: store.note(claim, "x", {}),
        lambda: store.finish_step(claim, run, {}, {}),
        lambda: store.rewind(claim, run, "select_target", {}, {}),
        lambda: store.wait(claim, waiting_on="lock", countdown=1, counters=Counters(), detail={}),
    ]


def test_a_heartbeat_keeps_a_run_from_being_taken_over(store: RunStore, clock: Clock) -> None:
    run_id, claim = begun(store)
    for _ in range(5):
        clock.now += 4
        store.renew(claim)
        assert store.take_over(run_id, backlog=False) is None


def test_two_reconcilers_take_a_run_over_once(store: RunStore, clock: Clock) -> None:
    run_id, _ = begun(store)
    clock.now += 7
    assert store.take_over(run_id, backlog=False) is not None
    assert store.take_over(run_id, backlog=False) is None


def test_a_waiting_run_is_not_silent_before_its_countdown_is_over(
    store: RunStore, clock: Clock
) -> None:
    run_id, claim = begun(store)
    store.wait(claim, waiting_on="lock", countdown=60, counters=Counters(lock=1), detail={})
    clock.now += 60
    assert store.silent() == []
    clock.now += HANDOVER + 0.1
    assert store.silent() == [run_id]


def test_a_run_whose_message_may_still_be_queued_is_left_alone(
    store: RunStore, clock: Clock
) -> None:
    run_id = store.create(ROLLBACK, request("f-1")).run_id
    store.dispatch(run_id)
    clock.now += 20
    assert store.take_over(run_id, backlog=True) is None


def test_a_run_is_taken_over_in_a_backlog_once_a_later_message_was_begun(
    store: RunStore, clock: Clock
) -> None:
    lost = store.create(ROLLBACK, request("f-1")).run_id
    store.dispatch(lost)
    clock.now += 20
    later = store.create(ROLLBACK, request("f-2")).run_id
    store.dispatch(later)
    store.begin(later, store.get(later).token, ROLLBACK, "acquire_lock", "w")
    assert store.take_over(lost, backlog=True) is not None


def test_an_attempt_is_counted_at_each_begin_and_starts_again_with_the_next_step(
    store: RunStore, clock: Clock
) -> None:
    run_id, claim = begun(store)
    store.wait(claim, waiting_on="lock", countdown=1, counters=Counters(lock=1), detail={})
    _, run, claim = store.begin(run_id, claim.token, ROLLBACK, "acquire_lock", "w")
    assert run is not None
    assert (run.attempt, run.counters.lock, run.lock_wait) == (2, 1, 1.0)
    store.finish_step(claim, run, {}, {})
    _, run, _ = store.begin(run_id, claim.token, ROLLBACK, "select_target", "w")
    assert run is not None
    assert (run.attempt, run.counters.lock) == (1, 0)


def test_falling_back_makes_the_old_chain_stale(store: RunStore) -> None:
    run_id, claim = begun(store)
    claim = through(store, run_id, claim, "select_target", "check_dependencies", "activate")
    again = store.rewind(claim, store.get(run_id), "select_target", {"gone": '["1.0"]'}, {})
    assert (again.step, again.gone) == ("select_target", ("1.0",))
    assert store.begin(run_id, claim.token, ROLLBACK, "activate", "w")[0] is Answer.STALE


def test_a_run_can_be_cancelled_before_it_changes_the_flow(store: RunStore) -> None:
    run_id, claim = begun(store)
    store.cancel(run_id, "not needed")
    assert store.get(run_id).state is RunState.CANCELLED
    with pytest.raises(LeaseLost):
        store.renew(claim)


def test_a_run_that_has_begun_to_change_the_flow_cannot_be_cancelled(store: RunStore) -> None:
    run_id, claim = begun(store)
    through(store, run_id, claim, "select_target", "check_dependencies", "activate")
    with pytest.raises(Refused, match="activate is changing the flow"):
        store.cancel(run_id, "too late")
    assert not store.get(run_id).state.terminal


def test_a_run_ends_once(store: RunStore) -> None:
    run_id, claim = begun(store)
    assert store.end(run_id, claim.token, RunState.FAILED, error="first")
    assert not store.end(run_id, claim.token, RunState.SUCCEEDED)
    assert store.get(run_id).error == "first"


def test_the_fencing_token_stays_ahead_when_redis_comes_back_empty(
    store: RunStore, clock: Clock
) -> None:
    run_id, claim = begun(store)
    store.redis.flushdb()
    clock.now += 1
    store.create(ROLLBACK, request(), run_id=run_id)
    assert store.get(run_id).token > claim.token


def test_a_journal_that_does_not_answer_is_named_without_its_password() -> None:
    store = RunStore(connect("redis://:hunter2@127.0.0.1:1/0"))
    with pytest.raises(Unreachable) as caught:
        store.create(ROLLBACK, request())
    assert "hunter2" not in str(caught.value)


def test_the_journal_keeps_every_event_in_order(store: RunStore) -> None:
    run_id, claim = begun(store)
    store.finish_step(claim, store.get(run_id), {"free": True}, {})
    events = [(entry.event, entry.step) for entry in store.journal(run_id)]
    assert events == [
        ("accepted", "acquire_lock"),
        ("step-started", "acquire_lock"),
        ("step-ended", "acquire_lock"),
    ]
