"""OpenTelemetry tracing: off, and not even imported, unless OTEL_EXPORTER_OTLP_ENDPOINT is set.

One trace joins an HTTP request, the tasks of its run and their calls to Genesys Cloud. Needs the
packages of `pip install 'knowngood[tracing]'`; OpenTelemetry's own environment variables set the
rest (sampling, headers, resource). `workers/tracing.py` is the tasks' part.
"""

import os
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from knowngood.errors import Refused

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

HEADER: Final = "traceparent"
"""W3C Trace Context's header, in a message as in HTTP."""

passed_on: Final[ContextVar[str | None]] = ContextVar("passed_on", default=None)
"""The parent that messages sent from here name, in place of the span under way."""

run_trace: Final[ContextVar[int | None]] = ContextVar("run_trace", default=None)
"""The trace id that a span without a parent takes, in place of a random one."""


_QUERY: Final = "knowngood.query_string"


def wanted() -> bool:
    """Say whether this process is to trace."""
    return any(os.environ.get(name) for name in ENDPOINTS)


@cache
def provider() -> "TracerProvider":
    """Start exporting from this process, HTTP calls included; once a process, after its fork.

    Raises:
        Refused: tracing is asked for, and its packages are not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Refused(
            ENDPOINTS[0], "set", f"tracing needs {error.name}: pip install 'knowngood[tracing]'"
        ) from None

    class RunIds(RandomIdGenerator):
        """A run's id is its trace's id where nobody else began the trace."""

        def generate_trace_id(self) -> int:
            return run_trace.get() or super().generate_trace_id()

    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "knowngood")})
    exporting = TracerProvider(resource=resource, id_generator=RunIds())
    exporting.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    HTTPXClientInstrumentor().instrument(tracer_provider=exporting)
    return exporting


def put_parent(headers: dict[str, Any]) -> None:
    """Name the parent of a message's task in its headers, when a trace is under way."""
    from opentelemetry.propagate import inject  # noqa: PLC0415 - only when tracing

    parent = passed_on.get()
    if parent is None:
        inject(headers)
    else:
        headers[HEADER] = parent


def trace_id() -> dict[str, str]:
    """Return the id of the trace under way as a log line's field; nothing when there is none."""
    if not wanted():
        return {}
    from opentelemetry import trace  # noqa: PLC0415 - only when tracing

    found = trace.get_current_span().get_span_context()
    return {"trace_id": f"{found.trace_id:032x}"} if found.is_valid else {}


def traced(asgi_app: Any) -> Any:
    """Wrap an ASGI application so that its requests are traced, and the runs that they start."""
    from celery.signals import before_task_publish  # noqa: PLC0415 - only when tracing
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415

    async def with_query(scope: Any, receive: Any, send: Any) -> None:
        await asgi_app(scope | {"query_string": scope.get(_QUERY, b"")}, receive, send)

    before_task_publish.connect(_on_publish, weak=False)
    spans = OpenTelemetryMiddleware(
        with_query,
        excluded_urls="healthz,readyz,metrics",
        # A stream of events would have a span for each.
        exclude_spans=["receive", "send"],
        tracer_provider=provider(),
    )

    async def without_query(scope: Any, receive: Any, send: Any) -> None:
        # Somebody may put a token into a URL; it is refused, but a span would keep it.
        query = scope.get("query_string", b"")
        await spans(scope | {"query_string": b"", _QUERY: query}, receive, send)

    return without_query


def _on_publish(headers: dict[str, Any], **_: Any) -> None:
    put_parent(headers)
