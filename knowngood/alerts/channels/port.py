"""What every channel offers."""

from typing import Protocol

from knowngood.alerts.alert import Alert
from knowngood.errors import TryAgain


class AlertNotSent(TryAgain):
    """A channel did not take an alert; the message holds no part of its URL."""


class Channel(Protocol):
    """One way to reach a person. `channel_id` is stable and holds no secret."""

    channel_id: str

    def check(self) -> None:
        """Say before anything is sent whether the channel is set up; AlertNotSent when not."""
        ...

    def send(self, alert: Alert) -> None:
        """Hand the alert over; AlertNotSent when the channel did not take it."""
        ...
