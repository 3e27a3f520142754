"""The API keeps the promises of its OpenAPI document, whatever it is sent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.served import READ, ROLLBACK, serving
from tests.stack import ROOT, Stack

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


@pytest.mark.slow
def test_no_request_that_the_schema_allows_or_forbids_finds_the_api_breaking_it(
    tmp_path: Path,
) -> None:
    with Stack() as stack, serving(stack) as api:
        command = [SCHEMATHESIS, "run", f"{api.url}/openapi.json"]
        command += ["--header", f"Authorization: Bearer {ROLLBACK}"]
        command += ["--checks", "all", "--mode", "all", "--max-examples", "12"]
        command += ["--phases", "examples,coverage,fuzzing,stateful"]
        command += ["--generation-deterministic"]
        # Their answers do not end while the run goes on; test_events.py reads them.
        command += ["--exclude-path-regex", "/events$"]
        done = subprocess.run(
            [*map(str, command), "--no-color"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.api.signing"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_document_is_of_openapi_3_1_and_names_every_route() -> None:
    with Stack() as stack, serving(stack) as api, api.client(READ) as client:
        document = client.get("/openapi.json").json()
        assert document["openapi"].startswith("3.1")
        assert set(document["paths"]) == {
            "/healthz",
            "/metrics",
            "/readyz",
            "/v1/events",
            "/v1/flows/{flow_id}/snapshots",
            "/v1/flows/{flow_id}/versions",
            "/v1/hooks/alertmanager",
            "/v1/hooks/generic",
            "/v1/rollbacks",
            "/v1/runs",
            "/v1/runs/{run_id}",
            "/v1/runs/{run_id}/cancel",
            "/v1/runs/{run_id}/events",
            "/v1/snapshots",
            "/v1/token",
            "/v1/watches",
        }
