"""Alerts to try channels with."""

from datetime import UTC, datetime
from typing import Any

from knowngood.alerts.alert import Alert
from knowngood.errors import Team

FLOW = "eb6b8090-008d-597b-a31e-8a4bcc024011"
COMMAND = f"knowngood rollback {FLOW} --reason 'errors_after_deploy *41*'"


def alert(alert_id: str = "r-1.end", **more: Any) -> Alert:
    fields = {
        "kind": "rollback.needs_attention",
        "team": Team.OPERATIONS,
        "title": "Main line: rollback needs a person",
        "flow_id": FLOW,
        "flow_name": "Main line",
        "run_id": "r-1",
        "what_happened": "The rollback stopped at step acquire_lock: Ada <ada@example> edits it.",
        "what_was_tried": "acquire_lock was tried 3 times. Waited 180 s for the lock.",
        "what_to_do": f"ask Ada to save and unlock, then run: {COMMAND}",
        "raised_at": datetime.now(UTC),
        "dedupe_key": "r-1",
        "correlation_id": "c-99",
    }
    return Alert(alert_id=alert_id, **{**fields, **more})
