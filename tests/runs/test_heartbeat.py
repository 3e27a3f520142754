"""A step that hangs must not keep its run: its process ends, and another takes the run over."""

import pytest

from knowngood.runs.heartbeat import Heart
from knowngood.runs.model import RollbackRequest, RunKind
from knowngood.runs.store import Claim, RunStore
from tests.clock import Clock


@pytest.fixture
def claim(store: RunStore) -> Claim:
    run_id = store.create(RunKind.ROLLBACK, RollbackRequest(flow_id="f-1", reason="a test")).run_id
    token = store.get(run_id).token
    return store.begin(run_id, token, RunKind.ROLLBACK, "acquire_lock", "w")[2]


def test_a_beating_claim_is_held_for_longer_than_its_lease(
    store: RunStore, clock: Clock, claim: Claim
) -> None:
    heart = Heart(store, clock=clock)
    with heart.beating(claim):
        for _ in range(5):
            clock.now += 4
            heart.beat()
            assert store.take_over(claim.run_id, backlog=False) is None


def test_a_step_that_hangs_ends_its_process(store: RunStore, clock: Clock, claim: Claim) -> None:
    ended: list[float] = []
    heart = Heart(store, limit=180, end=lambda: ended.append(clock.now), clock=clock)
    began = clock.now
    with heart.beating(claim):
        clock.now += 179
        heart.beat()
        assert ended == []
        clock.now += 2
        heart.beat()
    assert ended == [began + 181]


def test_a_step_that_hangs_ends_its_process_also_when_its_run_was_taken_over(
    store: RunStore, clock: Clock, claim: Claim
) -> None:
    ended: list[float] = []
    heart = Heart(store, limit=180, end=lambda: ended.append(clock.now), clock=clock)
    with heart.beating(claim):
        clock.now += 7
        assert store.take_over(claim.run_id, backlog=False) is not None
        heart.beat()
        assert ended == []
        clock.now += 200
        heart.beat()
    assert len(ended) == 1


def test_a_step_that_ended_is_not_thought_to_hang(
    store: RunStore, clock: Clock, claim: Claim
) -> None:
    ended: list[float] = []
    heart = Heart(store, limit=180, end=lambda: ended.append(clock.now), clock=clock)
    with heart.beating(claim):
        heart.beat()
    clock.now += 200
    heart.beat()
    assert ended == []
