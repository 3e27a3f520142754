import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from knowngood.embedded.processes import CannotStart, Program, Supervisor


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not so within the deadline"
        time.sleep(0.01)


def python(name: str, code: str, **more: object) -> Program:
    return Program(name, [sys.executable, "-c", code], **more)  # type: ignore[arg-type]


SLEEP = "import time; print('up', flush=True); time.sleep(60)"


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def supervisor(tmp_path: Path, told: list[str], clock: Clock) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "logs", tell=told.append, clock=clock) as one:
        yield one


def test_output_goes_to_the_log_and_the_environment_is_handed_on(supervisor: Supervisor) -> None:
    code = "import os, sys; print(os.environ['WORD']); print('bad', file=sys.stderr)"
    supervisor.start(python("teller", code, env={"WORD": "hello"}))
    until(lambda: supervisor.tail("teller") == "hello\nbad" or "bad" in supervisor.tail("teller"))
    assert sorted(supervisor.tail("teller").splitlines()) == ["bad", "hello"]


def test_stop_leaves_no_process_not_even_a_grandchild(supervisor: Supervisor) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(60)"
    )
    supervisor.start(python("family", code))
    until(lambda: supervisor.tail("family").isdigit())
    pids = [supervisor.pid("family"), int(supervisor.tail("family"))]
    assert all(psutil.pid_exists(pid) for pid in pids)
    supervisor.stop()
    until(lambda: not any(_alive(pid) for pid in pids))


def test_a_program_is_asked_first_and_may_finish_its_work(
    supervisor: Supervisor, told: list[str]
) -> None:
    code = (
        "import signal, sys, time\n"
        "def end(*_): print('finished', flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\nprint('up', flush=True)\ntime.sleep(60)"
    )
    supervisor.start(python("warm", code))
    until(lambda: "up" in supervisor.tail("warm"))
    supervisor.stop()
    assert supervisor.tail("warm").endswith("finished")
    assert told == []


def test_one_that_does_not_follow_is_killed_and_named(
    supervisor: Supervisor, told: list[str]
) -> None:
    code = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up', flush=True)\ntime.sleep(60)"
    )
    supervisor.start(python("deaf", code, warm=0.1))
    until(lambda: "up" in supervisor.tail("deaf"))
    pid = supervisor.pid("deaf")
    supervisor.stop()
    assert not _alive(pid)
    assert told == ["deaf did not stop within 0.1 s"]


def test_a_crashed_program_starts_again_after_growing_pauses(
    supervisor: Supervisor, told: list[str], clock: Clock
) -> None:
    supervisor.start(python("fragile", SLEEP))

    def crash() -> None:
        os.kill(supervisor.pid("fragile"), signal.SIGKILL)
        before = len(told)

        def noticed() -> bool:
            supervisor.tend()
            return len(told) > before

        until(noticed)

    crash()
    assert told[-1] == "fragile ended by SIGKILL; it starts again in 1 s"
    first = supervisor.pid("fragile")
    clock.now += 0.9
    supervisor.tend()
    assert supervisor.pid("fragile") == first
    clock.now += 0.2
    supervisor.tend()
    assert told[-1] == "fragile started again"
    assert supervisor.pid("fragile") != first
    crash()
    assert told[-1] == "fragile ended by SIGKILL; it starts again in 2 s"
    clock.now += 2
    supervisor.tend()
    clock.now += 60
    crash()
    assert told[-1] == "fragile ended by SIGKILL; it starts again in 1 s"


def test_one_that_ends_at_once_is_reported_with_its_last_words(supervisor: Supervisor) -> None:
    supervisor.start(python("broken", "raise SystemExit('no such port')", ready=lambda: False))
    with pytest.raises(
        CannotStart, match=r"broken ended at once with exit code 1; see .*log"
    ) as it:
        supervisor.await_ready("broken")
    assert it.value.tail == "no such port"


def test_one_that_is_never_ready_is_reported_at_the_deadline(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(python("slow", SLEEP, ready=lambda: False))
        with pytest.raises(CannotStart, match=r"slow was not ready within 0\.2 s"):
            supervisor.await_ready("slow", timeout=0.2)


def test_a_program_that_does_not_exist_is_refused_by_name(supervisor: Supervisor) -> None:
    with pytest.raises(CannotStart, match="nothing cannot be started"):
        supervisor.start(Program("nothing", ["/nonexistent/program"]))


def _alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"
