"""A consumer that tells Flower of its tasks in batches, not one message for each event."""

from typing import Any, Final

from celery.worker.consumer import Consumer as CeleryConsumer

EVENTS_DELAY: Final = 0.1
"""Seconds that an event may wait for others to share a message with; Flower is so much behind."""


class Consumer(CeleryConsumer):
    """Celery's, whose hub would publish each event by itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._flush_is_due = False

    def on_send_event_buffered(self) -> None:
        """Plan one flush for all events that come until then; called by any thread."""
        if self.hub and not self._flush_is_due:
            self._flush_is_due = True
            # Only the hub's own thread may touch its timers.
            self.hub.call_soon(self._plan_flush)

    def _plan_flush(self) -> None:
        self.hub.call_later(EVENTS_DELAY, self._flush_events)

    def _flush_events(self) -> None:
        self._flush_is_due = False
        super()._flush_events()

    def shutdown(self) -> None:
        """Send what still waits, and shut down."""
        self._flush_events()
        super().shutdown()
