"""An idempotency key belongs to one request, whoever repeats it."""

from inspect import signature
from typing import Any

import pytest

from knowngood.client import Client
from knowngood.errors import Refused
from knowngood.runs.model import RollbackRequest, RunKind, RunState, SnapshotRequest, WatchRequest
from knowngood.runs.store import FEED, RunStore

ROLLBACK = RunKind.ROLLBACK


@pytest.fixture
def store(redis_client: Any) -> RunStore:
    return RunStore(redis_client)


def asked(flow_id: str = "f-1", **more: Any) -> RollbackRequest:
    given = {"reason": "a test", "idempotency_key": "deploy-41", **more}
    return RollbackRequest(flow_id=flow_id, **given)


def test_a_key_that_comes_with_another_request_is_refused_by_name(store: RunStore) -> None:
    store.create(ROLLBACK, asked())
    with pytest.raises(Refused) as refused:
        store.create(ROLLBACK, asked("f-2"))
    assert refused.value.field == "idempotency_key"
    assert refused.value.value == "deploy-41"
    assert len(store.recent()) == 1


def test_a_key_that_comes_again_from_another_host_gives_the_same_run(store: RunStore) -> None:
    first = store.create(ROLLBACK, asked(requested_by="runner-1"))
    again = store.create(ROLLBACK, asked(requested_by="runner-2"))
    assert (again.answer, again.run_id) == ("repeated", first.run_id)


def test_a_key_whose_request_joined_another_run_still_belongs_to_that_request(
    store: RunStore,
) -> None:
    first = store.create(ROLLBACK, asked(idempotency_key=None))
    joined = store.create(ROLLBACK, asked(reason="mine"))
    again = store.create(ROLLBACK, asked(reason="mine"))
    assert (joined.answer, again.answer) == ("joined", "repeated")
    assert {joined.run_id, again.run_id} == {first.run_id}
    with pytest.raises(Refused):
        store.create(ROLLBACK, asked(reason="another"))


def test_a_snapshot_may_have_the_key_that_a_rollback_has(store: RunStore) -> None:
    store.create(ROLLBACK, asked())
    snapshot = SnapshotRequest(flow_id="f-1", idempotency_key="deploy-41")
    assert store.create(RunKind.SNAPSHOT, snapshot).answer == "created"


def test_a_run_that_was_recovered_with_its_target_leaves_its_key_usable(store: RunStore) -> None:
    recovered = store.create(
        ROLLBACK, asked(target_version_id="1.0"), run_id="r-1", facts={"takeovers": "1"}
    )
    again = store.create(ROLLBACK, asked())
    assert (again.answer, again.run_id) == ("repeated", recovered.run_id)


def test_runs_are_searched_by_state_and_flow_newest_first(store: RunStore) -> None:
    ids = [
        store.create(ROLLBACK, asked(f"f-{number}", idempotency_key=None)).run_id
        for number in range(5)
    ]
    store.cancel(ids[1], "a test")
    store.cancel(ids[3], "a test")
    cancelled = store.search(10, states=[RunState.CANCELLED])
    assert [run.run_id for run in cancelled] == [ids[3], ids[1]]
    assert [run.run_id for run in store.search(1, states=[RunState.CANCELLED])] == [ids[3]]
    assert [run.run_id for run in store.search(10, flow_id="f-2")] == [ids[2]]
    assert [run.run_id for run in store.search(3)] == ids[:1:-1]
    assert store.search(10, states=[RunState.FAILED]) == []


def test_the_feed_names_each_run_that_changes(store: RunStore) -> None:
    run_id = store.create(ROLLBACK, asked()).run_id
    store.cancel(run_id, "a test")
    told: Any = store.redis.xrange(FEED)
    assert [entry for _, entry in told] == [
        {"run_id": run_id, "event": "accepted"},
        {"run_id": run_id, "event": "run-ended"},
    ]


def test_the_client_takes_every_field_of_a_request() -> None:
    methods = {
        RollbackRequest: Client.rollback,
        SnapshotRequest: Client.snapshot,
        WatchRequest: Client.watch,
    }
    for request, method in methods.items():
        # Which watch asked is for knowngood's own watches to say.
        fields = set(request.model_fields) - {"watch_id"}
        assert set(signature(method).parameters) - {"self"} == fields
