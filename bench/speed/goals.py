"""What was aimed at, what was measured, and whether it was reached."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.speed.engines import Figures
from bench.speed.latency import Latency
from bench.speed.limit import Limited
from bench.speed.start import Start
from bench.speed.throughput import Throughput


@dataclass(frozen=True)
class Goal:
    """`why` says what stands in the way when it is missed."""

    goal: str
    measured: str
    held: bool
    by: float
    why: str

    @property
    def verdict(self) -> str:
        """Say `held`, or by how much it is missed."""
        return "held" if self.held else f"**missed** by {self.by:.0%}"


def _at_most(goal: str, measured: str, value: float, limit: float, why: str) -> Goal:
    return Goal(goal, measured, value <= limit, value / limit - 1, why)


def of_latency(measured: Sequence[Latency]) -> list[Goal]:
    quick, slow = measured[0], measured[-1]
    return [
        _at_most(
            f"at {slow.latency * 1000:.0f} ms per call at most 1.15 x the floor",
            f"{slow.to_floor} x",
            slow.to_floor.median,
            1.15,
            "Each of the nine messages passes the broker, the worker's main process and a pool "
            "process; that time does not shrink with the API's.",
        ),
        _at_most(
            "at no latency at most 2 x the bare chain",
            f"{quick.to_chain} x",
            quick.to_chain.median,
            2,
            f"Beside the chain's messages a rollback makes nine HTTP calls, "
            f"{quick.floor.median * 1000:.0f} ms by themselves, takes a place below the rate limit "
            f"for each, and writes its journal twice a step. All of it is Python that holds one "
            f"worker's lock; at the latencies of a real API it is lost beside the calls.",
        ),
    ]


def of_throughput(measured: Sequence[Throughput]) -> list[Goal]:
    most = measured[-1]
    return [
        _at_most(
            f"{most.flows:,} rollbacks at 50 ms per call restored in 60 s",
            f"{most.last_live:.1f} s",
            most.last_live,
            60,
            "The machine's cores are what limits it: worker, broker, org and client share them.",
        )
    ]


def of_limit(measured: Limited) -> list[Goal]:
    ratio = measured.last_ended / measured.permitted
    return [
        _at_most(
            "with the real limit on, within 10 % of what it permits",
            f"{measured.last_ended:.1f} s of {measured.permitted:.0f} s, {ratio:.2f} x",
            ratio,
            1.1,
            "The limiter keeps a margin below the limit, and counts over any minute, not only over "
            "those of Genesys' own clock.",
        )
    ]


def of_engines(measured: Sequence[Figures]) -> list[Goal]:
    ours = measured[0]
    durable = [each for each in measured if each.durable and not each.engine.startswith("knowng")]
    quickest = min(durable, key=lambda each: each.calls.median)
    most = max(durable, key=lambda each: each.calls_rate)
    return [
        _at_most(
            "ahead of every durable engine in latency",
            f"{ours.calls.median * 1000:.0f} ms; {quickest.engine} "
            f"{quickest.calls.median * 1000:.0f} ms",
            ours.calls.median,
            quickest.calls.median,
            "An engine that runs all steps in one process sends no message between them; here each "
            "step is a task of its own, which any worker may take up and Flower shows.",
        ),
        _at_most(
            "ahead of every durable engine in throughput",
            f"{ours.calls_rate:.1f} jobs/s; {most.engine} {most.calls_rate:.1f} jobs/s",
            most.calls_rate,
            ours.calls_rate,
            "The same: a message for each step costs CPU that an engine without them does not use.",
        ),
    ]


def of_start(measured: Sequence[Start]) -> list[Goal]:
    shown = next(each for each in measured if "--help" in each.command)
    return [
        _at_most(
            "`knowngood --help` under 3 x `python -c pass`",
            f"{shown.to_python} x",
            shown.to_python.median,
            3,
            "The command imports more than it needs to show its help.",
        )
    ]
