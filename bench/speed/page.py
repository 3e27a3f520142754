"""One table of all figures, for a terminal and as docs/performance.md."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass

from bench.speed.engines import PROCESSES, SLOTS, Figures
from bench.speed.goals import Goal
from bench.speed.latency import Latency
from bench.speed.limit import ALLOWED, Limited
from bench.speed.pools import Pool
from bench.speed.start import Start
from bench.speed.throughput import Throughput


@dataclass(frozen=True)
class Section:
    """A part of the table, and what a reader must know of it."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    says: str = ""


def of_goals(goals: Sequence[Goal]) -> Section:
    rows = [(each.goal, each.measured, each.verdict) for each in goals]
    missed = [f"- Missed: {each.goal}. {each.why}" for each in goals if not each.held]
    return Section("Goals", ("goal", "measured", "verdict"), rows, "\n".join(missed))


def of_latency(measured: Sequence[Latency]) -> Section:
    rows = [
        (
            f"{each.latency * 1000:.0f} ms",
            f"{each.rollback.scaled(1000)}",
            f"{each.floor.scaled(1000)}",
            f"{each.to_floor}",
            f"{each.chain.scaled(1000)}",
            f"{each.to_chain}",
            f"{each.script.scaled(1000)}",
            f"{each.to_script}",
        )
        for each in measured
    ]
    head = ("API latency", "rollback, ms", "floor, ms", "x", "bare chain, ms", "x", "script, ms")
    return Section(
        "Latency of one rollback",
        (*head, "x"),
        rows,
        "From the request to the end of the run, one after the other. The floor is the nine API "
        "calls that a rollback must make, in sequence over a warm connection. The bare chain is a "
        "Celery chain of as many tasks as a rollback has (nine), which do nothing, with the same "
        "broker and worker settings. The script makes the floor's calls in a process of its own, "
        "start included: no journal, no lease, no retries, no alerts. Each round measures all "
        "four, so that the ratios are of neighbours in time.",
    )


def of_throughput(measured: Sequence[Throughput]) -> Section:
    rows = [
        (
            f"{each.flows:,}",
            f"{each.last_live:.2f}",
            f"{each.rate:.1f}",
            f"{each.run}",
            f"{each.worker_cpu * 1000:.0f}",
            f"{each.worker_cores:.2f}",
            f"{each.memory_before:.0f} -> {each.memory_after:.0f}",
            f"{each.calls:.1f}",
            f"{each.redis_commands:.0f}",
            f"{each.redis_bytes / 1000:.0f}",
        )
        for each in measured
    ]
    head = ("flows", "last restored, s", "runs/s", "a run, s", "workers' CPU a run, ms", "cores")
    return Section(
        "Many flows at once, 50 ms per API call, no rate limit",
        (*head, "memory, MB", "API calls a run", "Redis commands a run", "kB a run"),
        rows,
        "As many workers for rollbacks as `knowngood up` starts, one for each core, with the other "
        "worker and beat beside them; client, broker and the simulated org share the machine. "
        "Cores and memory are those of one worker for rollbacks, memory before and after the "
        "batch. Commands count those that the journal's scripts call.",
    )


def of_limit(measured: Limited) -> Section:
    row = (
        f"{measured.flows}",
        f"{measured.calls}",
        f"{measured.permitted:.0f}",
        f"{measured.last_ended:.1f}",
        f"{measured.refused}",
    )
    return Section(
        "Many flows at once under the real limit",
        ("flows", "calls that count", "permitted, s", "taken, s", "answered 429"),
        [row],
        f"{ALLOWED} calls a minute, which is what Genesys Cloud allows one OAuth token by default.",
    )


def of_engines(measured: Sequence[Figures]) -> Section:
    rows = [
        (
            each.engine,
            "yes" if each.durable else "no",
            f"{each.noop.scaled(1000)}",
            f"{each.calls.scaled(1000)}",
            f"{each.noop_rate:.1f}",
            f"{each.noop_cpu * 1000:.0f}",
            f"{each.calls_rate:.1f}",
            f"{each.calls_cpu * 1000:.0f}",
            f"{each.memory:.0f}",
        )
        for each in measured
    ]
    head = ("engine", "durable", "no-op job, ms", "job, ms", "no-op jobs/s", "CPU each, ms")
    return Section(
        "The same job on other engines",
        (*head, "jobs/s at 50 ms", "CPU each, ms", "memory, MB"),
        rows,
        f"The job is the seven steps of a rollback with their nine API calls, or seven steps that "
        f"do nothing. knowngood does more: an eighth step, an entry task, the journal, the lease, "
        f"the rate limit and Flower's events. Each engine has {SLOTS} slots: Celery and Huey as "
        f"{SLOTS} processes, knowngood, Dramatiq and DBOS as {PROCESSES} processes of "
        f"{SLOTS // PROCESSES} threads. Durable means that a step which was done is not done again "
        f"when a worker dies. knowngood writes its journal with an fsync for each change, as "
        f"PostgreSQL does for DBOS; the others' Redis does not. DBOS is asked twice: by its queue "
        f"from another process "
        f"(polled every 10 ms in place of its default of a second), and with workflows that its "
        f"own process starts when it hears of them. The CPU is that of the whole machine.",
    )


def of_pools(measured: Sequence[Pool]) -> Section:
    rows = [
        (
            f"{each.pool}, {each.workers} x {each.slots}",
            f"{each.last_live:.1f}",
            f"{each.rate:.1f}",
            f"{each.cores:.2f}",
            f"{each.cpu * 1000:.0f}",
            f"{each.memory:.0f}",
        )
        for each in measured
    ]
    return Section(
        "Pools, 50 ms per API call",
        ("pool", "last restored, s", "runs/s", "cores", "CPU a run, ms", "memory, MB"),
        rows,
        "Workers x slots. Threads are the default: with a worker for each core, as `up` starts "
        "them, they do as many runs a second as processes do, in a fraction of the memory. In a "
        "gevent worker whose slots are all taken, Celery looks only every second or two whether "
        "one has come free: it needs more slots than it will ever have messages. "
        "`KNOWNGOOD_WORKER_POOL` and `KNOWNGOOD_WORKER_CONCURRENCY` choose.",
    )


def of_start(measured: Sequence[Start]) -> Section:
    rows = [
        (f"`{each.command}`", f"{each.seconds.scaled(1000)}", f"{each.to_python}")
        for each in measured
    ]
    return Section("Start, from nothing", ("command", "ms", "x python -c pass"), rows)


def as_text(sections: Sequence[Section]) -> str:
    lines = []
    for section in sections:
        table = [tuple(section.head), *(tuple(row) for row in section.rows)]
        widths = [max(len(row[n]) for row in table) for n in range(len(section.head))]
        lines += [section.title]
        lines += ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in table]
        lines += [""]
    return "\n".join(lines).replace("**", "").replace("`", "")


def as_markdown(sections: Sequence[Section]) -> str:
    lines = [
        "# Performance",
        "",
        f"Written by `make bench` on {os.cpu_count()} cores, {platform.system()}, Python "
        f"{platform.python_version()}; everything in one run, side by side. Figures are medians, "
        "with the 10th and 90th percentile in parentheses; x is the median of the ratios.",
    ]
    for section in sections:
        lines += ["", f"## {section.title}"]
        if section.says:
            lines += [section.says]
        lines += [
            "",
            "| " + " | ".join(section.head) + " |",
            "| " + " | ".join("---" for _ in section.head) + " |",
            *("| " + " | ".join(row) + " |" for row in section.rows),
        ]
    return "\n".join(lines) + "\n"
