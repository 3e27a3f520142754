"""Why a watch decided what it did, poll by poll."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from knowngood.cli.output import (
    in_terminal,
    is_narrow,
    print_fields,
    print_table,
    run_document,
    wrapped,
)
from knowngood.cli.polls import poll_headers, poll_rows, watch_fields
from knowngood.cli.records import Record, record_of
from knowngood.cli.summary import heading, summary
from knowngood.errors import Refused
from knowngood.health.judgement import KpiVerdict, Poll
from knowngood.health.watch import Watch
from knowngood.runs.model import JournalEntry, Run, RunKind
from knowngood.runs.narrative import clock, say


@dataclass(frozen=True)
class Explanation:
    """A watch, its run and its journal; `watch` is None where only the journal tells of it."""

    run: Run
    watch: Watch | None
    entries: Sequence[JournalEntry]

    def document(self) -> dict[str, Any]:
        """Return everything for machines; `earlier` are the polls that only the journal keeps."""
        return {
            **run_document(self.run),
            "watch": self.watch.model_dump(mode="json") if self.watch else None,
            "earlier": [{"at": entry.at, **entry.detail} for entry in self._earlier()],
        }

    def print(self) -> None:
        """Print what the watch judges by, each poll's KPIs, and the reason for each decision."""
        watch = self.watch
        print_fields({**heading(self.run), **(watch_fields(watch) if watch else {})})
        print()
        earlier = self._earlier()
        if earlier:
            print("earlier polls, as the journal tells them:")
        for entry in earlier:
            _print_line(f"{clock(entry.at)} {say(entry)}", indent=10)
        if earlier:
            print()
        if watch:
            _print_polls(watch.polls)
            if watch.held:
                _print_line(f"held back: {watch.held}", indent=2)
        print()
        print_fields(summary(self.run))

    def _earlier(self) -> list[JournalEntry]:
        first = self.watch.polls[0].number if self.watch and self.watch.polls else None
        return [
            entry
            for entry in self.entries
            if entry.event == "polled" and (first is None or entry.detail["number"] < first)
        ]


def _print_polls(polls: Sequence[Poll]) -> None:
    narrow = is_narrow()
    headers, rows = poll_headers(polls, narrow=narrow), poll_rows(polls, narrow=narrow)
    print_table(headers, rows, empty="no poll yet")
    print()
    for poll in polls:
        _print_reason(poll)


def _print_reason(poll: Poll) -> None:
    _print_line(f"poll {poll.number}: {poll.judgement.verdict}: {poll.judgement.why}", indent=2)
    for finding in poll.judgement.findings:
        if finding.verdict is not KpiVerdict.NOT_JUDGED:
            name = finding.kpi.replace("_", " ")
            _print_line(f"  {name}: {finding.verdict}: {finding.why}", indent=4)


def _print_line(line: str, *, indent: int) -> None:
    print(wrapped(line, indent=indent) if in_terminal() else line)


def explanation_of(run_id: str) -> Explanation:
    """Read what a watch did, however long ago.

    Raises:
        Refused: the run is no watch, or it was not put on yet.
    """
    found: Record = record_of(run_id)
    run = found.run
    if run.kind is not RunKind.WATCH:
        raise Refused("run", run_id, f"it is a {run.kind}; see it with: knowngood status {run_id}")
    if found.watch is None and not any(entry.event == "polled" for entry in found.entries):
        raise Refused("run", run_id, "this watch has not been polled: there is nothing to explain")
    return Explanation(run, found.watch, found.entries)
