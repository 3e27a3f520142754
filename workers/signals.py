"""What worker processes do when they start, fork, take a task and stop."""

import logging
from collections.abc import Mapping
from typing import Any

from celery import Task
from celery.signals import setup_logging, task_postrun, task_prerun, worker_process_init

from knowngood import parts, tracing
from knowngood.logs import NO_CONTEXT, about, configure_logging


@setup_logging.connect
def _logging(loglevel: int | str | None = None, **_: Any) -> None:
    configure_logging(loglevel or logging.INFO)


@worker_process_init.connect
def _own_parts(**_: Any) -> None:
    # Sockets that were opened before the fork belong to the parent.
    parts.forget()


@task_prerun.connect
def _begins(task_id: str, task: Task, kwargs: Mapping[str, Any], **_: Any) -> None:
    name = str(task.name)
    context = {"task": name, "task_id": task_id}
    if "run_id" in kwargs:
        context |= {"run_id": kwargs["run_id"], "step": name.partition(".")[2]}
        context |= {"flow": str(kwargs.get("flow", ""))}
    elif "flow_id" in kwargs:
        # An entry task: its message's id is the run's.
        context |= {"run_id": task_id, "flow": str(kwargs["flow_id"])}
    about.set(context)


@task_postrun.connect
def _ends(**_: Any) -> None:
    about.set(NO_CONTEXT)


if tracing.wanted():
    # After the receivers above, whose context the spans take over.
    import workers.tracing  # noqa: F401
