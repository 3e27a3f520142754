"""Watches and their polls, in words and in columns."""

from collections.abc import Sequence
from typing import Final

from knowngood.cli.journal import open_journal
from knowngood.cli.narrative import clock, moment, span
from knowngood.health.judgement import Finding, KpiVerdict, Poll
from knowngood.health.kpis import KPIS
from knowngood.health.watch import Watch
from knowngood.health.watches import WatchStore
from knowngood.runs.store import RunStore

WATCH_HEADERS: Final = (
    "WATCH",
    "FLOW",
    "VERSION",
    "POLICY",
    "POLLS",
    "BREACHES",
    "NEXT POLL",
    "ENDS",
)
_KPIS: Final = {kpi.name: kpi for kpi in KPIS}
_BROKEN: Final = " !"
"""Marks the KPI that breached, also where there is no colour."""


def open_watches() -> Sequence[Watch]:
    """Read the watches that are on."""
    return WatchStore(open_journal().redis).on()


def find_watch(store: RunStore, watch_id: str) -> Watch | None:
    """Read a watch, on or ended; None before it was put on, and after its retention."""
    return WatchStore(store.redis).find(watch_id)


def watch_cells(watch: Watch) -> tuple[str, ...]:
    """Return a watch as a row."""
    return (
        watch.watch_id,
        watch.flow_name,
        watch.version_id or "-",
        watch.policy + (" (dry run)" if watch.dry_run else ""),
        str(watch.number),
        str(watch.breaches),
        clock(watch.due),
        moment(watch.bake_until) if watch.bake_until else "never",
    )


def watch_fields(watch: Watch) -> dict[str, str]:
    """Return what a watch judges by: a name and a text each."""
    limits = (
        # A floor is a share of what the flow's own history foretells, not a number of calls.
        f"{_name(kpi)} {limit:.0%}"
        if _bound(kpi) == "at least"
        else f"{_name(kpi)} {_shown(kpi, limit)}"
        for kpi, limit in watch.limits.kpis.items()
    )
    return {
        "version": watch.version_id or "",
        "policy": watch.policy + (", dry run" if watch.dry_run else ""),
        "trips after": f"{watch.limits.consecutive_breaches} breaches in a row",
        "window": f"{span(watch.window)}, every {span(watch.interval)}",
        "limits": ", ".join(limits),
        "least calls": str(watch.limits.min_calls),
    }


def poll_words(poll: Poll) -> str:
    """Say what one poll measured and what was made of it."""
    row = f" ({poll.breaches} in a row)" if poll.breaches else ""
    return f"poll {poll.number}: {poll.judgement.verdict}{row}: {_measured(poll)}"


def poll_headers(polls: Sequence[Poll]) -> tuple[str, ...]:
    """Return the headers of a table of polls: each judged KPI with its limit."""
    return ("POLL", "TIME", "CALLS", *_judged(polls).values(), "VERDICT", "IN A ROW", "DECISION")


def poll_rows(polls: Sequence[Poll]) -> list[tuple[str, ...]]:
    """Return polls as rows under `poll_headers`."""
    return [
        (
            str(poll.number),
            clock(poll.at),
            str(poll.measurement.volume)
            if poll.measurement and poll.measurement.volume is not None
            else "-",
            *(_cell(poll, kpi) for kpi in _judged(polls)),
            str(poll.judgement.verdict),
            str(poll.breaches or "-"),
            poll.decision,
        )
        for poll in polls
    ]


def _judged(polls: Sequence[Poll]) -> dict[str, str]:
    latest: dict[str, Finding] = {}
    for poll in polls:
        for finding in poll.judgement.findings:
            if finding.limit is not None and finding.value is not None:
                latest[finding.kpi] = finding
    return {
        kpi: f"{_name(kpi).upper()} ({_bound(kpi)} {_shown(kpi, found.limit)})"
        for kpi, found in latest.items()
    }


def _cell(poll: Poll, kpi: str) -> str:
    for finding in poll.judgement.findings:
        if finding.kpi == kpi and finding.value is not None:
            mark = _BROKEN if finding.verdict is KpiVerdict.BREACH else ""
            return _shown(kpi, finding.value) + mark
    return "-"


def _measured(poll: Poll) -> str:
    told = [each for each in poll.judgement.findings if each.limit is not None]
    broken = [each for each in told if each.verdict is KpiVerdict.BREACH]
    if not told or poll.measurement is None:
        return poll.judgement.why
    values = (
        f"{_name(each.kpi)} {_shown(each.kpi, each.value)} "
        f"({_bound(each.kpi)} {_shown(each.kpi, each.limit)})"
        for each in broken or told
    )
    return ", ".join([*values, f"{poll.measurement.volume} calls"])


def _bound(kpi: str) -> str:
    return "at least" if kpi in _KPIS and _KPIS[kpi].is_floor else "at most"


def _shown(kpi: str, value: float | None) -> str:
    if value is None:
        return "-"
    return _KPIS[kpi].show(value) if kpi in _KPIS else f"{value:g}"


def _name(kpi: str) -> str:
    return kpi.replace("_", " ")
