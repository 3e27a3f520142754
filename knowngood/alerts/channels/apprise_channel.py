"""Slack, Teams, e-mail and the rest, through apprise.

apprise was chosen because one URL names one destination of over a hundred services.
"""

import hashlib
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from knowngood.alerts.alert import Alert, Urgency
from knowngood.alerts.channels.port import AlertNotSent, Channel
from knowngood.alerts.render import body, title

_TYPES: Final[Mapping[Urgency, str]] = MappingProxyType(
    {Urgency.ACT: "failure", Urgency.KNOW: "warning", Urgency.OVER: "success"}
)
"""apprise's types of a message: a colour, a severity."""


class AppriseChannel:
    """One apprise URL."""

    def __init__(self, url: SecretStr) -> None:
        self._url = url
        secret = url.get_secret_value()
        self._scheme = secret.split(":", 1)[0]
        digest = hashlib.sha256(secret.encode()).hexdigest()[:12]
        self.channel_id = f"{self._scheme}-{digest}"

    def check(self) -> None:
        """Say whether apprise knows the URL; AlertNotSent when not. Nothing is sent."""
        self._opened({})

    def send(self, alert: Alert) -> None:
        """Send the alert; AlertNotSent when the service refuses it or does not answer."""
        sender = self._opened(self.options(alert))
        try:
            sent = sender.notify(
                title=title(alert),
                body=self.text(alert),
                notify_type=_TYPES[alert.urgency],
                body_format="text",
            )
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything; the rest are told
            raise AlertNotSent(
                f"channel {self.channel_id} failed: {type(error).__name__}"
            ) from None
        if not sent:
            raise AlertNotSent(f"channel {self.channel_id} did not take the alert")

    def text(self, alert: Alert) -> str:
        """Return what the message says below its title."""
        return body(alert)

    def options(self, alert: Alert) -> Mapping[str, str]:
        """Return what is added to the URL's query for this alert."""
        del alert
        return {}

    def _opened(self, options: Mapping[str, str]) -> Any:
        import apprise  # noqa: PLC0415 - half a second that only a sender should pay

        # apprise logs URLs and answers at WARNING and below; those may hold tokens.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        url = self._url.get_secret_value()
        if options:
            url += ("&" if "?" in url else "?") + urlencode(options, quote_via=quote)
        # Messages carry our name, and no picture from somebody's server.
        asset = apprise.AppriseAsset(app_id="knowngood", image_url_mask="", image_url_logo="")
        sender = apprise.Apprise(asset=asset)
        if not sender.add(url):
            raise AlertNotSent(f"channel {self.channel_id}: not a URL that apprise knows")
        return sender


def open_apprise(url: SecretStr) -> Channel:
    """Open the channel that an apprise URL names."""
    return AppriseChannel(url)
