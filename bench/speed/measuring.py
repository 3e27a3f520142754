"""Samples and their spread, the CPU and memory of processes, and Redis' own counters.

Times are seconds, memory is megabytes. Memory is the proportional set size: what processes share
counts once.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import psutil
import redis


@dataclass(frozen=True)
class Spread:
    """The median of samples, and the 10th and 90th percentile of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        ranked = sorted(values)
        last = len(ranked) - 1
        return cls(statistics.median(ranked), ranked[round(last * 0.1)], ranked[round(last * 0.9)])

    def scaled(self, by: float) -> "Spread":
        return Spread(self.median * by, self.low * by, self.high * by)

    def __str__(self) -> str:
        digits = 2 if self.median < 20 else 0
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"


def ratios(these: Sequence[float], those: Sequence[float]) -> Spread:
    """Divide sample by sample: what slowed the machine down for a while slowed down both."""
    return Spread.of(one / other for one, other in zip(these, those, strict=True))


class Tree:
    """Processes and their descendants."""

    def __init__(self, *pids: int) -> None:
        self.size = len(pids)
        self._roots = [psutil.Process(pid) for pid in pids]

    def processes(self) -> list[psutil.Process]:
        return [p for root in self._roots for p in (root, *root.children(recursive=True))]

    def cpu(self) -> float:
        """Return the CPU seconds used so far, by user and kernel."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes())

    def memory(self) -> float:
        return sum(process.memory_full_info().pss for process in self.processes()) / 1e6


@dataclass(frozen=True)
class RedisUse:
    """What a server has done so far; subtract one from another."""

    commands: int
    bytes: int
    cpu: float

    @classmethod
    def of(cls, client: redis.Redis) -> Self:
        info = cast("dict[str, Any]", client.info("all"))
        # What a script calls is counted in commandstats only.
        commands = sum(
            stats["calls"] for name, stats in info.items() if name.startswith("cmdstat_")
        )
        moved = info["total_net_input_bytes"] + info["total_net_output_bytes"]
        return cls(commands, moved, info["used_cpu_user"] + info["used_cpu_sys"])

    def since(self, before: "RedisUse") -> "RedisUse":
        return RedisUse(
            self.commands - before.commands, self.bytes - before.bytes, self.cpu - before.cpu
        )


def machine_cpu() -> float:
    """Return the CPU seconds that all processes of this machine have used so far."""
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice + times.irq + times.softirq)
