"""The outbox of alerts: written with the state that caused them, emptied until all are sent.

`knowngood/runs/journal.lua` puts alerts in atomically with a run's end. One sender claims an alert
at a time; a channel that took it is marked and never sent to again. A crash between a channel's
answer and the mark sends once more: exactly once as far as the channel allows, and every message
carries its dedupe key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import redis
from redis.exceptions import RedisError

from knowngood.alerts.alert import Alert
from knowngood.errors import Unreachable
from knowngood.tally import ALERT_DELIVERIES, ALERT_FAILURES, tally

_DUE: Final = "kg:alerts:due"
_CLAIM: Final = """
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) > tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
return 1
"""


@dataclass(frozen=True)
class Undelivered:
    """An alert that some channel has not taken yet; `failure` is the last one's reason."""

    alert: Alert
    tries: int
    failure: str

    def __str__(self) -> str:
        """Say in one line who does not know of it yet, and why."""
        why = f"after {self.tries} tries: {self.failure}" if self.tries else "waits to be sent"
        return f"the alert to {self.alert.team} {why}"


class AlertOutbox:
    """Alerts that wait to be sent. Times are seconds since 1970."""

    def __init__(self, client: redis.Redis, *, retention: float = 14 * 86_400) -> None:
        self._redis = client
        self.retention = int(retention)
        self._claim = client.register_script(_CLAIM)

    def due(self, now: float, limit: int) -> Sequence[str]:
        """Return the ids of alerts to be sent now, the oldest first."""
        return cast(
            "list[str]",
            self._ask(lambda: self._redis.zrangebyscore(_DUE, "-inf", now, start=0, num=limit)),
        )

    def claim(self, alert_id: str, now: float, ttl: float) -> Alert | None:
        """Take an alert for `ttl` seconds; None when it is sent, or another sender has it."""
        if not self._ask(lambda: self._claim(keys=[_DUE], args=[alert_id, now, now + ttl])):
            return None
        found = self._ask(lambda: self._redis.hget(_key(alert_id), "alert"))
        return Alert.model_validate_json(found) if found else None

    def delivered_to(self, alert_id: str) -> frozenset[str]:
        """Return the channels that have taken an alert."""
        fields = self._ask(lambda: self._redis.hkeys(_key(alert_id)))
        return frozenset(name.removeprefix("sent:") for name in fields if name.startswith("sent:"))

    def mark(self, alert_id: str, channel_id: str, now: float) -> None:
        """Note that a channel has taken an alert."""

        def write() -> None:
            pipe = self._redis.pipeline()
            pipe.hset(_key(alert_id), f"sent:{channel_id}", now)
            tally(pipe, ALERT_DELIVERIES, "sent")
            pipe.execute()

        self._ask(write)

    def hold(self, alert_id: str, until: float) -> None:
        """Keep an alert from every other sender until then."""
        self._ask(lambda: self._redis.zadd(_DUE, {alert_id: until}, xx=True))

    def failed(self, alert_id: str, failures: Mapping[str, str]) -> int:
        """Note which channels did not take an alert, and why; return how many tries failed."""

        def write() -> int:
            pipe = self._redis.pipeline()
            pipe.hincrby(_key(alert_id), "tries", 1)
            pipe.hset(_key(alert_id), "failure", "; ".join(failures.values()))
            tally(pipe, ALERT_DELIVERIES, "failed")
            for channel_id in failures:
                tally(pipe, ALERT_FAILURES, channel_id)
            return int(pipe.execute()[0])

        return cast("int", self._ask(write))

    def finish(self, alert_id: str) -> None:
        """Take an alert that every channel has out of the outbox."""

        def write() -> None:
            pipe = self._redis.pipeline()
            pipe.zrem(_DUE, alert_id)
            pipe.expire(_key(alert_id), self.retention)
            pipe.execute()

        self._ask(write)

    def undelivered(self) -> Sequence[Undelivered]:
        """Return every alert that is still in the outbox, for doctor and the metrics."""
        found = []
        for alert_id in cast("list[str]", self._ask(lambda: self._redis.zrange(_DUE, 0, -1))):
            fields = self._fields(alert_id)
            if fields.get("alert"):
                alert = Alert.model_validate_json(fields["alert"])
                tries = int(fields.get("tries", 0))
                found.append(Undelivered(alert, tries, fields.get("failure", "")))
        return found

    def undelivered_of(self, run_id: str) -> Sequence[Undelivered]:
        """Return the alerts of one run that are still in the outbox."""
        return [each for each in self.undelivered() if each.alert.run_id == run_id]

    def _fields(self, alert_id: str) -> dict[str, str]:
        return cast("dict[str, str]", self._ask(lambda: self._redis.hgetall(_key(alert_id))))

    def _ask(self, question: Any) -> Any:
        try:
            return question()
        except RedisError as error:
            raise Unreachable(f"the outbox does not answer: {type(error).__name__}") from error


def _key(alert_id: str) -> str:
    return f"kg:alert:{alert_id}"
