"""Asks for a run: checks at the door, enqueues, and follows it when told to."""

import sys
from collections.abc import Mapping
from typing import Any

from knowngood.cli.door import check_at_the_door
from knowngood.cli.exits import Exit
from knowngood.cli.outcome import exit_of
from knowngood.cli.output import print_json, run_document
from knowngood.cli.progress import check_timeout, follow_to_end
from knowngood.cli.requester import requester
from knowngood.cli.summary import print_summary
from knowngood.client import Client
from knowngood.runs.entry import checked
from knowngood.runs.model import Run, RunKind
from knowngood.runs.store import Accepted


def ask(
    kind: RunKind,
    fields: Mapping[str, Any],
    *,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> Exit:
    """Start a run and return the exit code; with `wait`, as the run ended.

    Raises:
        Refused: the input is wrong, or the flow or version does not exist; nothing was enqueued.
        Unreachable: the broker, the journal or the artifact store does not answer; likewise.
        Interrupted: Ctrl-C while waiting.
    """
    check_timeout(timeout, wait=wait)
    given = {**fields, "requested_by": fields.get("requested_by") or requester()}
    client = Client()
    check_at_the_door(client.settings, checked(kind, given))
    accepted = client.start(kind, **given)
    if not as_json:
        _tell(accepted, kind)
    if not wait:
        if as_json:
            print_json({"run_id": accepted.run_id, "answer": accepted.answer})
        return Exit.DONE
    run = follow_to_end(client.store, accepted.run_id, timeout=timeout, silent=as_json)
    report(run, as_json=as_json)
    return exit_of(run)


def report(run: Run, *, as_json: bool) -> None:
    """Print how a run that was waited for stands now."""
    if as_json:
        print_json(run_document(run))
    else:
        print_summary(run)
    if not run.state.terminal:
        print(
            f"knowngood: still {run.state} when the wait ended; it goes on: "
            f"knowngood status {run.run_id} --wait",
            file=sys.stderr,
        )


def _tell(accepted: Accepted, kind: RunKind) -> None:
    match accepted.answer:
        case "joined":
            print(f"a {kind} of this flow is under way: joined run {accepted.run_id}")
        case "repeated":
            print(f"this idempotency key has started a run before: {accepted.run_id}")
        case _:
            print(f"run {accepted.run_id}")
