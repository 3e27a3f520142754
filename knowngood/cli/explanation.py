"""Why a watch decided what it did, poll by poll."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from knowngood.cli.journal import open_journal
from knowngood.cli.output import print_table
from knowngood.cli.polls import HEADERS, poll_cells
from knowngood.cli.summary import print_summary
from knowngood.errors import Refused
from knowngood.health.judgement import Poll
from knowngood.health.watch import Watch
from knowngood.health.watches import WatchStore
from knowngood.runs.model import Run, RunKind


@dataclass(frozen=True)
class Explanation:
    """A watch, its run and its polls."""

    run: Run
    watch: Watch

    @property
    def polls(self) -> Sequence[Poll]:
        """The remembered polls, oldest first."""
        return self.watch.polls

    def document(self) -> dict[str, Any]:
        """Return everything for machines."""
        return {
            "run_id": self.run.run_id,
            "state": self.run.state,
            "outcome": self.run.outcome,
            "watch": self.watch.model_dump(mode="json"),
        }

    def print(self) -> None:
        """Print each poll's KPIs and verdict, and the reason for each in words."""
        print_summary(self.run)
        print_table(HEADERS, [poll_cells(poll) for poll in self.polls], empty="no poll yet")
        for poll in self.polls:
            print(f"poll {poll.number}: {poll.judgement.verdict}: {poll.judgement.why}")
            for finding in poll.judgement.findings:
                print(f"  {finding.kpi}: {finding.verdict}: {finding.why}")


def explanation_of(run_id: str) -> Explanation:
    """Read what a watch did.

    Raises:
        Refused: the run is no watch, or its polls are kept no longer.
    """
    store = open_journal()
    run = store.get(run_id)
    if run.kind is not RunKind.WATCH:
        raise Refused("run", run_id, f"it is a {run.kind}; `knowngood status` explains it")
    watch = WatchStore(store.redis).find(run.run_id)
    if watch is None:
        raise Refused("run", run_id, "its polls are kept no longer")
    return Explanation(run, watch)
