"""Turns a step's function into a Celery task that executes once, whatever the broker delivers."""

from collections.abc import Callable
from typing import Any

from celery import Task
from celery.exceptions import Ignore

from knowngood import parts
from knowngood.errors import KnowngoodError
from knowngood.runs.executor import (
    Drop,
    Ended,
    Outcome,
    Proceed,
    Redispatch,
    RetryIn,
    Step,
    Stopped,
    execute,
)
from knowngood.runs.model import RunKind
from tasks import workflows
from workers import progress
from workers.app import app


class RunStopped(KnowngoodError):
    """The run ended without success; Flower shows its reason on the step's task."""


def rollback_step(work: Step) -> Task:
    """Register a function as the rollback step of its own name."""
    name: str = work.__name__

    def deliver(self: Task, run_id: str, token: int, flow: str) -> str:
        del flow  # only for people who read the arguments in Flower
        outcome = execute(parts.executor(), RunKind.ROLLBACK, work, run_id, token, step=name)
        return settle(self, outcome)

    deliver.__doc__ = work.__doc__
    task_name = workflows.step_task(RunKind.ROLLBACK, name)
    decorate: Callable[..., Any] = app.task(name=task_name, bind=True, max_retries=None)
    return decorate(deliver)


def settle(task: Task, outcome: Outcome) -> str:
    """Carry out what the executor decided about this message."""
    progress.show(app, outcome.run, task.request.hostname)
    match outcome:
        case Proceed():
            return "done"
        case Ended(outcome=ending):
            # The steps that would follow have nothing left to do.
            task.request.chain = None
            return ending
        case Stopped(reason=reason, alert_id=alert_id):
            app.send_task("alerts.send", kwargs={"alert_id": alert_id})
            raise RunStopped(reason)
        case RetryIn(seconds=seconds):
            raise task.retry(countdown=seconds, exc=None)
        case Redispatch(run=run):
            workflows.send(run)
            raise Ignore
        case Drop():
            raise Ignore
