"""What a person is told."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from knowngood.errors import Team


class Urgency(StrEnum):
    """What an alert asks of its reader; channels choose their colour or their page by it."""

    ACT = "act"
    KNOW = "know"
    OVER = "over"
    """What an earlier alert with the same dedupe key told of is over."""


class Alert(BaseModel):
    """A message to a person: what happened, what was tried, what to do now."""

    model_config = ConfigDict(frozen=True)

    alert_id: str
    kind: str
    team: Team
    urgency: Urgency = Urgency.ACT
    title: str
    flow_id: str
    flow_name: str
    run_id: str
    what_happened: str
    what_was_tried: str
    what_to_do: str
    raised_at: datetime
    correlation_id: str | None = None
    dedupe_key: str
    """Names the trouble: alerts of the same trouble share it."""

    def without(self, redact: Callable[[str], str]) -> "Alert":
        """Return the alert with each of its texts redacted."""
        texts = {name: redact(text) for name, text in self if type(text) is str}
        return self.model_copy(update=texts)
