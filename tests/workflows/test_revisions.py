"""What a pipeline deploys has a name, and what was rolled back is not deployed again."""

import pytest

from knowngood.runs.model import RunState
from tests.cli.terminal import piped
from tests.conftest import make_flow
from tests.stack import Stack

pytestmark = pytest.mark.slow


def rolled_back(stack: Stack, flow: str, revision: str) -> None:
    """Deploy a revision and roll it back."""
    assert stack.snapshot(flow, revision=revision).state is RunState.SUCCEEDED
    stack.sim.deploy(flow, quality={"error_rate": 0.5})
    assert stack.rollback(flow, reason="errors after deploy 41").outcome == "restored"


def test_a_revision_that_was_rolled_back_is_not_deployed_again(stack: Stack) -> None:
    flow = make_flow(stack)
    rolled_back(stack, flow, "3fa9c1e")
    again = stack.snapshot(flow, revision="3fa9c1e")
    assert again.state is RunState.NEEDS_ATTENTION
    assert "errors after deploy 41" in again.error
    assert "revert" in again.action
    assert stack.snapshot(flow, revision="8be02d7").state is RunState.SUCCEEDED


def test_the_command_refuses_it_at_the_door(stack: Stack) -> None:
    flow = make_flow(stack)
    rolled_back(stack, flow, "3fa9c1e")
    done = piped(
        *("snapshot", flow, "--revision", "3fa9c1e"), env=stack.environment(), cwd=stack.directory
    )
    assert done.returncode == 2
    assert "3fa9c1e was deployed before and rolled back" in done.stderr
    assert done.stdout == ""


def test_a_revision_that_came_after_the_bad_version_is_not_blamed(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.snapshot(flow, revision="3fa9c1e")
    assert stack.rollback(flow, target_version_id="1.0").outcome == "restored"
    assert stack.snapshot(flow, revision="3fa9c1e").state is RunState.SUCCEEDED


def test_a_rollback_without_blame_leaves_the_revision_to_be_deployed_again(stack: Stack) -> None:
    flow = make_flow(stack)
    assert stack.snapshot(flow, revision="3fa9c1e").state is RunState.SUCCEEDED
    broken_off = stack.sim.deploy(flow)
    assert stack.rollback(flow, blame=False).outcome == "restored"
    assert broken_off not in stack.registry().verdicts(flow).known_bad
    assert stack.snapshot(flow, revision="3fa9c1e").state is RunState.SUCCEEDED
