"""Watches in Redis: due times in a sorted set, each watch a JSON value changed by compare-and-set.

`claim` hands a due watch to one poll: its due time moves ahead at once, so that a second tick or a
second beat gets nothing, and a poll whose worker died comes back after `CLAIM` seconds.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

import redis
from redis.exceptions import RedisError

from knowngood.errors import Unreachable
from knowngood.health.baseline import FRESH, Baseline
from knowngood.health.judgement import Verdict
from knowngood.health.watch import Watch
from knowngood.tally import HEALTH_POLLS, tally

CLAIM: Final = 30.0
_DUE: Final = "kg:watches:due"
_BY_FLOW: Final = "kg:watches:flows"
_KEEP: Final = 14 * 86_400

_CLAIM: Final = """
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], ARGV[2], id) end
return ids
"""
_SAVE: Final = """
local held = redis.call('HGET', KEYS[1], 'number')
if held ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'number', ARGV[2], 'watch', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[5])
return 1
"""


class WatchStore:
    """All watches. Times handed in are UTC or seconds since 1970."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._claim = client.register_script(_CLAIM)
        self._save = client.register_script(_SAVE)

    def add(self, watch: Watch) -> str | None:
        """Put a watch on; return the id of the flow's former watch, which it supersedes."""

        def write() -> str | None:
            former = cast("str | None", self._redis.hget(_BY_FLOW, _place(watch)))
            if former == watch.watch_id or not self._redis.hsetnx(
                _key(watch.watch_id), "watch", watch.model_dump_json()
            ):
                return None
            pipe = self._redis.pipeline()
            pipe.hset(_key(watch.watch_id), "number", watch.number)
            pipe.hset(_BY_FLOW, _place(watch), watch.watch_id)
            pipe.zadd(_DUE, {watch.watch_id: watch.due.timestamp()})
            pipe.execute()
            return former

        return cast("str | None", self._ask(write))

    def claim(self, now: float, limit: int) -> Sequence[str]:
        """Hand out the watches that are due, each to one caller."""
        return cast(
            "list[str]",
            self._ask(lambda: self._claim(keys=[_DUE], args=[now, now + CLAIM, limit])),
        )

    def get(self, watch_ids: Sequence[str]) -> Sequence[Watch]:
        """Read watches; those that ended or are unknown are left out."""
        if not watch_ids:
            return []
        pipe = self._redis.pipeline(transaction=False)
        for watch_id in watch_ids:
            pipe.hget(_key(watch_id), "watch")
        rows = cast("list[str | None]", self._ask(pipe.execute))
        return [Watch.model_validate_json(row) for row in rows if row]

    def find(self, watch_id: str) -> Watch | None:
        """Read one watch, on or ended, or None."""
        found = self.get([watch_id])
        return found[0] if found else None

    def of_flow(self, flow_id: str) -> str | None:
        """Return the id of the watch that is on for a flow."""
        return cast("str | None", self._ask(lambda: self._redis.hget(_BY_FLOW, flow_id)))

    def save(self, former_number: int, watch: Watch, due: float) -> bool:
        """Write a watch unless another delivery of the same poll was first."""
        args: list[str | float] = [
            former_number,
            watch.number,
            watch.model_dump_json(),
            due,
            watch.watch_id,
        ]
        return bool(self._ask(lambda: self._save(keys=[_key(watch.watch_id), _DUE], args=args)))

    def end(self, watch: Watch) -> None:
        """Take a watch off; it stays readable for explanations while its run does."""

        def write() -> None:
            pipe = self._redis.pipeline()
            pipe.zrem(_DUE, watch.watch_id)
            pipe.expire(_key(watch.watch_id), _KEEP)
            pipe.execute()
            if self._redis.hget(_BY_FLOW, _place(watch)) == watch.watch_id:
                self._redis.hdel(_BY_FLOW, _place(watch))

        self._ask(write)

    def on(self) -> Sequence[Watch]:
        """Read every watch that is on, the next due first."""
        return self.get(cast("list[str]", self._ask(lambda: self._redis.zrange(_DUE, 0, -1))))

    def count(self) -> int:
        """Return how many watches are on."""
        return int(cast("int", self._ask(lambda: self._redis.zcard(_DUE))))

    def baselines(self, flow_ids: Sequence[str]) -> Sequence[Baseline]:
        """Return what is known of each flow's usual health."""
        if not flow_ids:
            return []
        keys = [_baseline_key(flow_id) for flow_id in flow_ids]
        rows = cast("list[str | None]", self._ask(lambda: self._redis.mget(keys)))
        return [Baseline.model_validate_json(row) if row else Baseline() for row in rows]

    def keep_baselines(self, baselines: Mapping[str, Baseline]) -> None:
        """Remember flows' usual health, by flow id, for as long as it stays fresh."""

        def write() -> None:
            pipe = self._redis.pipeline(transaction=False)
            for flow_id, baseline in baselines.items():
                pipe.set(_baseline_key(flow_id), baseline.model_dump_json(), ex=FRESH)
            pipe.execute()

        self._ask(write)

    def may_start_standing(self, flow_id: str) -> bool:
        """Say to one caller a minute that a standing watch is to be put on."""
        key = f"kg:standing:{flow_id}"
        return bool(self._ask(lambda: self._redis.set(key, "1", nx=True, ex=60)))

    def count_polls(self, verdicts: Mapping[Verdict, int]) -> None:
        """Add to the metrics how polls were judged."""

        def write() -> None:
            pipe = self._redis.pipeline(transaction=False)
            for verdict, number in verdicts.items():
                tally(pipe, HEALTH_POLLS, verdict, number)
            pipe.execute()

        self._ask(write)

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except RedisError as error:
            raise Unreachable(f"the watches cannot be read: {type(error).__name__}") from error


def utc(seconds: float) -> datetime:
    """Return seconds since 1970 as UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def _key(watch_id: str) -> str:
    return f"kg:watch:{watch_id}"


def _baseline_key(flow_id: str) -> str:
    return f"kg:baseline:{flow_id}"


def _place(watch: Watch) -> str:
    # A dry run stands beside the flow's real watch: it must not take its guard away.
    return f"{watch.flow_id}:dry" if watch.dry_run else watch.flow_id
