"""Delivers one alert to every channel of its team that has not taken it yet."""

import logging
import time
from enum import StrEnum
from typing import Final

from knowngood.alerts.channels import channels_for
from knowngood.alerts.channels.port import AlertNotSent
from knowngood.alerts.outbox import AlertOutbox
from knowngood.settings import Settings

log = logging.getLogger(__name__)

_CLAIM: Final = 60.0
"""Seconds that one sender has for all channels before another may try."""


class Delivery(StrEnum):
    """What became of a delivery."""

    SENT = "sent"
    POSTPONED = "postponed"
    NOT_DUE = "not_due"


def deliver(alert_id: str, outbox: AlertOutbox, settings: Settings) -> Delivery:
    """Send an alert; what fails is due again after `alert_retry_delay` seconds."""
    alert = outbox.claim(alert_id, time.time(), _CLAIM)
    if alert is None:
        return Delivery.NOT_DUE
    taken = outbox.delivered_to(alert_id)
    failures = []
    for channel in channels_for(settings, alert.team):
        if channel.channel_id in taken:
            continue
        try:
            channel.send(alert)
        except AlertNotSent as error:
            log.warning("alert %s: %s", alert_id, error)
            failures.append(str(error))
        else:
            outbox.mark(alert_id, channel.channel_id, time.time())
    if failures:
        outbox.postpone(alert_id, "; ".join(failures), time.time() + settings.alert_retry_delay)
        return Delivery.POSTPONED
    outbox.finish(alert_id)
    return Delivery.SENT
