"""The channels an alert goes through. A new one is a file here and a line in `OPENERS`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pydantic import SecretStr

from knowngood.alerts.channels.apprise_channel import open_apprise
from knowngood.alerts.channels.log_channel import LogChannel
from knowngood.alerts.channels.pagerduty_channel import open_pagerduty
from knowngood.alerts.channels.port import Channel
from knowngood.alerts.channels.webhook_channel import open_webhook
from knowngood.errors import Team
from knowngood.settings import Settings

OPENERS: Final[Mapping[str, Callable[[SecretStr], Channel]]] = {
    # Every scheme that is not listed goes to apprise, which knows over a hundred services.
    "*": open_apprise,
    "json": open_webhook,
    "jsons": open_webhook,
    "pagerduty": open_pagerduty,
}


def channels_for(settings: Settings, team: Team) -> Sequence[Channel]:
    """Return a team's channels; integration falls back to operations, and both to the log."""
    urls = settings.integration_alert_urls if team is Team.INTEGRATION else ()
    chosen = urls or settings.alert_urls
    return [_open(url) for url in chosen] or [LogChannel()]


def _open(url: SecretStr) -> Channel:
    scheme = url.get_secret_value().split(":", 1)[0]
    return OPENERS.get(scheme, OPENERS["*"])(url)
