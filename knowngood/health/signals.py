"""What concerns many watches at once, in Redis: outages of analytics, and the breaker."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

import redis
from redis.exceptions import RedisError

from knowngood.errors import Unreachable
from knowngood.health.judgement import Verdict
from knowngood.health.safeguards import History

ALL: Final = "all"
"""The scope of an outage of analytics as a whole; else the scope is a flow's id."""

LIMITED: Final = "limit"
"""The scope of polls that the rate limit kept from being made: too many for it."""

_OUTAGES: Final = "kg:outages"
_TRIPS: Final = "kg:trips"
_BREACHING: Final = "kg:breaching"
_BREAKER: Final = "kg:breaker"
_DAY: Final = 86_400
_LONG: Final = 30 * _DAY


class HealthSignals:
    """Remembers across watches. Times are seconds since 1970."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def outage_began(self, scope: str, watch_ids: Sequence[str], now: float) -> str:
        """Count watches as blind and return the outage's episode, the same for all that follow."""

        def write() -> str:
            pipe = self._redis.pipeline()
            pipe.hsetnx(_OUTAGES, scope, f"{now:.3f}")
            pipe.hget(_OUTAGES, scope)
            pipe.sadd(_blind(scope), *watch_ids)
            pipe.expire(_blind(scope), _LONG)
            return str(pipe.execute()[1])

        return cast("str", self._ask(write))

    def outages_ended(self, seeing: Mapping[str, Sequence[str]]) -> Mapping[str, str]:
        """Take watches that see again off each scope; return the scopes that nobody is blind in.

        `seeing` holds watch ids by scope; each answer is the scope's episode. A watch that is off
        is blind no longer. The caller tells it, and then forgets the outage.
        """

        def write() -> Mapping[str, str]:
            known = cast("dict[str, str]", self._redis.hgetall(_OUTAGES))
            over = {}
            for scope in known.keys() & seeing.keys():
                self._redis.srem(_blind(scope), *seeing[scope])
                if not self._somebody_is_blind(scope):
                    over[scope] = known[scope]
            return over

        return cast("Mapping[str, str]", self._ask(write))

    def _somebody_is_blind(self, scope: str) -> bool:
        # One that is still on answers for all of them, of whom there may be thousands.
        while some := cast("str | None", self._redis.srandmember(_blind(scope))):
            if self._redis.zscore("kg:watches:due", some) is not None:
                return True
            self._redis.srem(_blind(scope), some)
        return False

    def forget_outage(self, scope: str) -> None:
        """Let the next outage be told anew."""
        self._ask(lambda: self._redis.hdel(_OUTAGES, scope))
        self._ask(lambda: self._redis.delete(_blind(scope)))

    def note_verdicts(self, verdicts: Iterable[tuple[str, Verdict]], now: float) -> None:
        """Remember which flows breach now: (flow id, verdict) pairs."""
        verdicts = list(verdicts)
        breaching = {flow: now for flow, verdict in verdicts if verdict is Verdict.BREACH}
        healthy = [flow for flow, verdict in verdicts if verdict is Verdict.OK]

        def write() -> None:
            pipe = self._redis.pipeline(transaction=False)
            if breaching:
                pipe.zadd(_BREACHING, breaching)
            if healthy:
                pipe.zrem(_BREACHING, *healthy)
            pipe.execute()

        if breaching or healthy:
            self._ask(write)

    def note_trip(self, flow_id: str, now: float) -> None:
        """Remember that a flow tripped."""
        self._ask(lambda: self._redis.zadd(_TRIPS, {flow_id: now}))

    def note_rollback(self, flow_id: str, run_id: str, now: float) -> None:
        """Remember an automatic rollback, for the cooldown and the daily limit."""

        def write() -> None:
            pipe = self._redis.pipeline()
            pipe.zadd(f"kg:rollbacks:{flow_id}", {run_id: now})
            pipe.expire(f"kg:rollbacks:{flow_id}", _DAY)
            pipe.execute()

        self._ask(write)

    def hold(self, key: str, why: str) -> None:
        """Remember that what an outside alert asked for is held back."""
        self._ask(lambda: self._redis.set(_held(key), why, ex=_LONG))

    def held(self, key: str) -> str | None:
        """Return why what an outside alert asked for was held back, or None."""
        return cast("str | None", self._ask(lambda: self._redis.get(_held(key))))

    def history(self, flow_id: str, now: float, window: float, watched: int) -> History:
        """Return what may hold an automatic rollback back; the breaker looks `window` s back."""

        def read() -> History:
            key = f"kg:rollbacks:{flow_id}"
            pipe = self._redis.pipeline()
            pipe.zremrangebyscore(key, "-inf", now - _DAY)
            pipe.zremrangebyscore(_TRIPS, "-inf", now - window)
            pipe.zremrangebyscore(_BREACHING, "-inf", now - window)
            pipe.zrevrange(key, 0, -1, withscores=True)
            pipe.hget(f"kg:flow:{flow_id}", "restored")
            pipe.zcard(_TRIPS)
            pipe.zcard(_BREACHING)
            rows, restored, tripped, breaching = pipe.execute()[3:]
            return History(
                restored_version=restored,
                rollbacks=[score for _, score in rows],
                tripped_flows=tripped,
                breaching_flows=breaching,
                watched_flows=watched,
            )

        return cast("History", self._ask(read))

    def breaker_episode(self, now: float, window: float) -> str:
        """Return the breaker's episode: the same while it holds at least once every `window` s."""

        def write() -> str:
            pipe = self._redis.pipeline()
            pipe.set(_BREAKER, f"{now:.3f}", nx=True)
            pipe.get(_BREAKER)
            pipe.expire(_BREAKER, int(window) + 1)
            return str(pipe.execute()[1])

        return cast("str", self._ask(write))

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except RedisError as error:
            raise Unreachable(f"health signals cannot be read: {type(error).__name__}") from error


def _blind(scope: str) -> str:
    return f"kg:blind:{scope}"


def _held(key: str) -> str:
    return f"kg:held:{key}"
