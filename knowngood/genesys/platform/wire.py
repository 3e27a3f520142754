"""The parts of the Platform API's answers that are read; members without a value are omitted.

Members have the wire's names: `tests/conformance` holds each against the official SDK's models.
"""
# ruff: noqa: N815

import re
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import AwareDatetime, BaseModel, RootModel, ValidationInfo, model_validator

from knowngood.genesys.port import Holder, Operation, Version, VersionStatus

_NUMBERED: Final = re.compile(r"\d+(\.\d+)?")


class Ref(BaseModel):
    """A user, an OAuth client or anything else that is known by an id."""

    id: str
    name: str | None = None


class Entity(BaseModel):
    """Something of which only the existence matters."""

    id: str | None = None


class DetailAnswer(BaseModel):
    """What an operation says besides its error; mostly there is none."""

    errorCode: str | None = None
    fieldName: str | None = None
    entityName: str | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.errorCode, self.fieldName, self.entityName)))


class OperationAnswer(BaseModel):
    """An asynchronous operation on a flow."""

    id: str
    complete: bool | None = None
    user: Ref | None = None
    client: Ref | None = None
    actionName: str = "OPERATION"
    actionStatus: str = ""
    errorCode: str | None = None
    errorMessage: str | None = None
    errorDetails: tuple[DetailAnswer, ...] | None = None

    def told(self, own_client: str) -> Operation:
        """Return the operation in the port's words; `own_client` is the id of our OAuth client."""
        ended = self.actionStatus in {"SUCCESS", "FAILURE"}
        holder = _holder(self.user, self.client)
        return Operation(
            operation_id=self.id,
            action=self.actionName,
            by=str(holder) if holder else "somebody",
            own=self.client is not None and self.client.id == own_client,
            complete=ended if self.complete is None else self.complete,
            failure=self._failure() if self.actionStatus == "FAILURE" else None,
        )

    def _failure(self) -> str:
        said = (self.errorMessage, self.errorCode, *map(str, self.errorDetails or ()))
        return ", ".join(filter(None, said)) or f"no reason given (operation {self.id})"


class VersionAnswer(BaseModel):
    """A version. Those saved but not checked in are drafts: no number, and no target."""

    id: str
    type: str | None = None
    createdBy: Ref | None = None
    createdByClient: Ref | None = None
    dateCreated: AwareDatetime | None = None
    dateCheckedIn: AwareDatetime | None = None
    dateSaved: AwareDatetime | None = None
    datePublished: AwareDatetime | None = None

    @property
    def is_draft(self) -> bool:
        """Whether it is the draft that an editor saved."""
        return self.type == "SAVE" or not _NUMBERED.fullmatch(self.id)

    @property
    def number(self) -> float:
        """The number by which versions of one moment are ordered."""
        return float(self.id)

    @property
    def made(self) -> datetime | None:
        """When it was made."""
        return self.dateCreated or self.dateCheckedIn or self.dateSaved

    def live(self) -> Version:
        """Return it as the version that callers hear."""
        return self.told().model_copy(update={"status": VersionStatus.PUBLISHED})

    def told(self) -> Version:
        """Return the version in the port's words.

        The API gives versions no status: one was published when it has the date of it.
        """
        published = self.datePublished is not None or self.type == "PUBLISH"
        by = self.createdBy or self.createdByClient
        return Version(
            version_id=self.id,
            status=VersionStatus.PUBLISHED if published else VersionStatus.OTHER,
            created_at=self.made.astimezone(UTC) if self.made else None,
            created_by=by.id if by else None,
        )


class FlowAnswer(BaseModel):
    """A flow."""

    id: str
    name: str
    type: str | None = None
    deleted: bool = False
    lockedUser: Ref | None = None
    lockedClient: Ref | None = None
    publishedVersion: VersionAnswer | None = None
    currentOperation: OperationAnswer | None = None

    @property
    def holder(self) -> Holder | None:
        """Who has the flow checked out."""
        return _holder(self.lockedUser, self.lockedClient)


class VersionPage(BaseModel):
    """A page of versions, drafts among them, in no order that the API promises."""

    entities: tuple[VersionAnswer, ...] = ()
    pageCount: int = 1


class FlowPage(BaseModel):
    """A page of flows."""

    entities: tuple[FlowAnswer, ...] = ()


class Configuration(RootModel[dict[str, Any]]):
    """A version's exported configuration, whose format is Genesys' own."""


class ConsumedAnswer(BaseModel):
    """Something that a version uses, as dependency tracking knows it."""

    id: str
    name: str | None = None
    type: str = ""
    deleted: bool = False
    stateUnknown: bool = False


class ConsumedPage(BaseModel):
    """A page of what a version uses; `partial` while the org's tracking is being rebuilt."""

    entities: tuple[ConsumedAnswer, ...] = ()
    pageCount: int = 1
    partial: bool = False

    @model_validator(mode="before")
    @classmethod
    def _see_status(cls, value: Any, info: ValidationInfo) -> Any:
        status = (info.context or {}).get("status")
        return {**value, "partial": status == 206} if isinstance(value, dict) else value


class ErrorAnswer(BaseModel):
    """Why a data action failed."""

    message: str | None = None
    code: str | None = None


class ActionTest(BaseModel):
    """What came of executing a data action as a test."""

    success: bool
    error: ErrorAnswer | None = None


class Stats(BaseModel):
    """One metric's statistics; times are in milliseconds."""

    count: int | None = None
    sum: float | None = None


class MetricAnswer(BaseModel):
    """One metric."""

    metric: str
    stats: Stats = Stats()


class IntervalAnswer(BaseModel):
    """The metrics of one interval."""

    metrics: tuple[MetricAnswer, ...] = ()


class Row(BaseModel):
    """One group's metrics. A metric of zero is absent, and so is a group without any."""

    group: dict[str, str] = {}
    data: tuple[IntervalAnswer, ...] = ()

    def counted(self, metric: str) -> int:
        """Return how many events a metric counts over all intervals."""
        return sum(each.stats.count or 0 for each in self._found(metric))

    def seconds(self, metric: str) -> float:
        """Return a metric's sum over all intervals, in seconds."""
        return sum(each.stats.sum or 0 for each in self._found(metric)) / 1000

    def _found(self, metric: str) -> list[MetricAnswer]:
        return [each for part in self.data for each in part.metrics if each.metric == metric]


class Aggregates(BaseModel):
    """The answer to an aggregate query; no results at all when nothing happened."""

    results: tuple[Row, ...] = ()


class Limit(BaseModel):
    """One of the org's limits."""

    key: str
    value: int


class Limits(BaseModel):
    """The limits of a namespace."""

    entities: tuple[Limit, ...] = ()


class TokenAnswer(BaseModel):
    """Whose token it is."""

    organization: Ref | None = None
    OAuthClient: Ref | None = None


class PolicyAnswer(BaseModel):
    """What a role permits: actions on an entity of a domain; `*` stands for any."""

    domain: str | None = None
    entityName: str | None = None
    actions: tuple[str, ...] = ()

    def permits(self, permission: str) -> bool:
        """Say whether it covers a permission such as `architect:flow:publish`."""
        domain, entity, action = permission.split(":")
        return (
            self.domain in {domain, "*"}
            and self.entityName in {entity, "*"}
            and not {action, "*"}.isdisjoint(self.actions)
        )


class RoleAnswer(BaseModel):
    """A role; without policies where the org does not tell them."""

    policies: tuple[PolicyAnswer, ...] = ()


class GrantAnswer(BaseModel):
    """A role that was granted in a division."""

    role: RoleAnswer | None = None


class GrantsAnswer(BaseModel):
    """Everything that was granted to whoever asks."""

    grants: tuple[GrantAnswer, ...] = ()

    @property
    def policies(self) -> tuple[PolicyAnswer, ...]:
        """The policies of all roles."""
        return tuple(
            policy for grant in self.grants if grant.role for policy in grant.role.policies
        )


def _holder(user: Ref | None, client: Ref | None) -> Holder | None:
    if user is not None:
        return Holder(kind="user", id=user.id, name=user.name)
    if client is not None:
        return Holder(kind="client", id=client.id, name=client.name)
    return None
