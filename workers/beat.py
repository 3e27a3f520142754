"""Beat's scheduler: redbeat, made to outlive a Redis that restarts or comes back empty.

Any number of beats may run: the one that holds the lock acts. What was last sent is kept in Redis,
so that the next one goes on from there, and sends once what fell due meanwhile.
"""

import logging
from types import SimpleNamespace
from typing import Any

from redbeat.schedulers import (
    RedBeatScheduler,
    RedBeatSchedulerEntry,
    acquire_distributed_beat_lock,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import LockError, LockNotOwnedError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

log = logging.getLogger(__name__)


class Scheduler(RedBeatScheduler):
    """Takes the lock and writes the schedule anew when either is gone, in place of ending."""

    def tick(self, **kwargs: Any) -> float:
        """Send what is due; return the seconds until the next look."""
        if self.lock is None:
            # Celery passes over an error that kept it from being taken at the start.
            return self._begin_again()
        try:
            return float(super().tick(**kwargs))
        except LockError:
            log.warning("beat's lock is gone: waiting to hold it again")
            return self._begin_again()
        except (RedisConnectionError, RedisTimeoutError) as error:
            log.warning("Redis does not answer: %s", type(error).__name__)
            return float(self.max_interval)

    def maybe_due(self, entry: RedBeatSchedulerEntry, **kwargs: Any) -> float:
        """Send one task if it is due and the lock is still ours; return the seconds until it is.

        Raises:
            LockNotOwnedError: this beat froze for so long that another one acts.
        """
        if not self.lock.owned():
            raise LockNotOwnedError("another beat may have taken the lock")
        return float(super().maybe_due(entry, **kwargs))

    def _begin_again(self) -> float:
        try:
            # Waits while another beat holds it: only one acts.
            acquire_distributed_beat_lock(SimpleNamespace(scheduler=self))
            self.setup_schedule()
        except RedisError as error:
            log.warning("beat could not begin again: %s", type(error).__name__)
            return float(self.max_interval)
        return 0.0
