"""Why a watch decided what it did, poll by poll."""

from dataclasses import dataclass
from typing import Any

from knowngood.cli.journal import open_journal
from knowngood.cli.output import print_fields, print_table, run_document
from knowngood.cli.polls import find_watch, poll_headers, poll_rows, watch_fields
from knowngood.cli.summary import heading, summary
from knowngood.errors import Refused
from knowngood.health.judgement import KpiVerdict, Poll
from knowngood.health.watch import KEPT_POLLS, Watch
from knowngood.runs.model import Run, RunKind


@dataclass(frozen=True)
class Explanation:
    """A watch and its run."""

    run: Run
    watch: Watch

    def document(self) -> dict[str, Any]:
        """Return everything for machines."""
        return {**run_document(self.run), "watch": self.watch.model_dump(mode="json")}

    def print(self) -> None:
        """Print what the watch judges by, each poll's KPIs, and the reason for each decision."""
        polls = self.watch.polls
        print_fields({**heading(self.run), **watch_fields(self.watch)})
        print()
        if self.watch.number > len(polls):
            print(f"the last {KEPT_POLLS} of {self.watch.number} polls:")
        print_table(poll_headers(polls), poll_rows(polls), empty="no poll yet")
        print()
        for poll in polls:
            _print_reason(poll)
        if self.watch.held:
            print(f"held back: {self.watch.held}")
        print()
        print_fields(summary(self.run))


def _print_reason(poll: Poll) -> None:
    print(f"poll {poll.number}: {poll.judgement.verdict}: {poll.judgement.why}")
    for finding in poll.judgement.findings:
        if finding.verdict is not KpiVerdict.NOT_JUDGED:
            name = finding.kpi.replace("_", " ")
            print(f"  {name}: {finding.verdict}: {finding.why}")


def explanation_of(run_id: str) -> Explanation:
    """Read what a watch did.

    Raises:
        Refused: the run is no watch, it was not put on yet, or its polls are kept no longer.
    """
    store = open_journal()
    run = store.get(run_id)
    if run.kind is not RunKind.WATCH:
        raise Refused("run", run_id, f"it is a {run.kind}; see it with: knowngood status {run_id}")
    watch = find_watch(store, run.run_id)
    if watch is None:
        raise Refused("run", run_id, "no poll of this watch is kept: it has not begun, or is old")
    return Explanation(run, watch)
