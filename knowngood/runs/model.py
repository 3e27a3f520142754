"""A run as the journal keeps it, and the requests that start one. Times are UTC."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, WithJsonSchema

from knowngood.errors import Waiting
from knowngood.genesys.ids import FlowId, VersionId
from knowngood.genesys.port import Dependency, DependencyKind

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@#+ -]{0,199}")


def _label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise ValueError(
            "must be 1 to 200 letters, digits, spaces or . _ : / @ # + -, as in deploy-2026-11-24.3"
        )
    return value


POLICY_NAMES = ("threshold", "relative", "statistical")
"""The names of `knowngood.health.policies`, which a test holds to this list."""


def _json(value: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError):
        raise ValueError("must be JSON in UTF-8, without NaN or Infinity") from None
    return value


def _policy(name: str) -> str:
    if name not in POLICY_NAMES:
        raise ValueError(f"name one of {', '.join(POLICY_NAMES)}")
    return name


Label = Annotated[
    str,
    AfterValidator(_label),
    WithJsonSchema({"type": "string", "pattern": f"^{_LABEL.pattern}$"}),
]
Text = Annotated[str, Field(min_length=1, max_length=1_000)]
Seconds = Annotated[float, Field(strict=True, ge=0.1, le=366 * 86_400)]
"""Of a watch; shorter or longer ones are slips, and break the arithmetic of its windows."""
Policy = Annotated[
    str, AfterValidator(_policy), WithJsonSchema({"type": "string", "enum": list(POLICY_NAMES)})
]


class RunKind(StrEnum):
    """Which workflow a run is."""

    ROLLBACK = "rollback"
    SNAPSHOT = "snapshot"
    WATCH = "watch"


class RunState(StrEnum):
    """Where a run stands; the last four are terminal."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    NEEDS_ATTENTION = "needs_attention"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Say whether nothing can follow."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {RunState.SUCCEEDED, RunState.NEEDS_ATTENTION, RunState.FAILED, RunState.CANCELLED}
)


class Request(BaseModel):
    """What every accepted request names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flow_id: FlowId
    requested_by: Label | None = None
    idempotency_key: Label | None = None


class RollbackRequest(Request):
    """Roll a flow back; the target is chosen unless it is named."""

    reason: Text
    target_version_id: VersionId | None = None
    watch_id: Label | None = Field(default=None, description="the watch that asked, if one did")
    blame: StrictBool = Field(
        default=True, description="mark what is rolled back from as bad, and its source's revision"
    )
    from_version_id: VersionId | None = Field(
        default=None, description="change nothing when another version than this is live by then"
    )


def _plain_endpoint(dependency: Dependency) -> Dependency:
    if dependency.kind is DependencyKind.ENDPOINT:
        url = urlsplit(dependency.target)
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise ValueError(
                "an endpoint is a URL such as https://crm.example/health, "
                f"not {dependency.target!r}"
            )
        if url.username or url.password:
            raise ValueError("an endpoint's URL must not carry a user name or password")
    return dependency


_URL: Final = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?#][!-~]*)?$"

Needed = Annotated[
    Dependency,
    AfterValidator(_plain_endpoint),
    Field(
        json_schema_extra={
            "if": {"properties": {"kind": {"const": DependencyKind.ENDPOINT}}},
            "then": {"properties": {"target": {"pattern": _URL}}},
        }
    ),
]


class SnapshotRequest(Request):
    """Record a flow before a deployment."""

    description: Text | None = None
    routing: Annotated[Mapping[str, Any], AfterValidator(_json)] = Field(
        default_factory=dict, description="the routing configuration to record, as JSON"
    )
    dependencies: tuple[Needed, ...] = ()
    revision: Label | None = Field(
        default=None, description="what is about to be deployed, such as a Git commit"
    )


class WatchRequest(Request):
    """Watch a flow's health after a deployment; None takes the setting. Seconds."""

    version_id: VersionId | None = None
    policy: Policy | None = None
    bake_time: Seconds | None = None
    interval: Seconds | None = None
    dry_run: StrictBool | None = None
    standing: StrictBool = Field(default=False, description="never ends by itself")


REQUESTS: Mapping[RunKind, type[Request]] = {
    RunKind.ROLLBACK: RollbackRequest,
    RunKind.SNAPSHOT: SnapshotRequest,
    RunKind.WATCH: WatchRequest,
}


def moment(text: str | None) -> datetime | None:
    """Read the journal's seconds since 1970 as UTC."""
    return datetime.fromtimestamp(float(text), UTC) if text else None


class Counters(BaseModel):
    """What the step under way has already waited for; each new step starts from zero."""

    model_config = ConfigDict(extra="forbid")

    lock: int = 0
    conflict: int = 0
    rate: int = 0
    api: int = 0
    polls: int = 0
    failing_since: float | None = None
    limited_since: float | None = None


class Run(BaseModel):
    """One workflow's life."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    kind: RunKind
    flow_id: str
    flow_name: str
    state: RunState
    waiting_on: Waiting | None
    step: str
    position: int
    attempt: int
    token: int
    request: Request
    results: Mapping[str, Mapping[str, Any]]
    counters: Counters
    created: datetime
    started: datetime | None
    step_started: datetime | None
    due: datetime | None
    ended: datetime | None
    outcome: str
    error: str
    action: str
    from_version: str | None
    target_version: str | None
    lock_held_at: datetime | None
    restored_at: datetime | None
    lock_wait: float
    takeovers: int
    gone: tuple[str, ...]

    @classmethod
    def from_hash(cls, fields: Mapping[str, str]) -> "Run":
        """Read the journal's hash."""
        kind = RunKind(fields["kind"])
        request = REQUESTS[kind].model_validate_json(fields["request"])
        return cls.model_construct(
            run_id=fields["run_id"],
            kind=kind,
            flow_id=fields["flow_id"],
            flow_name=fields.get("flow_name") or fields["flow_id"],
            state=RunState(fields["state"]),
            waiting_on=Waiting(fields["waiting_on"]) if fields.get("waiting_on") else None,
            step=fields["step"],
            position=int(fields["position"]),
            attempt=int(fields["attempt"]),
            token=int(fields["token"]),
            request=request,
            results={
                name.removeprefix("result:"): json.loads(value)
                for name, value in fields.items()
                if name.startswith("result:")
            },
            counters=Counters.model_validate_json(fields.get("counters") or "{}"),
            created=moment(fields["created"]) or datetime.now(UTC),
            started=moment(fields.get("started")),
            step_started=moment(fields.get("step_started")),
            due=moment(fields.get("handed")) if fields["state"] == "waiting" else None,
            ended=moment(fields.get("ended")),
            outcome=fields.get("outcome", ""),
            error=fields.get("error", ""),
            action=fields.get("action", ""),
            from_version=fields.get("from_version") or None,
            target_version=fields.get("target_version") or None,
            lock_held_at=moment(fields.get("lock_held_at")),
            restored_at=moment(fields.get("restored_at")),
            lock_wait=float(fields.get("lock_wait") or 0),
            takeovers=int(fields.get("takeovers") or 0),
            gone=tuple(json.loads(fields.get("gone") or "[]")),
        )

    def recovery_note(self) -> bytes:
        """Return what is needed to take this run up again when Redis has lost it."""
        note = {
            "run_id": self.run_id,
            "request": self.request.model_dump(mode="json", exclude_none=True),
            "flow_name": self.flow_name,
            "from_version": self.from_version,
            "target_version": self.target_version,
        }
        return json.dumps(note).encode()

    @property
    def restore_seconds(self) -> float | None:
        """Seconds from holding the lock to the target being live, or None."""
        if self.lock_held_at is None or self.restored_at is None:
            return None
        return (self.restored_at - self.lock_held_at).total_seconds()


class JournalEntry(BaseModel):
    """One line of a run's journal. `entry_id` orders them and resumes a stream of them."""

    model_config = ConfigDict(frozen=True)

    entry_id: str
    at: datetime
    event: str
    step: str
    attempt: int
    token: int
    detail: Mapping[str, Any]

    @classmethod
    def from_stream(cls, entry_id: str, fields: Mapping[str, str]) -> "JournalEntry":
        """Read one entry of the journal's stream."""
        return cls.model_construct(
            entry_id=entry_id,
            at=datetime.fromtimestamp(float(fields["at"]), UTC),
            event=fields["event"],
            step=fields["step"],
            attempt=int(fields["attempt"]),
            token=int(fields["token"]),
            detail=json.loads(fields["detail"]) or {},
        )
