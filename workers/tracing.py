"""A span for each task, joined to whoever sent it. Imported only when tracing is wanted.

The steps of a run, retries included, are siblings below the span that started the run: each names
as the next one's parent the parent that it was given. A run that nobody's trace began, or that
the reconciler resumed, gets a trace whose id is the run's.
"""

from collections.abc import Mapping
from contextvars import ContextVar, Token
from typing import Any, Final, NamedTuple
from uuid import UUID

from celery import Task
from celery.signals import (
    before_task_publish,
    task_failure,
    task_postrun,
    task_prerun,
    worker_process_shutdown,
    worker_shutdown,
)
from opentelemetry import context, trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.propagate import extract

from knowngood import tracing
from knowngood.errors import KnowngoodError
from knowngood.logs import about

_PERIODIC: Final = frozenset({"runs.reconcile", "health.tick"})
"""Beat's own tasks look around every second or two: not worth a trace each."""


class _UnderWay(NamedTuple):
    span: trace.Span
    attached: Token[context.Context]


_under_way: ContextVar[_UnderWay | None] = ContextVar("span_under_way", default=None)


@before_task_publish.connect
def _name_parent(headers: dict[str, Any], **_: Any) -> None:
    tracing.put_parent(headers)


@task_prerun.connect
def _begin(task_id: str, task: Task, kwargs: Mapping[str, Any], **_: Any) -> None:
    name = str(task.name)
    run_id = about.get().get("run_id")
    parent = task.request.get(tracing.HEADER)
    tracing.run_trace.set(UUID(run_id).int if run_id and parent is None else None)
    is_step = "run_id" in kwargs
    tracing.passed_on.set(parent if is_step else None)
    if name in _PERIODIC:
        with suppress_instrumentation():
            silent = context.get_current()
        _under_way.set(_UnderWay(trace.INVALID_SPAN, context.attach(silent)))
        return
    tracer = tracing.provider().get_tracer("knowngood")
    span = tracer.start_span(
        name,
        context=extract({tracing.HEADER: parent} if parent else {}),
        kind=trace.SpanKind.CONSUMER,
        attributes={
            "messaging.system": "celery",
            "messaging.message.id": task_id,
            "celery.retries": task.request.retries or 0,
            **{f"knowngood.{what}": text for what, text in about.get().items() if text},
        },
    )
    _under_way.set(_UnderWay(span, context.attach(trace.set_span_in_context(span))))
    about.set({**about.get(), "trace_id": f"{span.get_span_context().trace_id:032x}"})


@task_failure.connect
def _failed(exception: BaseException, **_: Any) -> None:
    if (now := _under_way.get()) is not None:
        # Our exceptions hold no secret; of others only the type is told.
        ours = isinstance(exception, KnowngoodError)
        said = str(exception) if ours else type(exception).__name__
        now.span.set_status(trace.StatusCode.ERROR, said)


@task_postrun.connect
def _end(state: str | None = None, **_: Any) -> None:
    if (now := _under_way.get()) is not None:
        now.span.set_attribute("celery.state", str(state))
        now.span.end()
        context.detach(now.attached)
    _under_way.set(None)
    tracing.passed_on.set(None)
    tracing.run_trace.set(None)


@worker_process_shutdown.connect
@worker_shutdown.connect
def _flush(**_: Any) -> None:
    if tracing.provider.cache_info().currsize:
        tracing.provider().shutdown()
