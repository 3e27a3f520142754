"""A typed client of the control API, for the demo, tests and benches."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx

Json = dict[str, Any]


class ControlError(RuntimeError):
    """The control API refused a request."""


class SimulatorControl:
    """Sets and reads a running simulator's state; times are epoch seconds, durations seconds."""

    def __init__(self, base_url: str, *, timeout: float = 30.0) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = httpx.Client(base_url=f"{self.base_url}/control", timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def health(self) -> Json:
        """`{ok, seq}`."""
        return self._ask("GET", "/health")

    def reset(self, *, flows: int | None = None, seed: int | None = None) -> Json:
        """Back to the state of the start, other numbers of flows or another seed if given."""
        return self._ask("POST", "/reset", {"flows": flows, "seed": seed})

    def flows(self) -> list[Json]:
        """Each flow's id, name and live version, in the order they were made."""
        return self._list("/flows", "flows")

    def demo_flow(self) -> str:
        """The id of the first seeded flow."""
        return str(self.flows()[0]["id"])

    def create_flow(self, **definition: Any) -> Json:
        """Create a flow: id, name, type, queues, calls_per_minute, live, versions=[{...}].

        A version takes id, status, age_seconds or created_at, show_created_at, created_by, tags,
        description, dependencies, quality, deleted; oldest first.
        """
        return self._ask("POST", "/flows", definition)

    def flow(self, flow: str) -> Json:
        """All of a flow's state: live, activated, publishing, lock, history, versions."""
        return self._ask("GET", f"/flows/{flow}")

    def live(self, flow: str) -> str | None:
        """The version that callers meet now."""
        live: str | None = self.flow(flow)["live"]
        return live

    def set_flow(self, flow: str, **values: Any) -> Json:
        """Set name, deleted, active, queues, dnis or calls_per_minute."""
        return self._ask("PATCH", f"/flows/{flow}", values)

    def deploy(
        self, flow: str, *, quality: Json | None = None, by: str | Json | None = None, **rest: Any
    ) -> str:
        """Publish a new version as a deployment; its id. rest: tags, description, dependencies."""
        body = {"quality": quality, "by": by, **rest}
        return str(self._ask("POST", f"/flows/{flow}/deploy", body)["version"])

    def add_version(self, flow: str, **definition: Any) -> str:
        """Add a version that is not live; its id."""
        return str(self._ask("POST", f"/flows/{flow}/versions", definition)["version"])

    def set_version(self, flow: str, version: str, **values: Any) -> Json:
        """Set quality, tags, status, show_created_at or deleted of a version."""
        return self._ask("PATCH", f"/flows/{flow}/versions/{version}", values)

    def delete_version(self, flow: str, version: str) -> Json:
        """Make a version answer 404."""
        return self._ask("DELETE", f"/flows/{flow}/versions/{version}")

    def lock(
        self, flow: str, *, by: str | Json | None = None, seconds: float | None = None
    ) -> Json:
        """Lock a flow as another user, or as `{id, name, kind: user|client|deployment}`."""
        return self._ask("PUT", f"/flows/{flow}/lock", {"by": by, "seconds": seconds})

    def unlock(self, flow: str) -> Json:
        """Let go of a flow's lock."""
        return self._ask("DELETE", f"/flows/{flow}/lock")

    def foreign_operation(
        self, flow: str, *, action: str = "VALIDATE", seconds: float = 0.0
    ) -> str:
        """Let somebody else's operation replace currentOperation; its id."""
        body = {"action": action, "seconds": seconds}
        return str(self._ask("POST", f"/flows/{flow}/operation", body)["id"])

    def settings(self, **values: Any) -> Json:
        """Set and read the settings.

        publishing_seconds, publish_status, enforce_locks, show_created_at, latency,
        route_latency={job: s}, ledger_limit, max_predicates, dependency_tracking_rebuilding.
        """
        return self._ask("POST", "/settings", values)

    def fail_publish(
        self,
        *,
        code: str = "validation.failed",
        message: str = "The flow could not be published.",
        times: int = 1,
        flow: str | None = None,
    ) -> Json:
        """Let the next publications end in FAILURE."""
        body = {"code": code, "message": message, "times": times, "flow": flow}
        return self._ask("POST", "/publish-failures", body)

    def traffic(self, **values: Any) -> Json:
        """Set callers and analytics.

        calls_per_minute, flow, day_night (0..1), burstiness, from_the_start,
        bursts=[{start|after, seconds, factor}], blips=[{start|after, seconds, error_rate,
        abandon_rate}], analytics_delay, analytics_outage.
        """
        return self._ask("POST", "/traffic", values)

    def callers(
        self, flow: str, *, start: float | None = None, end: float | None = None
    ) -> list[Json]:
        """`{t, version, calls, errors, abandoned}` of each second; the last minute by default."""
        return self._list("/callers", "seconds", flow=flow, start=start, end=end)

    def put_queue(self, queue: str, *, name: str | None = None) -> Json:
        """Create or rename a queue."""
        return self._ask("PUT", f"/queues/{queue}", {"name": name})

    def delete_queue(self, queue: str) -> Json:
        """Make a queue answer 404."""
        return self._ask("DELETE", f"/queues/{queue}")

    def put_action(self, action: str, **values: Any) -> Json:
        """Create a data action; success=False makes its test fail."""
        return self._ask("PUT", f"/actions/{action}", values)

    def delete_action(self, action: str) -> Json:
        """Make a data action answer 404."""
        return self._ask("DELETE", f"/actions/{action}")

    def put_resource(self, kind: str, resource: str, *, name: str | None = None) -> Json:
        """Create one of the prompts, schedules or datatables."""
        return self._ask("PUT", f"/resources/{kind}/{resource}", {"name": name})

    def delete_resource(self, kind: str, resource: str) -> Json:
        """Make one of the prompts, schedules or datatables answer 404."""
        return self._ask("DELETE", f"/resources/{kind}/{resource}")

    def put_endpoint(self, name: str, *, status: int = 200) -> Json:
        """Set what GET /outside/{name} answers."""
        return self._ask("PUT", f"/endpoints/{name}", {"status": status})

    def put_test_call(self, **values: Any) -> Json:
        """Let the test call fail: status, body, only for flow or version; empty heals it."""
        return self._ask("PUT", "/testcall", values)

    def executions(self) -> list[Json]:
        """Test calls and data actions that were really executed."""
        return self._list("/executions", "executions")

    def oauth(self, **values: Any) -> Json:
        """Set and read OAuth.

        client, secret (adds a client), name, enabled, permissions, remove_permissions,
        add_permissions, expires_in, allowed_per_token, allowed_per_client (a minute; None: off).
        """
        return self._ask("POST", "/oauth", values, keep_none=True)

    def revoke_tokens(self) -> int:
        """Revoke all tokens; how many."""
        return int(self._ask("POST", "/oauth/revoke")["revoked"])

    def advance(self, seconds: float) -> float:
        """Move the org's clock; its new time."""
        return float(self._ask("POST", "/clock", {"advance": seconds})["now"])

    def now(self) -> float:
        """The org's time."""
        return float(self._ask("GET", "/clock")["now"])

    def fault(
        self, effect: Json, *, match: Json | None = None, times: int = 1, after: int = 0
    ) -> str:
        """Add a fault; its id. match: job, method, path (regex), flow.

        effect: status, body, headers, latency, drop, malformed, wrong_shape, hang, pause
        ("before"|"after"), on_disconnect ("apply"), apply (answer `status` after the write).
        """
        body = {"effect": effect, "match": match, "times": times, "after": after}
        return str(self._ask("POST", "/faults", body)["id"])

    def get_fault(self, fault: str) -> Json:
        """`{id, match, times, after, matched, fired, holding}`."""
        return self._ask("GET", f"/faults/{fault}")

    def holding(self, fault: str) -> int:
        """How many requests a pause holds now."""
        return int(self.get_fault(fault)["holding"])

    def wait_holding(self, fault: str, *, count: int = 1, timeout: float = 10.0) -> None:
        """Return once a pause holds `count` requests; TimeoutError after `timeout` seconds."""
        self.wait_until(lambda: self.holding(fault) >= count, timeout=timeout)

    def wait_until(
        self, condition: Callable[[], bool], *, timeout: float = 10.0, interval: float = 0.02
    ) -> None:
        """Ask again until a condition holds; TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not so within {timeout} s")
            time.sleep(interval)

    def release(self, fault: str) -> int:
        """Let go of what a pause holds; how many."""
        return int(self._ask("POST", f"/faults/{fault}/release")["released"])

    def remove_fault(self, fault: str) -> None:
        """Remove a fault and let go of what it holds."""
        self._ask("DELETE", f"/faults/{fault}")

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._ask("DELETE", "/faults")

    def seq(self) -> int:
        """The number of the latest API request."""
        return int(self.health()["seq"])

    def requests(
        self,
        *,
        since: int = 0,
        job: str | None = None,
        flow: str | None = None,
        limit: int | None = None,
    ) -> list[Json]:
        """The API requests numbered above `since`, oldest first."""
        return self._list("/requests", "requests", since=since, job=job, flow=flow, limit=limit)

    def jobs(self, *, since: int = 0, flow: str | None = None) -> list[str]:
        """The jobs of the API requests above `since`, in order."""
        return [str(entry["job"]) for entry in self.requests(since=since, flow=flow)]

    def counts(self) -> dict[str, int]:
        """API requests by job since the last reset."""
        jobs: dict[str, int] = self._ask("GET", "/counts")["jobs"]
        return jobs

    def clear_requests(self) -> None:
        """Forget the logged requests."""
        self._ask("DELETE", "/requests")

    def invariants(self) -> Json:
        """The counters of what must never happen, with evidence."""
        return self._ask("GET", "/invariants")

    def _list(self, path: str, key: str, **query: Any) -> list[Json]:
        given = {name: value for name, value in query.items() if value is not None}
        found: list[Json] = self._checked(self._http.get(path, params=given))[key]
        return found

    def _ask(
        self, method: str, path: str, body: Json | None = None, *, keep_none: bool = False
    ) -> Json:
        if body is not None and not keep_none:
            body = {name: value for name, value in body.items() if value is not None}
        return self._checked(self._http.request(method, path, json=body))

    @staticmethod
    def _checked(response: httpx.Response) -> Json:
        if response.is_error:
            raise ControlError(f"{response.request.url.path}: {response.text}")
        answer: Json = response.json()
        return answer
