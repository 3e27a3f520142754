"""Follows a run to its end: a live table in a terminal, plain lines in a pipe."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from knowngood.cli.exits import Interrupted
from knowngood.cli.narrative import clock, say, span
from knowngood.cli.output import in_terminal
from knowngood.cli.polls import find_watch, poll_headers, poll_rows
from knowngood.cli.steps import HEADERS, Steps
from knowngood.errors import Refused
from knowngood.health.judgement import Poll
from knowngood.runs.model import JournalEntry, Run, RunKind, RunState
from knowngood.runs.store import RunStore

if TYPE_CHECKING:
    from rich.console import RenderableType

_SHOWN_POLLS = 12
_BLOCK = 0.5
"""Seconds that one look at the journal waits for news."""


class Display(Protocol):
    """Shows what happens; None is time that passes without news."""

    def show(self, entry: JournalEntry | None, run: Run) -> None:
        """Show one entry of the journal."""
        ...


class _Silent:
    def show(self, entry: JournalEntry | None, run: Run) -> None:
        """Leave stdout to the JSON document."""


class _Lines:
    def show(self, entry: JournalEntry | None, run: Run) -> None:
        """Print one line for each entry."""
        del run
        if entry is not None:
            print(f"{clock(entry.at)} {say(entry)}", flush=True)


class _LiveTable:
    """A table that refreshes itself while it is entered as `live`."""

    def __init__(self, run: Run) -> None:
        from rich.console import Console  # noqa: PLC0415 - takes longer than a pipe needs
        from rich.live import Live  # noqa: PLC0415

        self._run = run
        self.live = Live(
            get_renderable=self._render,
            console=Console(highlight=False),
            refresh_per_second=4,
            redirect_stderr=False,
        )

    def show(self, entry: JournalEntry | None, run: Run) -> None:
        """Take an entry into the table."""
        self._run = run
        if entry is not None:
            self._take(entry)

    def _take(self, entry: JournalEntry) -> None:
        raise NotImplementedError

    def _rows(self) -> Iterable[tuple[str, Sequence[str]]]:
        raise NotImplementedError

    def _headers(self) -> Sequence[str]:
        raise NotImplementedError

    def _render(self) -> "RenderableType":
        from rich.console import Group  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        run = self._run
        table = Table(box=None, pad_edge=False, header_style="bold")
        for header in self._headers():
            table.add_column(header, overflow="fold")
        for style, cells in self._rows():
            table.add_row(*(Text(cell, style=style) for cell in cells))
        head = Text(f"{run.kind} of {run.flow_name}, run {run.run_id}", style="bold")
        return Group(head, table, Text(_now(run)))


class _LiveSteps(_LiveTable):
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


class _LivePolls(_LiveTable):
    """A watch's latest polls: each KPI against its limit."""

    def __init__(self, run: Run, store: RunStore) -> None:
        self._store = store
        self._polls: Sequence[Poll] = ()
        super().__init__(run)

    def _take(self, entry: JournalEntry) -> None:
        if entry.event == "polled":
            watch = find_watch(self._store, self._run.run_id)
            self._polls = watch.polls[-_SHOWN_POLLS:] if watch else ()

    def _headers(self) -> Sequence[str]:
        return poll_headers(self._polls)

    def _rows(self) -> Iterable[tuple[str, Sequence[str]]]:
        rows = zip(self._polls, poll_rows(self._polls), strict=True)
        return ((_STYLE.get(poll.judgement.verdict, ""), cells) for poll, cells in rows)


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


def _now(run: Run) -> str:
    if run.state.terminal:
        return (
            f"{run.state} after {span(((run.ended or run.created) - run.created).total_seconds())}"
        )
    since = span((datetime.now(UTC) - run.created).total_seconds())
    if run.state is RunState.WAITING and run.due:
        left = max((run.due - datetime.now(UTC)).total_seconds(), 0)
        return f"waiting for the {run.waiting_on}, {span(left)} left; {since} in all"
    return f"{run.state} for {since}"


def _display(
    run: Run, store: RunStore, *, silent: bool
) -> tuple[Display, AbstractContextManager[object]]:
    if silent:
        return _Silent(), nullcontext()
    if not in_terminal():
        return _Lines(), nullcontext()
    table = _LivePolls(run, store) if run.kind is RunKind.WATCH else _LiveSteps(run)
    return table, table.live


def check_timeout(timeout: float | None, *, wait: bool) -> None:
    """Check how long to wait, in seconds; Refused unless it is positive and something waits."""
    if timeout is None:
        return
    if timeout <= 0:
        raise Refused("--timeout", timeout, "give a number of seconds greater than 0")
    if not wait:
        raise Refused("--timeout", timeout, "give --wait too: without it nothing is waited for")


def follow_to_end(
    store: RunStore, run_id: str, *, timeout: float | None = None, silent: bool = False
) -> Run:
    """Show a run's progress until it ends or `timeout` seconds are over; return it as it is then.

    Raises:
        Refused: there is no such run.
        Interrupted: Ctrl-C; the message says how to look at the run, which goes on.
    """
    run = store.get(run_id)
    display, shown = _display(run, store, silent=silent)
    deadline = None if timeout is None else time.monotonic() + timeout
    with _going_on(run.run_id), shown:
        for entry in _entries(store, run.run_id, deadline):
            run = store.get(run.run_id)
            display.show(entry, run)
            ended = entry.event == "run-ended" if entry else run.state.terminal
            if ended:
                break
    return run


def _entries(store: RunStore, run_id: str, deadline: float | None) -> Iterator[JournalEntry | None]:
    block = _BLOCK if deadline is None else max(min(_BLOCK, deadline - time.monotonic()), 0.01)
    for entry in store.follow(run_id, block=block):
        yield entry
        if deadline is not None and time.monotonic() >= deadline:
            return


@contextmanager
def _going_on(run_id: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        print(file=sys.stderr)
        raise Interrupted(
            f"the run goes on; see it with: knowngood status {run_id} --wait; "
            f"end it with: knowngood cancel {run_id}"
        ) from None
