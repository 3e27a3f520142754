"""A watch's polls in words and in columns."""

from collections.abc import Sequence

from knowngood.cli.journal import open_journal
from knowngood.cli.narrative import clock
from knowngood.health.judgement import Finding, Judgement, KpiVerdict, Poll
from knowngood.health.kpis import KPIS
from knowngood.health.watch import Watch
from knowngood.health.watches import WatchStore
from knowngood.runs.store import RunStore

HEADERS = ("POLL", "TIME", "CALLS", "KPIS", "VERDICT", "BREACHES", "DECISION")
_SHOWN = {kpi.name: kpi for kpi in KPIS}


def poll_words(poll: Poll) -> str:
    """Say what one poll measured and what was made of it."""
    row = f"breach {poll.breaches} in a row" if poll.breaches else ""
    told = [_calls(poll), *(_finding(each) for each in _telling(poll.judgement)), row]
    return f"poll {poll.number}: {poll.judgement.verdict}: " + ", ".join(filter(None, told))


def poll_cells(poll: Poll) -> tuple[str, ...]:
    """Return a poll as a row."""
    findings = [each for each in poll.judgement.findings if each.value is not None]
    return (
        str(poll.number),
        clock(poll.at),
        _calls(poll).removesuffix(" calls"),
        "; ".join(_finding(each) for each in findings) or poll.judgement.why,
        str(poll.judgement.verdict),
        str(poll.breaches),
        poll.decision,
    )


def _calls(poll: Poll) -> str:
    measured = poll.measurement
    return f"{measured.volume} calls" if measured and measured.volume is not None else "-"


def _telling(judgement: Judgement) -> Sequence[Finding]:
    broken = [each for each in judgement.findings if each.verdict is KpiVerdict.BREACH]
    return broken or [each for each in judgement.findings if each.verdict is KpiVerdict.OK][:2]


def _finding(finding: Finding) -> str:
    name = finding.kpi.replace("_", " ")
    kpi = _SHOWN.get(finding.kpi)
    if kpi is None or finding.value is None:
        return f"{name}: {finding.why}"
    limit = f" of {kpi.show(finding.limit)}" if finding.limit is not None else ""
    return f"{name} {kpi.show(finding.value)}{limit}"


WATCH_HEADERS = ("WATCH", "FLOW", "VERSION", "POLICY", "POLLS", "BREACHES", "NEXT POLL", "ENDS")


def open_watches() -> Sequence[Watch]:
    """Read the watches that are on."""
    return WatchStore(open_journal().redis).on()


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
        clock(watch.bake_until) if watch.bake_until else "never",
    )


def finished_polls(store: RunStore, watch_id: str) -> Sequence[Poll]:
    """Return a watch's polls, oldest first; none before it was put on."""
    watch = WatchStore(store.redis).find(watch_id)
    return watch.polls if watch else ()
