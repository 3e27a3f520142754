"""Prometheus Alertmanager's webhook payload, version 4, and what each of its alerts leads to.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config describes the payload.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, Field

FLOW_LABEL: Final = "flow_id"
"""The label that names the flow to roll back."""
_LONGEST_REASON: Final = 1_000


_DATED: Final = re.compile(r"\d{4}-\d\d-\d\dT")


def _dated(value: object) -> object:
    # A number, or a text of digits, would be taken for seconds since 1970.
    if not isinstance(value, str) or not _DATED.match(value):
        raise ValueError("must be a time such as 2026-11-24T12:00:00Z")
    return value


Moment = Annotated[datetime, BeforeValidator(_dated)]


class PrometheusAlert(BaseModel):
    """One alert. `fingerprint` names its labels, `startsAt` one time that it fires."""

    status: Literal["firing", "resolved"]
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = {}
    startsAt: Moment  # noqa: N815 - Alertmanager's own name
    fingerprint: Annotated[str, Field(min_length=1, max_length=64)]

    @property
    def key(self) -> str:
        """The idempotency key: an alert starts one rollback, however often it is told."""
        told = f"{self.fingerprint} {self.startsAt.isoformat()}"
        return f"alertmanager-{hashlib.sha256(told.encode()).hexdigest()[:32]}"

    @property
    def reason(self) -> str:
        """Why the flow is rolled back, in the alert's own words."""
        name = self.labels.get("alertname", "an alert")
        said = self.annotations.get("summary") or self.annotations.get("description") or ""
        return f"Alertmanager: {name}{': ' if said else ''}{said}"[:_LONGEST_REASON]


class Notification(BaseModel):
    """What Alertmanager POSTs; members that are not read here are passed over."""

    version: Literal["4"]
    groupKey: str  # noqa: N815 - Alertmanager's own name
    status: Literal["firing", "resolved"]
    receiver: str
    # JSON knows no integers, and 1.0 is one for a schema.
    truncatedAlerts: Annotated[float, Field(ge=0, strict=True)] = 0  # noqa: N815 - likewise
    alerts: tuple[PrometheusAlert, ...]


class Outcome(StrEnum):
    """What an alert led to."""

    STARTED = "started"
    JOINED = "joined"
    """A rollback of the flow was under way."""
    REPEATED = "repeated"
    """The alert had started this run before."""
    HELD = "held"
    """A safeguard holds automatic rollbacks of the flow back; a person is told."""
    REFUSED = "refused"
    """Its flow_id is none; a person is told."""
    IGNORED = "ignored"
    """It is resolved, or names no flow."""


class AlertOutcome(BaseModel):
    """What one alert led to, and why."""

    fingerprint: str
    outcome: Outcome
    flow_id: str | None = None
    run_id: str | None = None
    why: str = ""


class NotificationOutcome(BaseModel):
    """What each alert of a notification led to, in its order."""

    alerts: tuple[AlertOutcome, ...]
