"""The API calls that a rollback must make, step by step, by plain httpx.

They are what the floor, the script and the other engines do: the lock, the flow, the smoke test,
PUT, the flow and the lock again immediately before the publish, the poll and the verification.
"""

import os
from collections.abc import Callable
from typing import Any, Final

import httpx

FLOWS: Final = "/api/v2/architect/flows"
GOOD: Final = "1.0"
"""The version that each broken flow of a bench goes back to."""


class Calls:
    """The seven steps over one warm connection."""

    def __init__(self, org: str) -> None:
        # Plain HTTP needs no root certificates, which take 20 ms to read.
        self._http = httpx.Client(base_url=org, verify=False)
        granted = self._http.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=("simulator", "simulator"),
        )
        self._http.headers["Authorization"] = f"Bearer {granted.json()['access_token']}"

    def acquire_lock(self, flow: str) -> None:
        if self._ask("GET", f"{FLOWS}/{flow}/locks")["locked"]:
            raise RuntimeError(f"{flow} is locked")

    def select_target(self, flow: str) -> None:
        found = self._ask("GET", f"{FLOWS}/{flow}")
        if GOOD not in [version["versionId"] for version in found["versions"]]:
            raise RuntimeError(f"{flow} has no {GOOD}")

    def check_dependencies(self, flow: str) -> None:
        self._ask("POST", f"/outside/testcall?flow={flow}&version={GOOD}")

    def activate(self, flow: str) -> None:
        body = {"name": flow, "version": {"versionId": GOOD}, "status": "PUBLISHED"}
        self._ask("PUT", f"{FLOWS}/{flow}", json=body)

    def publish(self, flow: str) -> None:
        self._ask("GET", f"{FLOWS}/{flow}")
        self.acquire_lock(flow)
        self._ask("POST", f"{FLOWS}/{flow}/versions/{GOOD}/publish")

    def poll(self, flow: str) -> None:
        shown = self._ask("GET", f"{FLOWS}/{flow}")["version"]
        if (shown["versionId"], shown["status"]) != (GOOD, "PUBLISHED"):
            raise RuntimeError(f"{flow} shows {shown}")

    verify = poll

    def _ask(self, method: str, path: str, **body: Any) -> Any:
        answer = self._http.request(method, path, **body)
        answer.raise_for_status()
        return answer.json()


def steps(calls: Calls) -> list[Callable[[str], None]]:
    return [
        calls.acquire_lock,
        calls.select_target,
        calls.check_dependencies,
        calls.activate,
        calls.publish,
        calls.poll,
        calls.verify,
    ]


STEPS: Final = 7
CALLS: Final = 9

_own: list[Calls] = []


def do(number: int, flow: str) -> None:
    """Do a step of a job in an engine's worker process; a job without a flow does nothing."""
    if not flow.startswith("noop"):
        if not _own:
            _own.append(Calls(os.environ["BENCH_ORG"]))
        steps(_own[0])[number](flow)
