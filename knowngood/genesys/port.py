"""The port to Genesys Cloud: what knowngood asks of an org, in its own words.

Two adapters implement it: `guide` (the guide's paths) and `platform` (the public Platform API).
All times are UTC; all durations are in seconds. Every method raises the classes of
`knowngood.errors`: `ApiUnavailable`, `RateLimited`, `FlowLocked`, `FlowConflict`, `VersionGone`,
`FlowGone`, `AccessDenied`, `BadAnswer`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VersionStatus(StrEnum):
    """The life of a version as the active one; history entries use DRAFT and PUBLISHED."""

    DRAFT = "DRAFT"
    ACTIVATED = "ACTIVATED"
    PUBLISHING = "PUBLISHING"
    PUBLISHED = "PUBLISHED"
    OTHER = "OTHER"


class Version(_Frozen):
    """One entry of a flow's history. Versions are immutable (GUIDE rule 1)."""

    version_id: str
    status: VersionStatus
    created_at: datetime | None = None
    created_by: str | None = None
    tags: tuple[str, ...] = ()


class Holder(_Frozen):
    """Who holds Genesys' edit lock."""

    kind: str = Field(description="user, client or deployment")
    id: str
    name: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name or self.id}"


class Operation(_Frozen):
    """The last asynchronous operation on a flow, by anyone, where the API tells of it."""

    operation_id: str
    action: str = Field(description="as Genesys names it: PUBLISH, CHECKIN, VALIDATE, …")
    by: str
    own: bool = Field(description="started by the OAuth client that asks")
    complete: bool
    failure: str | None = Field(default=None, description="why it failed, once it has")

    @property
    def is_publish(self) -> bool:
        """Say whether it makes a version live."""
        return self.action == "PUBLISH"

    def __str__(self) -> str:
        return f"{self.action} by {self.by}"


class Flow(_Frozen):
    """A flow as it was read. `active` is None when the flow was never published.

    `active.status` is PUBLISHED once the version is live, PUBLISHING while a publish is under way,
    ACTIVATED when it was made active without a publish (callers still hear the former version).
    Where the API tells of operations, the active version is the live one, and the operation says
    what is under way.
    """

    flow_id: str
    name: str
    type: str | None = None
    active: Version | None
    versions: tuple[Version, ...] = Field(description="newest first")
    lock: Holder | None = Field(
        default=None, description="only where one read tells it; else read_lock does"
    )
    operation: Operation | None = None

    @property
    def publishing(self) -> bool:
        """Say whether a publish is under way, whoever's."""
        if self.operation is not None:
            return self.operation.is_publish and not self.operation.complete
        return self.active is not None and self.active.status is VersionStatus.PUBLISHING

    @property
    def is_about_to_change(self) -> bool:
        """Say whether another version than the active one is being published."""
        return self.publishing and self.operation is not None

    def is_live(self, version_id: str) -> bool:
        """Say whether callers hear `version_id` now."""
        return (
            self.active is not None
            and self.active.version_id == version_id
            and self.active.status is VersionStatus.PUBLISHED
        )


class DependencyKind(StrEnum):
    """What a version can need outside itself."""

    QUEUE = "queue"
    ENDPOINT = "endpoint"
    DATA_ACTION = "data_action"
    FLOW = "flow"
    PROMPT = "prompt"
    SCHEDULE = "schedule"
    DATATABLE = "datatable"
    OTHER = "other"


class Dependency(_Frozen):
    """One outside thing that a version needs; `target` is an id, or a URL for an endpoint."""

    kind: DependencyKind
    target: str
    name: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name or self.target}"


class Dependencies(_Frozen):
    """What a version needs; `complete` is False where the API could not tell it all.

    `items` are to be asked for one by one; of `present` and `gone` the API itself knows that they
    exist or were deleted.
    """

    items: tuple[Dependency, ...] = ()
    present: tuple[Dependency, ...] = ()
    gone: tuple[Dependency, ...] = ()
    complete: bool = True


class DependencyVerdict(StrEnum):
    """Reachable, broken, or not to be known now (never taken for broken)."""

    OK = "ok"
    BROKEN = "broken"
    UNKNOWN = "unknown"


class DependencyCheck(_Frozen):
    """One dependency's verdict and the reason in words."""

    dependency: Dependency
    verdict: DependencyVerdict
    detail: str = ""


class SavedVersion(_Frozen):
    """What a snapshot relies on in Genesys: the version that records the state."""

    version_id: str


class FlowCounts(_Frozen):
    """A flow's counters over one window, as the source gives them; None: the source lacks it.

    `average_speed_of_answer` and `average_duration` are in seconds.
    """

    flow_id: str
    start: datetime
    end: datetime
    total_calls: int | None = None
    answered_calls: int | None = None
    abandoned_calls: int | None = None
    error_count: int | None = None
    average_duration: float | None = None
    average_speed_of_answer: float | None = None
    disconnected_calls: int | None = Field(default=None, description="ended inside the flow")
    outcomes: int | None = Field(default=None, description="flow outcomes reached or missed")
    failed_outcomes: int | None = None
    version_id: str | None = None
    complete: bool = Field(
        default=True, description="False when buckets of the window are still missing"
    )


class Probe(NamedTuple):
    """A harmless call that shows whether the org grants and answers what knowngood relies on.

    Any one of `permissions` suffices for it. Without a probe that is not `needed` knowngood works,
    and knows less. `ask` returns what was found, in words; `remedy` says what to do when it fails.
    """

    name: str
    ask: Callable[[], str]
    permissions: tuple[str, ...] = ()
    needed: bool = True
    remedy: str = ""


Fence = Callable[[], None]
"""Called immediately before a write is sent; raises LeaseLost when the run was taken over."""


class FlowGateway(Protocol):
    """Everything that knowngood asks of a Genesys Cloud org."""

    dialect: ClassVar[str]
    """`guide` or `platform`."""
    activation_is_a_write: ClassVar[bool]
    """True where activating is a write of its own, that reading the flow then shows."""
    lock_is_in_flow: ClassVar[bool]
    """True where `read_flow` also tells the lock, so that `read_lock` need not be asked."""
    flows_per_count: ClassVar[int]
    """How many flows one query of `count` covers at most."""

    def read_flow(self, flow_id: str, *, history: bool = True) -> Flow:
        """Read a flow and its active version; without `history`, `versions` may be empty."""
        ...

    def configuration_digest(self, flow_id: str, version_id: str) -> str | None:
        """Return the sha256 of a version's configuration, or None where the API has no export."""
        ...

    def read_lock(self, flow_id: str) -> Holder | None:
        """Say who holds the edit lock, or None.

        FlowConflict while an operation is under way on the flow, where the API tells of it.
        """
        ...

    def save_snapshot(self, flow_id: str, description: str) -> SavedVersion:
        """Record the flow's state before a deployment; FlowConflict on 409 or during a publish."""
        ...

    def activate(self, flow_id: str, name: str, version_id: str, *, fence: Fence) -> None:
        """Make a version the active one, without publishing; VersionGone on 404.

        Where it is no write, see that the version can be published.
        """
        ...

    def publish(self, flow_id: str, version_id: str, *, fence: Fence) -> str | None:
        """Make the activated version live; return the operation's id where there is one.

        FlowLocked when somebody edits the flow, FlowConflict while another operation is under way.
        ApiUnavailable(ambiguous=True) when the request may have taken effect.
        """
        ...

    def dependencies(self, flow_id: str, version_id: str) -> Dependencies:
        """List what a version needs, as far as the API knows."""
        ...

    def check_dependency(self, dependency: Dependency) -> DependencyCheck:
        """Ask whether a Genesys-side dependency exists and works (not outside endpoints)."""
        ...

    def count(
        self, flow_ids: Sequence[str], start: datetime, end: datetime
    ) -> Mapping[str, FlowCounts]:
        """Read counters over [start, end) UTC for many flows; a missing flow has no data."""
        ...

    def probes(self, flow_id: str | None) -> Sequence[Probe]:
        """List harmless calls that try the org, on this flow or on one that the API names."""
        ...

    def close(self) -> None:
        """Close pooled connections."""
        ...
