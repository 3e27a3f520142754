"""The API misbehaves; a write is never repeated blindly, and never skipped wrongly."""

import pytest

from knowngood.runs.model import RunState
from tests.conftest import make_flow
from tests.faults.test_kills import unharmed
from tests.stack import Stack

pytestmark = [pytest.mark.faults]

WRONG = {
    "500": {"status": 500},
    "503": {"status": 503},
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "dropped before": {"drop": "before"},
    "malformed": {"malformed": True},
    "wrong shape": {"wrong_shape": True},
    "too slow": {"latency": 4.0},
}


@pytest.mark.parametrize("job", ["lock", "history", "activate", "publish"])
@pytest.mark.parametrize("wrong", sorted(WRONG))
def test_a_fault_that_passes_does_not_stop_a_rollback(stack: Stack, job: str, wrong: str) -> None:
    flow = make_flow(stack)
    stack.sim.fault(WRONG[wrong], match={"job": stack.job(job), "flow": flow})
    run = stack.rollback(flow, timeout=40)
    assert run.state is RunState.SUCCEEDED, run.error
    assert stack.sim.live(flow) == "1.0"
    unharmed(stack, flow)


@pytest.mark.parametrize(
    "effect", [{"drop": "after"}, {"status": 502, "apply": True}], ids=["dropped", "502"]
)
def test_a_write_whose_answer_was_lost_is_not_sent_again(
    stack: Stack, effect: dict[str, object]
) -> None:
    for job in stack.changes:
        flow = make_flow(stack)
        stack.sim.fault(effect, match={"job": job, "flow": flow})
        run = stack.rollback(flow)
        assert run.state is RunState.SUCCEEDED, run.error
        assert len(stack.sim.requests(flow=flow, job=job)) == 1


def test_a_revoked_token_is_renewed_once(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.rollback(flow)
    stack.sim.revoke_tokens()
    again = make_flow(stack)
    assert stack.rollback(again).state is RunState.SUCCEEDED


def test_a_missing_permission_is_told_to_a_person_and_not_retried(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.sim.fault(
        {"status": 403, "body": {"code": "missing.permissions", "message": "no publish"}},
        match={"job": "publish", "flow": flow},
        times=-1,
    )
    run = stack.rollback(flow)
    assert run.state is RunState.NEEDS_ATTENTION
    assert len(stack.sim.requests(flow=flow, job="publish")) == 1
    assert stack.client.store.redis.exists(f"kg:alert:{run.run_id}.end")
