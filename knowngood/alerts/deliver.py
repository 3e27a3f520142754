"""Delivers one alert to every channel of its team that has not taken it yet."""

import logging
import time
from enum import StrEnum
from typing import Final

from knowngood.alerts.channels import channels_for
from knowngood.alerts.channels.port import AlertNotSent
from knowngood.alerts.outbox import AlertOutbox
from knowngood.logs import Redaction
from knowngood.settings import Settings

log = logging.getLogger(__name__)

_CLAIM: Final = 60.0
"""Seconds that a sender has for one channel before another sender may try."""
_LONGEST_PAUSE: Final = 3_600.0


class Delivery(StrEnum):
    """What became of a delivery."""

    SENT = "sent"
    POSTPONED = "postponed"
    NOT_DUE = "not_due"
    GIVEN_UP = "given_up"


def deliver(alert_id: str, outbox: AlertOutbox, settings: Settings) -> Delivery:
    """Send an alert to the channels that have not had it.

    What fails is due again after `alert_retry_delay` seconds, then twice that, up to an hour; a
    channel that took nothing for as long as the outbox keeps alerts is given up.
    """
    alert = outbox.claim(alert_id, time.time(), _CLAIM)
    if alert is None:
        return Delivery.NOT_DUE
    # Our own texts hold no secret; a person's reason or a foreign answer in them may.
    shown = alert.without(Redaction(settings.secret_values()))
    taken = outbox.delivered_to(alert_id)
    failures: dict[str, str] = {}
    for channel in channels_for(settings, alert.team):
        if channel.channel_id in taken:
            continue
        outbox.hold(alert_id, time.time() + _CLAIM)
        try:
            channel.send(shown)
        except AlertNotSent as error:
            log.warning("alert %s: %s", alert_id, error)
            failures[channel.channel_id] = str(error)
        else:
            outbox.mark(alert_id, channel.channel_id, time.time())
    if not failures:
        outbox.finish(alert_id)
        return Delivery.SENT
    now = time.time()
    tries = outbox.failed(alert_id, failures)
    if now - alert.raised_at.timestamp() > outbox.retention:
        log.error("alert %s is given up: %s", alert_id, "; ".join(failures.values()))
        outbox.finish(alert_id)
        return Delivery.GIVEN_UP
    pause = min(settings.alert_retry_delay * 2 ** min(tries - 1, 20), _LONGEST_PAUSE)
    outbox.hold(alert_id, now + pause)
    return Delivery.POSTPONED
