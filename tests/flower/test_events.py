"""Workers tell of runs in batches: what Flower hears last of a run is how it ended."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any, Self

import pytest
from celery import Celery

from tests.conftest import make_flow
from tests.stack import Stack, wait_for

pytestmark = pytest.mark.slow


class Ear:
    """Hears what the workers tell of runs, as Flower does."""

    def __init__(self, stack: Stack) -> None:
        self.heard: list[Mapping[str, Any]] = []
        app = Celery(broker=stack.broker.url)
        self._receiver = app.events.Receiver(app.connection(), handlers={"*": self.heard.append})
        self._thread = threading.Thread(target=self._receiver.capture)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._receiver.should_stop = True
        self._thread.join()

    def of(self, run_id: str) -> list[str]:
        return [each["type"] for each in self.heard if each.get("uuid") == f"run-{run_id}"]


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack() as stack:
        yield stack


@pytest.mark.parametrize(("pool", "times"), [("threads", 2), ("prefork", 1)])
def test_of_a_run_that_several_workers_executed_its_end_is_told_last(
    stack: Stack, pool: str, times: int
) -> None:
    for _ in range(3):
        stack.worker(concurrency=1, pool=pool)
    with Ear(stack) as ear:
        wait_for(lambda: ear.heard, what="the workers' heartbeats")
        runs = [stack.rollback(make_flow(stack)).run_id for _ in range(8)]

        def all_told() -> bool:
            return all(ear.of(run).count("task-succeeded") == times for run in runs)

        wait_for(all_told, what="the end of each run")
    assert {ear.of(run)[-1] for run in runs} == {"task-succeeded"}
    assert all("task-running" in ear.of(run) for run in runs)
