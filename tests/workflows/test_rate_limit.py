"""Runs under a rate limit that binds: they wait in their journal, and say so."""

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from knowngood.errors import Waiting
from knowngood.metrics import exposition
from knowngood.runs.model import Run, RunState
from tests.conftest import make_flow
from tests.stack import Stack, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def limited() -> Iterator[Stack]:
    """An installation that may make about one rollback a minute."""
    with Stack(RATE_LIMIT="14", RATE_LIMIT_TIMEOUT="30") as stack:
        stack.worker()
        yield stack


def waiting(stack: Stack, run_id: str) -> Run | None:
    run = stack.client.store.get(run_id)
    return run if run.state is RunState.WAITING else None


def test_a_rollback_that_finds_no_room_waits_before_it_begins(limited: Stack) -> None:
    first, second = make_flow(limited), make_flow(limited)
    assert limited.rollback(first).state is RunState.SUCCEEDED
    run_id = limited.client.rollback(second, "a test").run_id
    run = wait_for(lambda: waiting(limited, run_id), what="the wait")
    assert (run.step, run.waiting_on) == ("acquire_lock", Waiting.RATE)
    assert limited.sim.requests(flow=second) == []
    assert 429 not in {entry["status"] for entry in limited.sim.requests()}
    entry = limited.client.store.journal(run_id)[-1]
    assert entry.detail["waiting_on"] == "rate"
    assert "no place below Genesys' rate limit" in entry.detail["error"]
    limited.client.cancel(run_id, "a test")
    samples = {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(
            exposition(limited.client.store.redis, limited.settings()).decode()
        )
        for sample in family.samples
    }
    waits = frozenset({"rollback", "acquire_lock", "rate"})
    assert samples["knowngood_api_calls_total", frozenset({"rollback"})] == 8
    assert samples["knowngood_rate_limited_total", frozenset({"rollback", "held"})] >= 1
    assert samples["knowngood_step_waits_total", waits] >= 1


def test_a_429_is_waited_for_and_counted_too(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.sim.fault(
        {"status": 429, "headers": {"Retry-After": "1"}}, match={"job": "publish", "flow": flow}
    )
    assert stack.rollback(flow).state is RunState.SUCCEEDED
    counted = stack.client.store.redis.hgetall("kg:metrics:rate_limited")
    assert int(counted["rollback|refused"]) >= 1
