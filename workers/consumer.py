"""A consumer that tells Flower of its tasks in batches, not one message for each event."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

from celery.worker.consumer import Consumer as CeleryConsumer

EVENTS_DELAY: Final = 0.1
"""Seconds that an event may wait for others to share a message with; Flower is so much behind."""


class Consumer(CeleryConsumer):
    """Celery's, whose hub would publish each event by itself."""

    _newest: ClassVar[tuple[int, "Consumer"] | None] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._flush_is_due = False
        Consumer._newest = (os.getpid(), self)

    @classmethod
    def here(cls) -> "Consumer | None":
        """Return this process's consumer; a process of the pool has none of its own."""
        process, newest = cls._newest or (None, None)
        return newest if process == os.getpid() else None

    def tell(self, event: str, fields: Mapping[str, Any], *, last: bool) -> bool:
        """Let an event ride in the next batch; called by any thread. False when none is sent.

        The `last` one of its subject goes out before this returns, so that a crash cannot lose it,
        and once more when no batch of another worker can hold an older one.
        """
        dispatcher = self.event_dispatcher
        if not (self.hub and dispatcher and dispatcher.enabled):
            return False
        dispatcher.send(event, **fields)
        if last:
            dispatcher.flush()
            repeat = partial(dispatcher.send, event, **fields)
            self.hub.call_soon(self.hub.call_later, 3 * EVENTS_DELAY, repeat)
        return True

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
