"""The demonstration: a good version, a broken one, two breaches, a rollback, on real processes."""

import contextlib
import signal
import sys
import time
from collections.abc import Callable
from typing import Final, TypeVar

from knowngood.cli.exits import Exit
from knowngood.cli.polls import find_watch, poll_words
from knowngood.cli.stage import CALLS_PER_MINUTE, POLL_SECONDS, Stage, set_up
from knowngood.client import Client
from knowngood.embedded.processes import CannotStart
from knowngood.errors import KnowngoodError
from knowngood.health.judgement import Poll
from knowngood.runs.model import Run, RunKind, RunState
from knowngood.runs.narrative import say, span
from knowngood.runs.store import RunStore

T = TypeVar("T")

_BROKEN: Final = {"error_rate": 0.4, "abandon_rate": 0.3}
_BEFORE: Final = 30.0
_AFTER: Final = 4.0
"""Seconds of callers that are counted before the broken deployment, and after the rollback."""


class NotAsPromised(KnowngoodError):
    """Something that the demonstration promises did not happen within its deadline."""


class Timeline:
    """Prints what happens, each line with the seconds since the start."""

    def __init__(self) -> None:
        self._began = time.time()

    def tell(self, what: str, at: float | None = None) -> None:
        """Print one line; `at` is in seconds since 1970, now unless given."""
        print(f"{(at or time.time()) - self._began:6.1f} s  {what}", flush=True)


def demonstrate(api: str, *, keep: bool) -> Exit:
    """Play it and return 0; 1 with the reason and the last log lines when something is amiss."""
    # SIGTERM too takes everything away again.
    signal.signal(signal.SIGTERM, _end_as_by_ctrl_c)
    timeline = Timeline()
    timeline.tell("starting a broker, a simulated org, a worker, beat and Flower")
    try:
        with set_up(api) as stage:
            timeline.tell(f"all of it serves; Flower shows every task: {stage.flower_url}")
            try:
                _play(stage, timeline)
            except KnowngoodError:
                print(stage.supervisor.tail("worker-demo", 30), file=sys.stderr)
                raise
            if keep:
                _keep(stage)
    except CannotStart as error:
        print(error.tail, file=sys.stderr)
        raise
    return Exit.DONE


def _play(stage: Stage, timeline: Timeline) -> None:
    org, client = stage.org, Client()
    flow = org.demo_flow()
    name = org.flow(flow)["name"]

    good = org.deploy(flow, by="demo")
    timeline.tell(f"deployed version {good} of flow {name!r}, a good one")
    taken = client.snapshot(flow, "before the next deployment", requested_by="demo").run_id
    recorded = _ended(client, taken, RunState.SUCCEEDED, within=20)
    baseline = recorded.results["snapshot"]["active_version"]
    timeline.tell(f"snapshot taken: the baseline is version {baseline}")
    broken = org.deploy(flow, by="demo", quality=_BROKEN)
    broken_at = org.now()
    timeline.tell(f"deployed version {broken}: four calls in ten now fail")
    watch = client.watch(flow, requested_by="demo").run_id
    timeline.tell(
        f"watching: a poll every {POLL_SECONDS:g} s (300 s unless set otherwise), two breaches in "
        "a row trip it"
    )
    tripped = _second_breach(client.store, watch, timeline)
    rollback = _rollback_of(client.store, watch)
    _tell_steps(client, rollback, timeline)
    ended = _ended(client, rollback, RunState.SUCCEEDED, within=30)
    restored_at = _restored_at(stage, flow, good)
    if ended.target_version != good or org.live(flow) != good:
        raise NotAsPromised(f"version {org.live(flow)} is live, and not the baseline {good}")
    _expect(lambda: org.now() >= restored_at + _AFTER, "callers after the rollback", within=15)

    print()
    before = _error_rate(stage, flow, broken_at - _BEFORE, broken_at)
    during = _error_rate(stage, flow, broken_at, restored_at)
    after = _error_rate(stage, flow, restored_at + 1, restored_at + _AFTER)
    print(f"callers with an error: {before} before, {during} during, {after} after")
    print(f"callers heard version {broken} for {span(restored_at - broken_at)}")
    print(
        "from the second breach to restored service: "
        f"{span(max(restored_at - tripped.at.timestamp(), 0))} (the promise is 60 s)"
    )


def _second_breach(store: RunStore, watch: str, timeline: Timeline) -> Poll:
    told = 0
    deadline = time.monotonic() + 10 * POLL_SECONDS + 15
    while time.monotonic() < deadline:
        on = find_watch(store, watch)
        for poll in on.polls[told:] if on else ():
            told += 1
            timeline.tell(poll_words(poll), poll.at.timestamp())
            if poll.breaches >= 2:
                return poll
        time.sleep(0.1)
    raise NotAsPromised(f"the watch saw no two breaches in a row in {told} polls")


def _rollback_of(store: RunStore, watch: str) -> str:
    def find() -> str | None:
        for run in store.recent():
            if run.kind is RunKind.ROLLBACK and getattr(run.request, "watch_id", None) == watch:
                return run.run_id
        return None

    return _expect(find, "the watch's rollback", within=10)


def _tell_steps(client: Client, run_id: str, timeline: Timeline) -> None:
    deadline = time.monotonic() + 60
    for entry in client.follow(run_id):
        if entry is not None and entry.event not in {"accepted", "step-started"}:
            timeline.tell(f"rollback: {say(entry)}", entry.at.timestamp())
        if (entry and entry.event == "run-ended") or time.monotonic() > deadline:
            return


def _ended(client: Client, run_id: str, state: RunState, *, within: float) -> Run:
    run = client.wait(run_id, within)
    if run.state is not state:
        why = run.error or f"it is still at step {run.step} after {within:g} s"
        raise NotAsPromised(f"the {run.kind} is {run.state}, not {state}: {why}")
    return run


def _restored_at(stage: Stage, flow: str, version: str) -> float:
    changes = stage.org.flow(flow)["history"]
    if changes[-1]["version"] != version:
        raise NotAsPromised(f"callers hear version {changes[-1]['version']}, not {version}")
    return float(changes[-1]["at"])


def _error_rate(stage: Stage, flow: str, start: float, end: float) -> str:
    seconds = stage.org.callers(flow, start=start, end=end)
    calls = sum(second["calls"] for second in seconds)
    if not calls:
        raise NotAsPromised(f"nobody called, although {CALLS_PER_MINUTE} a minute should")
    return f"{sum(second['errors'] for second in seconds) / calls:.1%} of {calls}"


def _expect(ask: Callable[[], T | None], what: str, *, within: float) -> T:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.05)
    raise NotAsPromised(f"{what} did not come within {within:g} s")


def _keep(stage: Stage) -> None:
    print(f"\neverything is still running; Flower: {stage.flower_url}")
    print(f"look around: cd {stage.home} && knowngood runs")
    print("Ctrl-C ends it all", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            stage.supervisor.tend()
            time.sleep(0.5)


def _end_as_by_ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt
