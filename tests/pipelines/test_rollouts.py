"""The pipelines' own shell steps, run against real workers and the simulated org."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from knowngood.runs.model import Run, RunKind, RunState
from tests.conftest import make_flow
from tests.pipelines.reading import NAMES, Job, Step, cancel, run, run_all, steps_of
from tests.pipelines.workspace import Workspace
from tests.stack import Stack, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
BROKEN = json.dumps({"error_rate": 0.5})
GITHUB = NAMES[0]
BASELINE = "2.0"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    # Each test breaks a flow; together they are no fault of the platform.
    with Stack(HEALTH_INTERVAL="1", BREAKER_FLOWS="99") as installation:
        yield installation.running()


@pytest.fixture
def flow(stack: Stack) -> str:
    healthy = [{"age_seconds": 7_200}, {"age_seconds": 3_600}]
    return make_flow(stack, versions=healthy, calls_per_minute=12_000)


@pytest.fixture
def workspace(stack: Stack, flow: str, tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "checkout", stack, flow)


def whole(workspace: Workspace, name: str = GITHUB, **env: str) -> Job:
    """Run a pipeline from its first step to its last."""
    return run_all(name, workspace.directory, {**workspace.env, **env}, workspace.given)


def step(workspace: Workspace, word: str) -> Step:
    return next(s for s in steps_of(GITHUB, workspace.given) if f"rollout.sh {word}" in s.script)


def start(workspace: Workspace, word: str, **env: str) -> subprocess.Popen[str]:
    return run(step(workspace, word), workspace.directory, {**workspace.env, **env})


def ended(workspace: Workspace, word: str, **env: str) -> tuple[int, str]:
    process = start(workspace, word, **env)
    said, _ = process.communicate(timeout=110)
    return process.returncode, said


def runs_of(stack: Stack, flow: str, kind: RunKind) -> list[Run]:
    return [r for r in stack.client.store.recent(500) if r.flow_id == flow and r.kind is kind]


@pytest.mark.parametrize("name", NAMES)
def test_a_good_deployment_ends_well(
    stack: Stack, flow: str, workspace: Workspace, name: str
) -> None:
    job = whole(workspace, name)
    assert job.codes == [0, 0, 0, 0], job.said
    assert stack.sim.live(flow) not in {None, BASELINE}
    (watch,) = runs_of(stack, flow, RunKind.WATCH)
    assert watch.outcome == "passed"
    for secret in ("KNOWNGOOD_REDIS_URL", "KNOWNGOOD_BROKER_URL"):
        assert workspace.given[secret] not in job.said


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_deployment_is_rolled_back_once_and_fails_the_job(
    stack: Stack, flow: str, workspace: Workspace, name: str
) -> None:
    job = whole(workspace, name, QUALITY=BROKEN)
    assert job.codes == [0, 0, 1, 0], job.said
    assert stack.sim.live(flow) == BASELINE
    (rollback,) = runs_of(stack, flow, RunKind.ROLLBACK)
    assert rollback.request.requested_by == "watch", "the pipeline must not roll back again"
    assert "revert it before the next deployment" in job.said


def test_what_was_rolled_back_is_not_deployed_again_until_it_is_corrected(
    stack: Stack, flow: str, workspace: Workspace
) -> None:
    assert whole(workspace, QUALITY=BROKEN).codes == [0, 0, 1, 0]
    again = whole(workspace.of_another_job("again"), QUALITY=BROKEN)
    assert again.codes == [2, 0], again.said
    assert "was deployed before and rolled back" in again.said
    assert stack.sim.live(flow) == BASELINE
    corrected = whole(workspace.of_another_job("corrected", revision="8be02d7"))
    assert corrected.codes[:3] == [0, 0, 0], corrected.said


def test_a_rollback_that_a_safeguard_holds_back_is_left_to_a_person(
    stack: Stack, flow: str, workspace: Workspace
) -> None:
    assert whole(workspace, QUALITY=BROKEN).codes == [0, 0, 1, 0]
    # The flow is in its cooldown now.
    second = whole(workspace.of_another_job("second", revision="8be02d7"), QUALITY=BROKEN)
    assert second.codes == [0, 0, 3, 0], second.said
    assert "a person must look" in second.said
    assert "held_back" in second.said
    assert len(runs_of(stack, flow, RunKind.ROLLBACK)) == 1


def test_a_deployment_that_fails_before_it_publishes_changes_nothing(
    stack: Stack, flow: str, workspace: Workspace
) -> None:
    job = whole(workspace, TOOL="refuses")
    assert job.codes == [0, 1, 0], job.said
    assert stack.sim.live(flow) == BASELINE
    assert {"activate", "publish"}.isdisjoint(stack.writes(flow))


def test_a_deployment_that_fails_after_it_published_is_undone(
    stack: Stack, flow: str, workspace: Workspace
) -> None:
    job = whole(workspace, TOOL="breaks")
    assert job.codes == [0, 1, 0], job.said
    assert stack.sim.live(flow) == BASELINE
    repeated = whole(workspace.of_another_job("repeated"))
    assert repeated.codes == [0, 0, 0, 0], "a deployment that broke off may be repeated"


def test_a_job_that_is_cancelled_while_it_deploys_is_undone_and_watched(
    stack: Stack, flow: str, workspace: Workspace
) -> None:
    assert ended(workspace, "snapshot")[0] == 0
    deploying = start(workspace, "deploy", TOOL="hangs")
    wait_for(lambda: stack.sim.live(flow) != BASELINE, what="the deployment")
    cancel(deploying)
    code, said = ended(workspace, "settle")
    assert code == 0, said
    assert stack.sim.live(flow) == BASELINE
    assert len(runs_of(stack, flow, RunKind.WATCH)) == 1


def test_a_job_that_is_cancelled_before_it_watches_leaves_a_watch(
    stack: Stack, flow: str, workspace: Workspace
) -> None:
    assert ended(workspace, "snapshot")[0] == 0
    assert ended(workspace, "deploy", QUALITY=BROKEN)[0] == 0
    code, said = ended(workspace, "settle")
    assert code == 0, said
    assert "goes on without this job" in said
    wait_for(lambda: stack.sim.live(flow) == BASELINE, timeout=40, what="the rollback")


def test_a_job_that_is_cancelled_while_it_watches_leaves_the_watch_on(
    stack: Stack, flow: str, workspace: Workspace
) -> None:
    assert ended(workspace, "snapshot")[0] == 0
    assert ended(workspace, "deploy")[0] == 0
    watching = start(workspace, "watch")
    (watch,) = wait_for(lambda: runs_of(stack, flow, RunKind.WATCH), what="the watch")
    cancel(watching)
    code, said = ended(workspace, "settle")
    assert code == 0, said
    assert stack.ended(watch.run_id, timeout=40).outcome == "passed"
    assert len(runs_of(stack, flow, RunKind.WATCH)) == 1


def test_a_flow_that_somebody_edits_is_not_deployed(
    stack: Stack, flow: str, workspace: Workspace
) -> None:
    stack.sim.lock(flow, by="Ada", seconds=60)
    job = whole(workspace)
    assert job.codes == [3, 0], job.said
    assert "nothing was deployed" in job.said
    assert stack.sim.live(flow) == BASELINE
    (snapshot,) = runs_of(stack, flow, RunKind.SNAPSHOT)
    assert snapshot.state is RunState.NEEDS_ATTENTION


def test_without_knowngood_nothing_is_deployed(
    stack: Stack, flow: str, workspace: Workspace
) -> None:
    workspace.given["KNOWNGOOD_BROKER_URL"] = "redis://127.0.0.1:1/0"
    job = whole(workspace)
    assert job.codes == [1, 0], job.said
    assert "the broker does not answer" in job.said
    assert stack.sim.live(flow) == BASELINE
