"""One trace joins the request, the tasks and the calls to Genesys; without an endpoint, nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest

from knowngood.runs.workflows import STEPS
from tests.api.served import DEPLOY, Served, serving
from tests.conftest import make_flow
from tests.operations.collector import Collector, Span, collecting
from tests.stack import ROOT, Stack, wait_for

STEP_NAMES = {f"rollback.{step}" for step in STEPS["rollback"]}  # type: ignore[index]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def traced(collector: Collector) -> Iterator[Stack]:
    # A run that is taken over begins a trace of its own: no busy worker is to look like a dead one.
    calm = {"LEASE_TTL": "30", "RECONCILE_INTERVAL": "60"}
    with pytest.MonkeyPatch.context() as patch, Stack(**calm) as stack:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        yield stack.running()


@pytest.fixture(scope="module")
def api(traced: Stack) -> Iterator[Served]:
    with serving(traced) as served:
        yield served


def whole(collector: Collector, trace: str, names: set[str]) -> list[Span]:
    wait_for(
        lambda: names <= {span.name for span in collector.of(trace)},
        what=f"spans {names} of trace {trace}",
    )
    return collector.of(trace)


@pytest.mark.slow
def test_one_trace_spans_the_request_the_tasks_and_the_calls_to_genesys(
    traced: Stack, api: Served, collector: Collector
) -> None:
    flow = make_flow(traced)
    traced.sim.fault({"status": 503}, match={"job": "publish", "flow": flow}, times=1)
    caller = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{caller}-00f067aa0ba902b7-01"}
    body = {"flow_id": flow, "reason": "a traced request"}
    with api.client(headers=headers) as client:
        answer = client.post("/v1/rollbacks", params={"access_token": DEPLOY}, json=body)
    run = traced.ended(answer.json()["run_id"])
    assert run.outcome == "restored"
    spans = whole(collector, caller, STEP_NAMES | {"rollback.start"})
    request = next(span for span in spans if span.kind == "SERVER")
    start = next(span for span in spans if span.name == "rollback.start")
    steps = [span for span in spans if span.name in STEP_NAMES]
    calls = [span for span in spans if span.kind == "CLIENT"]
    assert request.parent == "00f067aa0ba902b7"
    assert request.name == "POST /v1/rollbacks"
    assert DEPLOY not in str(request)
    assert start.parent == request.span
    assert {step.parent for step in steps} == {start.span}
    assert {call.parent for call in calls} <= {step.span for step in steps}
    assert {call.name for call in calls} >= {"GET", "PUT", "POST"}
    assert {step.attributes["knowngood.run_id"] for step in steps} == {run.run_id}
    # The fault made publish wait: each try is a span of the same trace.
    tries = [step for step in steps if step.name == "rollback.publish"]
    assert len(tries) >= 2
    assert "RETRY" in {step.attributes["celery.state"] for step in tries}


@pytest.mark.slow
def test_a_run_that_no_trace_began_has_a_trace_whose_id_is_its_own(
    traced: Stack, collector: Collector
) -> None:
    run = traced.rollback(make_flow(traced))
    trace = UUID(run.run_id).hex
    spans = whole(collector, trace, STEP_NAMES | {"rollback.start"})
    roots = [span for span in spans if not span.parent]
    assert [span.name for span in roots] == ["rollback.start"]
    assert {span.service for span in spans} == {"knowngood"}


@pytest.mark.slow
def test_a_step_that_stops_the_run_is_an_error_with_its_reason(
    traced: Stack, collector: Collector
) -> None:
    run = traced.rollback(make_flow(traced, versions=[{"age_seconds": 60}]))
    spans = whole(collector, UUID(run.run_id).hex, {"rollback.select_target"})
    step = next(span for span in spans if span.name == "rollback.select_target")
    assert step.error
    assert step.error in run.error or run.error in step.error


@pytest.mark.slow
def test_log_lines_name_the_trace(traced: Stack, collector: Collector) -> None:
    run = traced.rollback(make_flow(traced))
    worker = next(process for process in traced.processes if process.name.startswith("worker"))
    lines = [json.loads(x) for x in worker.log.read_text().splitlines() if x.startswith("{")]
    of_run = {line.get("trace_id") for line in lines if line.get("run_id") == run.run_id}
    assert of_run == {UUID(run.run_id).hex}


@pytest.mark.slow
def test_beats_own_looks_are_not_traced(traced: Stack, collector: Collector) -> None:
    traced.rollback(make_flow(traced))
    names = {span.name for span in collector.spans}
    assert names
    assert not names & {"runs.reconcile", "health.tick"}


def test_without_an_endpoint_no_tracing_is_imported() -> None:
    # redis-py imports OpenTelemetry's metrics by itself where they are installed.
    tracing = ("opentelemetry.exporter", "opentelemetry.instrumentation", "workers.tracing")
    code = (
        "import sys, workers.app; workers.app.app.loader.import_default_modules(); "
        f"sys.exit(any(name.startswith({tracing!r}) for name in sys.modules))"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=plain, check=False)
    assert done.returncode == 0


def test_tracing_without_its_packages_is_refused_with_the_command_that_installs_them() -> None:
    code = (
        "import sys; sys.modules['opentelemetry.instrumentation.httpx'] = None; "
        "from knowngood import tracing; tracing.provider()"
    )
    given = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=given, check=False, capture_output=True
    )
    assert b"Refused: OTEL_EXPORTER_OTLP_ENDPOINT" in done.stderr
    assert b"pip install 'knowngood[tracing]'" in done.stderr
