"""Slack, Teams, PagerDuty, e-mail, webhooks and the rest, through apprise.

apprise was chosen because one URL names one destination of over a hundred services.
"""

import hashlib
import logging

from pydantic import SecretStr

from knowngood.alerts.alert import Alert
from knowngood.alerts.channels.port import AlertNotSent, Channel
from knowngood.alerts.render import body, title


class AppriseChannel:
    """One apprise URL."""

    def __init__(self, url: SecretStr) -> None:
        self._url = url
        secret = url.get_secret_value()
        self._scheme = secret.split(":", 1)[0]
        digest = hashlib.sha256(secret.encode()).hexdigest()[:12]
        self.channel_id = f"{self._scheme}-{digest}"

    def send(self, alert: Alert) -> None:
        """Send the alert; AlertNotSent when the service refuses it or does not answer."""
        import apprise  # noqa: PLC0415 - half a second that only a sender should pay

        # apprise logs URLs and answers at WARNING and below; those may hold tokens.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        sender = apprise.Apprise()
        if not sender.add(self._url.get_secret_value()):
            raise AlertNotSent(f"channel {self.channel_id}: not a URL that apprise knows")
        sent = sender.notify(
            title=title(alert),
            body=body(alert),
            notify_type=apprise.NotifyType.FAILURE,
            body_format=apprise.NotifyFormat.TEXT,
        )
        if not sent:
            raise AlertNotSent(f"channel {self.channel_id} did not take the alert")


def open_apprise(url: SecretStr) -> Channel:
    """Open the channel that an apprise URL names."""
    return AppriseChannel(url)
