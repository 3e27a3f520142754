"""How long a command and a worker take from nothing, beside Python itself."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.speed.installation import Installation
from bench.speed.measuring import Spread, ratios

KNOWNGOOD = str(Path(sys.executable).with_name("knowngood"))


@dataclass(frozen=True)
class Start:
    """One command's seconds, and how many times those of `python -c pass` they are."""

    command: str
    seconds: Spread
    to_python: Spread


def measure(rounds: int) -> list[Start]:
    with Installation() as stack:
        worker = stack.rollback_worker()
        run = stack.restore(stack.flows(1)).runs[0].run_id
        worker.kill()
        env = stack.environment()
        commands = {
            "python -c pass": _command([sys.executable, "-c", "pass"], env),
            "knowngood --help": _command([KNOWNGOOD, "--help"], env),
            "knowngood status RUN": _command([KNOWNGOOD, "status", run], env),
            "worker, until it takes messages": lambda: _worker(stack),
        }
        found: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, command in commands.items():
                seconds = command()
                if number:
                    found[name].append(seconds)
    python = found["python -c pass"]
    return [
        Start(name, Spread.of(seconds), ratios(seconds, python)) for name, seconds in found.items()
    ]


def _command(command: list[str], env: Mapping[str, str]) -> Callable[[], float]:
    def timed() -> float:
        began = time.perf_counter()
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    return timed


def _worker(stack: Installation) -> float:
    began = time.perf_counter()
    worker = stack.rollback_worker()
    seconds = time.perf_counter() - began
    worker.kill()
    return seconds
