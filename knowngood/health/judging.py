"""Judges the watches of one batch: one query for all flows whose windows are the same."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from knowngood.errors import AccessDenied, ApiUnavailable, KnowngoodError, RateLimited
from knowngood.genesys.port import FlowGateway
from knowngood.genesys.purpose import Priority, Purpose, calling_for
from knowngood.health.baseline import Baseline
from knowngood.health.counting import Counted, count_each
from knowngood.health.judgement import Verdict
from knowngood.health.measurement import Measurement, measured
from knowngood.health.signals import ALL, LIMITED
from knowngood.health.watch import Decision, Watch, advance
from knowngood.health.windows import Window
from knowngood.runs.model import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Due:
    """A watch whose poll is due, its run, and the window to measure."""

    watch: Watch
    run: Run
    window: Window | None


@dataclass(frozen=True)
class Judged:
    """A watch after its poll, what follows, and the scope of what went wrong, if anything did."""

    due: Due
    moved: Watch
    decision: Decision
    scope: str

    @property
    def verdict(self) -> Verdict:
        """The verdict on the newest poll."""
        return self.moved.polls[-1].judgement.verdict


Answers = Mapping[Window, Counted]
"""What analytics told of the batch's flows, by window."""


def ask(gateway: FlowGateway, due: Sequence[Due]) -> Answers:
    """Measure the flows of a batch, window by window; trouble is part of the answer."""
    flows: defaultdict[Window, list[str]] = defaultdict(list)
    for each in due:
        if each.window is not None:
            flows[each.window].append(each.watch.flow_id)
    queries = sum(-(-len(each) // gateway.flows_per_count) for each in flows.values())
    with calling_for(Purpose(Priority.POLL, calls=queries)):
        return {window: count_each(gateway, each, window) for window, each in flows.items()}


def trouble_of(due: Due, answers: Answers) -> KnowngoodError | None:
    """Return why a watch's window could not be measured, or None."""
    if due.window is None:
        return None
    return answers[due.window].troubles.get(due.watch.flow_id)


def judge(due: Due, answers: Answers, baseline: Baseline, now: datetime, source: str) -> Judged:
    """Take in what analytics told of one watch's flow; `source` is the gateway's dialect."""
    watch, trouble = due.watch, trouble_of(due, answers)
    measurement = None
    if due.window is not None and trouble is None:
        counted = answers[due.window]
        measurement = read(watch.flow_id, due.window, counted, source)
    moved, decision = advance(
        watch,
        measurement,
        baseline,
        now,
        source_error=f"analytics does not answer: {trouble.message}" if trouble else "",
    )
    return Judged(due, moved, decision, _scope(trouble, watch.flow_id))


def _scope(trouble: KnowngoodError | None, flow_id: str) -> str:
    match trouble:
        case RateLimited():
            return LIMITED
        case ApiUnavailable() | AccessDenied():
            return ALL
        case _:
            return flow_id


def read(flow_id: str, window: Window, counted: Counted, source: str) -> Measurement:
    """Make one flow's measurement of what was told of many."""
    return measured(counted.rows.get(flow_id), flow_id=flow_id, window=window, source=source)
