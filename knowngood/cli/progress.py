"""Follows a run to its end: a live table in a terminal, plain lines in a pipe."""

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from knowngood.cli.exits import Interrupted
from knowngood.cli.output import in_terminal
from knowngood.errors import Refused
from knowngood.runs.model import JournalEntry, Run
from knowngood.runs.narrative import clock, say
from knowngood.runs.store import RunStore

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


def _display(
    run: Run, store: RunStore, *, silent: bool
) -> tuple[Display, AbstractContextManager[object]]:
    if silent:
        return _Silent(), nullcontext()
    if not in_terminal():
        return _Lines(), nullcontext()
    # For people only: it takes long to import.
    from knowngood.cli.live import live_table  # noqa: PLC0415

    table = live_table(run, store)
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
