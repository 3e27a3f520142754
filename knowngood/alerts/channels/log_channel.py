"""The channel of an installation that names no other: an alert is never silent."""

import logging

from knowngood.alerts.alert import Alert
from knowngood.alerts.render import body, title

log = logging.getLogger("knowngood.alert")


class LogChannel:
    """Writes alerts to the worker's log, as errors."""

    channel_id = "log"

    def check(self) -> None:
        """Find nothing wrong."""

    def send(self, alert: Alert) -> None:
        """Log the alert."""
        log.error("%s\n%s", title(alert), body(alert))
