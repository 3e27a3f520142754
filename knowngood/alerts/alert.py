"""What a person is told."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from knowngood.errors import Team


class Alert(BaseModel):
    """A message to a person: what happened, what was tried, what to do now."""

    model_config = ConfigDict(frozen=True)

    alert_id: str
    kind: str
    team: Team
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
