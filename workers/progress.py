"""Shows each run in Flower as one row, `run.rollback`, beside the tasks that execute it.

Celery's events carry any state, so a row's state is the run's and its result says how far it is;
`kwargs` holds the run's id, which Flower's search finds. Watches have no row: `knowngood watches`
lists them.
"""

import logging
from functools import cache
from typing import Any

from celery import Celery
from celery.events import EventDispatcher
from kombu.exceptions import OperationalError

from knowngood.runs.model import Run, RunKind, RunState
from knowngood.runs.workflows import STEPS
from workers.consumer import Consumer

log = logging.getLogger(__name__)


def show(app: Celery, run: Run | None, worker: str) -> None:
    """Tell Flower where a run stands; a run that cannot be told of goes on all the same.

    Called before the next step's message is sent: nobody then has newer news of the run.
    """
    if run is None or run.kind is RunKind.WATCH:
        return
    event, fields, here = f"task-{run.state}", row(run), Consumer.here()
    if here is not None and here.tell(event, fields, last=run.state.terminal):
        return
    try:
        with app.producer_or_acquire() as producer:
            _events(app, worker).publish(event, fields, producer, retry=False)
    except (OperationalError, OSError) as error:
        log.debug("run %s is not shown in Flower: %s", run.run_id, type(error).__name__)


@cache
def _events(app: Celery, worker: str) -> EventDispatcher:
    # It has no connection of its own: each event goes out by the producer that it is given.
    return app.events.Dispatcher(hostname=worker, enabled=False)


def row(run: Run) -> dict[str, Any]:
    """Return what Flower shows of a run."""
    arguments = {
        "flow": run.flow_name,
        "run_id": run.run_id,
        "from": run.from_version,
        "to": run.target_version,
    }
    fields: dict[str, Any] = {
        "uuid": f"run-{run.run_id}",
        "name": f"run.{run.kind}",
        "args": "()",
        "kwargs": repr({name: text for name, text in arguments.items() if text}),
        "result": said_of(run),
        "received": run.created.timestamp(),
    }
    if run.started:
        fields["started"] = run.started.timestamp()
    if run.ended:
        fields["runtime"] = (run.ended - run.created).total_seconds()
    return fields


def said_of(run: Run) -> str:
    """Say in one line how far a run is."""
    match run.state:
        case RunState.SUCCEEDED if run.restore_seconds is not None:
            return f"version {run.target_version} restored in {run.restore_seconds:.1f} s"
        case RunState.SUCCEEDED:
            return run.outcome
        case RunState.NEEDS_ATTENTION | RunState.FAILED | RunState.CANCELLED:
            return f"{run.step}: {run.error}" + (f" Do now: {run.action}" if run.action else "")
        case _:
            steps = STEPS[run.kind]
            said = f"step {min(run.position + 1, len(steps))} of {len(steps)}: {run.step}"
            if run.state is RunState.WAITING and run.due:
                said += f" waits ({run.waiting_on}) until {run.due:%H:%M:%S} UTC"
            return said
