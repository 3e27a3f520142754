"""Watches and their polls, in words and in columns."""

from collections.abc import Sequence
from typing import Final

from knowngood.cli.journal import open_journal
from knowngood.health.judgement import Finding, KpiVerdict, Poll
from knowngood.health.kpis import KPIS
from knowngood.health.watch import Watch
from knowngood.health.watches import WatchStore
from knowngood.runs.narrative import clock, moment, span
from knowngood.runs.store import RunStore

_WATCH_HEADERS: Final = (
    "WATCH",
    "FLOW",
    "VERSION",
    "POLICY",
    "POLLS",
    "NEWEST",
    "BREACHES",
    "NEXT POLL",
    "ENDS",
)
_NARROW_WATCH: Final = ("WATCH", "FLOW", "NEWEST", "BREACHES")
_KPIS: Final = {kpi.name: kpi for kpi in KPIS}
_BROKEN: Final = " !"
"""Marks the KPI that breached, also where there is no colour."""


def open_watches() -> Sequence[Watch]:
    """Read the watches that are on."""
    return WatchStore(open_journal().redis).on()


def find_watch(store: RunStore, watch_id: str) -> Watch | None:
    """Read a watch, on or ended; None before it was put on, and after its retention."""
    return WatchStore(store.redis).find(watch_id)


def watch_headers(*, narrow: bool = False) -> tuple[str, ...]:
    """Return the headers of a table of watches; the `narrow` one has the most needful."""
    return _NARROW_WATCH if narrow else _WATCH_HEADERS


def watch_cells(watch: Watch, *, narrow: bool = False) -> tuple[str, ...]:
    """Return a watch as a row under `watch_headers`; NEWEST is the newest poll's verdict."""
    cells = {
        "WATCH": watch.watch_id,
        "FLOW": watch.flow_name,
        "VERSION": watch.version_id or "-",
        "POLICY": watch.policy + (" (dry run)" if watch.dry_run else ""),
        "POLLS": str(watch.number),
        "NEWEST": str(watch.polls[-1].judgement.verdict) if watch.polls else "-",
        "BREACHES": str(watch.breaches),
        "NEXT POLL": "rolling back" if watch.rollback_id else clock(watch.due),
        "ENDS": moment(watch.bake_until) if watch.bake_until else "never",
    }
    return tuple(cells[header] for header in watch_headers(narrow=narrow))


def watch_fields(watch: Watch) -> dict[str, str]:
    """Return what a watch judges by: a name and a text each."""
    limits = (
        # A floor is a share of what the flow's own history foretells, not a number of calls.
        f"{_name(kpi)} {limit:.0%}"
        if _bound(kpi) == "at least"
        else f"{_name(kpi)} {_shown(kpi, limit)}"
        for kpi, limit in sorted(watch.limits.kpis.items())
    )
    return {
        "version": watch.version_id or "",
        "policy": watch.policy + (", dry run" if watch.dry_run else ""),
        "trips after": f"{watch.limits.consecutive_breaches} breaches in a row",
        "window": f"{span(watch.window)}, every {span(watch.interval)}",
        "limits": ", ".join(limits),
        "least calls": str(watch.limits.min_calls),
    }


def judged_by(watch: Watch) -> str:
    """Say in one line which version is watched, by what, and how often."""
    version = f"version {watch.version_id}, " if watch.version_id else ""
    dry = "dry run, " if watch.dry_run else ""
    return (
        f"{version}{dry}policy {watch.policy}: {watch.limits.consecutive_breaches} breaches in a "
        f"row trip it; a poll every {span(watch.interval)}"
    )


def poll_words(poll: Poll) -> str:
    """Say what one poll measured and what was made of it."""
    row = f" ({poll.breaches} in a row)" if poll.breaches else ""
    return f"poll {poll.number}: {poll.judgement.verdict}{row}: {_measured(poll)}"


def poll_headers(polls: Sequence[Poll], *, narrow: bool = False) -> tuple[str, ...]:
    """Return the headers of a table of polls: each judged KPI with its limit.

    The `narrow` table leaves out what can be missed most easily.
    """
    kpis = _judged(polls).values()
    if narrow:
        return ("POLL", "CALLS", *kpis, "VERDICT", "DECISION")
    return ("POLL", "TIME", "CALLS", *kpis, "VERDICT", "IN A ROW", "DECISION")


def poll_rows(polls: Sequence[Poll], *, narrow: bool = False) -> list[tuple[str, ...]]:
    """Return polls as rows under `poll_headers`."""
    kpis = list(_judged(polls))
    return [_row(poll, kpis, narrow=narrow) for poll in polls]


def _row(poll: Poll, kpis: Sequence[str], *, narrow: bool) -> tuple[str, ...]:
    told = poll.measurement.volume if poll.measurement else None
    number, calls = str(poll.number), "-" if told is None else str(told)
    cells = [_cell(poll, kpi) for kpi in kpis]
    verdict, decision = str(poll.judgement.verdict), poll.decision.replace("_", " ")
    if narrow:
        row = f"{verdict} {poll.breaches}" if poll.breaches else verdict
        return (number, calls, *cells, row, decision)
    return (number, clock(poll.at), calls, *cells, verdict, str(poll.breaches or "-"), decision)


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
