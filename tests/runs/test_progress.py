"""How far a rollback has come, told from what the flow shows; whose operation is under way."""

from typing import Any

import pytest

from knowngood.errors import FlowMoved
from knowngood.genesys.port import Flow, Operation, Version, VersionStatus
from knowngood.runs.model import Run
from knowngood.runs.progress import Progress, is_ours, progress_of


def run(**more: Any) -> Run:
    known = {"run_id": "r", "flow_id": "f", "from_version": "2.0", "target_version": "1.0"}
    fresh = {"results": {}, "attempt": 1, "takeovers": 0}
    return Run.model_construct(**{**known, **fresh, **more})


def operation(**more: Any) -> Operation:
    given = {"operation_id": "op-1", "action": "PUBLISH", "by": "client us", "own": True}
    return Operation(**{**given, "complete": False, **more})


def flow(version: str, status: str = "PUBLISHED", under_way: Operation | None = None) -> Flow:
    active = Version(version_id=version, status=VersionStatus(status))
    return Flow(flow_id="f", name="Main", active=active, versions=(), operation=under_way)


OURS = {"publish": {"operation": "op-1"}}


@pytest.mark.parametrize(
    ("shown", "progress"),
    [
        (flow("2.0"), Progress.UNTOUCHED),
        (flow("1.0", "ACTIVATED"), Progress.ACTIVATED),
        (flow("1.0", "PUBLISHING"), Progress.PUBLISHING),
        (flow("1.0"), Progress.LIVE),
        (flow("2.0", under_way=operation()), Progress.PUBLISHING),
        (flow("1.0", under_way=operation()), Progress.PUBLISHING),
        (flow("1.0", under_way=operation(complete=True)), Progress.LIVE),
        (flow("2.0", under_way=operation(operation_id="op-2")), Progress.UNTOUCHED),
        (flow("2.0", under_way=operation(action="VALIDATE", operation_id="v")), Progress.UNTOUCHED),
    ],
)
def test_the_flow_shows_how_far_it_is(shown: Flow, progress: Progress) -> None:
    assert progress_of(shown, run(results=OURS)) is progress


@pytest.mark.parametrize(
    ("begun", "under_way", "ours"),
    [
        (run(results=OURS), operation(), True),
        (run(results=OURS), operation(operation_id="op-2"), False),
        (run(attempt=2), operation(), True),
        (run(takeovers=1), operation(), True),
        (run(attempt=1), operation(), False),
        (run(attempt=2), operation(own=False), False),
        (run(attempt=2), operation(action="CHECKIN"), False),
    ],
)
def test_an_operation_is_ours_by_its_id_or_when_an_earlier_attempt_may_have_started_it(
    begun: Run, under_way: Operation, *, ours: bool
) -> None:
    assert is_ours(under_way, begun) is ours


def test_a_third_version_is_somebody_else_s() -> None:
    with pytest.raises(FlowMoved, match=r"neither the broken 2\.0 nor the target 1\.0"):
        progress_of(flow("3.0"), run())


def test_a_third_version_after_our_own_publish_is_told_as_what_it_may_be() -> None:
    done = operation(complete=True)
    with pytest.raises(FlowMoved, match=r"our publish of version 1\.0 is complete") as moved:
        progress_of(flow("3.0", under_way=done), run(results=OURS))
    assert "a new number" in moved.value.action
