"""Live tables for a terminal: a run's steps, or a watch's polls against their limits."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from knowngood.cli.output import NARROW
from knowngood.cli.polls import find_watch, judged_by, poll_headers, poll_rows
from knowngood.cli.steps import HEADERS, Steps
from knowngood.health.judgement import Poll
from knowngood.health.watch import Watch
from knowngood.runs.model import JournalEntry, Run, RunKind, RunState
from knowngood.runs.narrative import clock, span
from knowngood.runs.store import RunStore

_SHOWN_POLLS = 12


def live_table(run: Run, store: RunStore) -> "LiveTable":
    """Return the table that fits a run."""
    return _LivePolls(run, store) if run.kind is RunKind.WATCH else _LiveSteps(run)


class LiveTable(ABC):
    """A table that refreshes itself while it is entered as `live`."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._console = Console(highlight=False)
        self.live = Live(
            get_renderable=self._render,
            console=self._console,
            refresh_per_second=4,
            redirect_stderr=False,
        )

    def show(self, entry: JournalEntry | None, run: Run) -> None:
        """Take an entry into the table."""
        self._run = run
        if entry is not None:
            self._take(entry)

    @abstractmethod
    def _take(self, entry: JournalEntry) -> None: ...

    @abstractmethod
    def _headers(self) -> Sequence[str]: ...

    @abstractmethod
    def _rows(self) -> Iterable[tuple[str, Sequence[str]]]:
        """Return a style and the cells of each row."""

    def _render(self) -> RenderableType:
        run = self._run
        table = Table(box=None, pad_edge=False, header_style="bold")
        for header in self._headers():
            # A header of one word is the widest thing that its column must show whole.
            table.add_column(header, overflow="fold", no_wrap=" " not in header)
        for style, cells in self._rows():
            table.add_row(*(Text(cell, style=style) for cell in cells))
        head = Text(f"{run.kind} of {run.flow_name}, run {run.run_id}", style="bold")
        return Group(head, *self._above(), table, Text(self._now(run)))

    def _above(self) -> Iterable[Text]:
        """Return lines between the heading and the table."""
        return ()

    def _now(self, run: Run) -> str:
        """Say in one line how the run stands."""
        return _standing(run)


class _LiveSteps(LiveTable):
    """The steps of a rollback or a snapshot."""

    def __init__(self, run: Run) -> None:
        # Before the table is made, which asks for its rows at once.
        self._steps = Steps(run.kind)
        super().__init__(run)

    def _take(self, entry: JournalEntry) -> None:
        self._steps.feed(entry)

    def _headers(self) -> Sequence[str]:
        return HEADERS

    def _rows(self) -> Iterable[tuple[str, Sequence[str]]]:
        return ((_STYLE.get(line.state, "dim"), line.cells()) for line in self._steps.lines)


class _LivePolls(LiveTable):
    """A watch's latest polls: each KPI against its limit."""

    def __init__(self, run: Run, store: RunStore) -> None:
        self._store = store
        self._watch: Watch | None = None
        self._rollback = ""
        super().__init__(run)

    def _take(self, entry: JournalEntry) -> None:
        if entry.event in {"step-ended", "polled"}:
            self._watch = find_watch(self._store, self._run.run_id) or self._watch
        elif entry.event == "rollback-started":
            self._rollback = str(entry.detail.get("rollback"))

    @property
    def _narrow(self) -> bool:
        return self._console.width < NARROW

    @property
    def _polls(self) -> Sequence[Poll]:
        return self._watch.polls[-_SHOWN_POLLS:] if self._watch else ()

    def _headers(self) -> Sequence[str]:
        return poll_headers(self._polls, narrow=self._narrow)

    def _rows(self) -> Iterable[tuple[str, Sequence[str]]]:
        polls = self._polls
        rows = zip(polls, poll_rows(polls, narrow=self._narrow), strict=True)
        return ((_STYLE.get(poll.judgement.verdict, ""), cells) for poll, cells in rows)

    def _above(self) -> Iterable[Text]:
        return (Text(judged_by(self._watch), style="dim"),) if self._watch else ()

    def _now(self, run: Run) -> str:
        watch = self._watch
        if run.state.terminal or watch is None:
            return _standing(run)
        if self._rollback:
            return f"rolling back: run {self._rollback}"
        left = (watch.due - datetime.now(UTC)).total_seconds()
        following = f"the next poll in {span(round(left))}" if left >= 1 else "polling"
        ends = f"; ends at {clock(watch.bake_until)}" if watch.bake_until else ""
        return f"{_standing(run)}; {following}{ends}"


_STYLE = {
    "running": "cyan",
    "waiting": "yellow",
    "done": "green",
    "stopped": "red",
    "ok": "green",
    "breach": "red",
    "inconclusive": "yellow",
    "source_error": "yellow",
}


def _standing(run: Run) -> str:
    if run.state.terminal:
        return (
            f"{run.state} after {span(((run.ended or run.created) - run.created).total_seconds())}"
        )
    since = span((datetime.now(UTC) - run.created).total_seconds())
    if run.state is RunState.WAITING and run.due:
        left = max((run.due - datetime.now(UTC)).total_seconds(), 0)
        return f"waiting for the {run.waiting_on}, {span(left)} left; {since} in all"
    return f"{run.state} for {since}"
