"""knowngood on a Redis that loses its master: found again by its Sentinels, nothing is lost."""

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from knowngood.cli.programs import free_port
from knowngood.metrics import exposition
from knowngood.runs.model import RunState
from tests.cli.terminal import COMMAND, piped
from tests.conftest import make_flow
from tests.sentinel.group import Group
from tests.stack import Stack, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture(scope="module")
def group() -> Iterator[Group]:
    with closing(Group()) as servers:
        yield servers


@pytest.fixture(scope="module")
def stack(group: Group) -> Iterator[Stack]:
    with Stack(
        BROKER_URL=group.url, REDIS_URL=group.url, API_TOKENS=f"read:{TOKEN}"
    ) as installation:
        yield installation.running()


def under_supervision(stack: Stack) -> None:
    """Start what ended: a worker ends when its broker dies while it holds a message."""
    for process in list(stack.processes):
        if process.child.poll() is not None and process.name.startswith(("worker", "beat")):
            stack.processes.remove(process)
            stack.beat() if process.name == "beat" else stack.worker()


def serving(stack: Stack) -> str:
    port = free_port()
    process = stack.start("api", [str(COMMAND), "api", "--port", str(port)], settings={})
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    wait_for(answers, timeout=30, what=f"the API\n{process.tail()}")
    return url


def test_runs_outlive_the_loss_of_the_master(stack: Stack, group: Group) -> None:
    before = make_flow(stack)
    kept = stack.rollback(before)
    assert kept.state is RunState.SUCCEEDED
    url = serving(stack)
    told = exposition(stack.client.store.redis, stack.settings()).decode()
    assert "knowngood_broker_up 1.0" in told

    former = group.master()
    assert group.kill_master() != former

    wait_for(lambda: stack.client.store.find(kept.run_id), timeout=40, what="the journal")
    assert stack.client.get(kept.run_id).state is RunState.SUCCEEDED
    under_supervision(stack)
    after = make_flow(stack)
    assert stack.rollback(after, timeout=60).state is RunState.SUCCEEDED
    assert stack.sim.live(after) == "1.0"
    listed = httpx.get(f"{url}/v1/runs", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
    assert listed.status_code == 200, listed.text
    assert kept.run_id in listed.text


def test_the_command_line_finds_the_new_master(stack: Stack) -> None:
    done = piped("doctor", env=stack.environment(), cwd=stack.directory, timeout=60)
    assert "ok    broker:" in done.stdout, done.stdout + done.stderr
    assert "ok    beat: alive" in done.stdout, done.stdout
    assert "of-the-servers" not in done.stdout + done.stderr
    assert "of-the-sentinels" not in done.stdout + done.stderr
