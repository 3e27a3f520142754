"""Reacts to Alertmanager's alerts: each one that fires for a flow starts one rollback, or is held.

Nobody sits at the keyboard, so what holds a watch's rollback back holds these back as well: a dry
run, many flows that fail at once, the cooldown after a rollback, and the daily limit.
"""

import logging
from datetime import UTC, datetime
from typing import Any, Final

from knowngood.alerts.alert import Alert
from knowngood.api.alertmanager import (
    FLOW_LABEL,
    AlertOutcome,
    Notification,
    Outcome,
    PrometheusAlert,
)
from knowngood.client import Client
from knowngood.errors import Refused, Team
from knowngood.health.safeguards import held_by_the_past
from knowngood.health.signals import HealthSignals
from knowngood.health.watches import WatchStore
from knowngood.runs.entry import checked
from knowngood.runs.model import RunKind

log = logging.getLogger(__name__)

_WHO: Final = "alertmanager"


class Reaction:
    """What one notification leads to."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._store = client.store
        self._signals = HealthSignals(client.store.redis)
        self._watches = WatchStore(client.store.redis)

    def to(self, notification: Notification) -> tuple[AlertOutcome, ...]:
        """Start what is to be started, and say what each alert led to.

        Raises:
            Unreachable: the journal or the broker does not answer; the same notification, sent
                again, goes on where this one stopped.
        """
        if notification.truncatedAlerts:
            log.warning("Alertmanager left %.0f alerts out", notification.truncatedAlerts)
        settled = [self._settled(alert) for alert in notification.alerts]
        pairs = list(zip(notification.alerts, settled, strict=True))
        # All are counted before one is judged, so that a fault of the platform holds the first.
        for alert, outcome in pairs:
            if outcome is None:
                self._signals.note_trip(alert.labels[FLOW_LABEL], self._store.time())
        found = tuple(outcome or self._judged(alert) for alert, outcome in pairs)
        for each in found:
            log.info("alert %s: %s %s", each.fingerprint, each.outcome, each.run_id or each.why)
        return found

    def _settled(self, alert: PrometheusAlert) -> AlertOutcome | None:
        """Return the outcome of an alert that needs no judgement; None of one that does."""
        if alert.status == "resolved":
            return _outcome(alert, Outcome.IGNORED, why="resolved")
        if FLOW_LABEL not in alert.labels:
            return _outcome(alert, Outcome.IGNORED, why=f"it has no label {FLOW_LABEL}")
        try:
            checked(RunKind.ROLLBACK, _fields(alert))
        except Refused as error:
            self._store.raise_alert(_refused_alert(alert, error))
            return _outcome(alert, Outcome.REFUSED, why=str(error))
        former = self._store.started_by(RunKind.ROLLBACK, alert.key)
        if former:
            return _outcome(alert, Outcome.REPEATED, run_id=former)
        held = self._signals.held(alert.key)
        return _outcome(alert, Outcome.HELD, why=held) if held else None

    def _judged(self, alert: PrometheusAlert) -> AlertOutcome:
        flow_id, now = alert.labels[FLOW_LABEL], self._store.time()
        settings = self._client.settings
        if not self._store.holder(flow_id):
            past = self._signals.history(
                flow_id, now, settings.breaker_window, self._watches.count()
            )
            held = held_by_the_past(past, now, settings)
            if held:
                # For good: the alert may last longer than the cooldown, and is no news by then.
                self._signals.hold(alert.key, held.why)
                self._store.raise_alert(_held_alert(alert, held.why))
                return _outcome(alert, Outcome.HELD, why=held.why)
        accepted = self._client.start(RunKind.ROLLBACK, **_fields(alert))
        if accepted.created:
            self._signals.note_rollback(flow_id, accepted.run_id, now)
            return _outcome(alert, Outcome.STARTED, run_id=accepted.run_id)
        return _outcome(alert, Outcome(accepted.answer), run_id=accepted.run_id)


def _fields(alert: PrometheusAlert) -> dict[str, Any]:
    return {
        "flow_id": alert.labels[FLOW_LABEL],
        "reason": alert.reason,
        "requested_by": _WHO,
        "idempotency_key": alert.key,
    }


def _outcome(
    alert: PrometheusAlert, outcome: Outcome, *, run_id: str | None = None, why: str = ""
) -> AlertOutcome:
    return AlertOutcome(
        fingerprint=alert.fingerprint,
        outcome=outcome,
        flow_id=alert.labels.get(FLOW_LABEL),
        run_id=run_id,
        why=why,
    )


def _refused_alert(alert: PrometheusAlert, error: Refused) -> Alert:
    return _told(
        alert,
        "refused",
        "Alertmanager asked for the rollback of what is no flow",
        what_was_tried=f"Nothing: {error}.",
        what_to_do=f"Correct the label {FLOW_LABEL} of the alert's rule; see whether a flow fails.",
    )


def _held_alert(alert: PrometheusAlert, why: str) -> Alert:
    flow_id = alert.labels[FLOW_LABEL]
    return _told(
        alert,
        "held_back",
        f"{flow_id} is said to be unhealthy and was not rolled back",
        what_was_tried=f"The automatic rollback is held back: {why}.",
        what_to_do=f"Decide: knowngood rollback {flow_id} --reason 'unhealthy'",
    )


def _told(
    alert: PrometheusAlert, kind: str, title: str, *, what_was_tried: str, what_to_do: str
) -> Alert:
    flow_id = alert.labels[FLOW_LABEL][:128]
    return Alert(
        alert_id=f"{alert.key}.{kind}",
        kind=f"alertmanager.{kind}",
        team=Team.OPERATIONS,
        title=title,
        flow_id=flow_id,
        flow_name=flow_id,
        run_id=alert.key,
        what_happened=f"{alert.reason}.",
        what_was_tried=what_was_tried,
        what_to_do=what_to_do,
        raised_at=datetime.now(UTC),
        dedupe_key=alert.key,
    )
