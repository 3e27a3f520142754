"""Watches in Redis: due times in a sorted set, each watch packed and changed by compare-and-set.

`claim` hands a due watch to one poll: its due time moves ahead at once, so that a second tick or a
second beat gets nothing, and a poll whose worker died comes back after `CLAIM` seconds. No more
watches are out at once than the caller says, so that slow polls never pile up in the queue.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

import redis
from redis.exceptions import RedisError

from knowngood.errors import Unreachable
from knowngood.health.baseline import FRESH, Baseline
from knowngood.health.judgement import Verdict
from knowngood.health.watch import Watch
from knowngood.runs.model import RunKind
from knowngood.runs.store import open_key
from knowngood.tally import HEALTH_POLLS, tally

CLAIM: Final = 30.0
"""Seconds until a claimed watch that was not polled is handed out again."""

DUE: Final = "kg:watches:due"
_OUT: Final = "kg:watches:out"
_BY_FLOW: Final = "kg:watches:flows"
_AUDITED: Final = "kg:watches:audited"
_OPEN: Final = open_key(RunKind.WATCH)
_START_AGAIN: Final = 3_600
"""Seconds until a standing watch that could not be put on is tried again."""

# A second deployment supersedes the first one's watch; the first one's, when it comes late, gives
# way. The answer is the same however often it is asked, for the asker may die before it acts on it.
_ADD: Final = """
local key = 'kg:watch:' .. ARGV[1]
if redis.call('EXISTS', key) == 1 then return {redis.call('HGET', key, 'former'), 0} end
redis.call('DEL', 'kg:standing:' .. ARGV[2])
local former = redis.call('HGET', KEYS[2], ARGV[2])
if former and redis.call('ZSCORE', KEYS[1], former) then
  local theirs = redis.call('HMGET', 'kg:watch:' .. former, 'started', 'standing')
  local later = tonumber(theirs[1] or '0') > tonumber(ARGV[5])
  if (later and theirs[2] == ARGV[6]) or (ARGV[6] == '1' and theirs[2] == '0') then
    return {former, 1}
  end
end
redis.call('HSET', key, 'number', ARGV[3], 'watch', ARGV[4], 'started', ARGV[5],
  'standing', ARGV[6], 'former', former or '')
redis.call('HSET', KEYS[2], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[1], ARGV[7], ARGV[1])
return {former or '', 0}
"""
_CLAIM: Final = """
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[1])
local room = tonumber(ARGV[3]) - redis.call('ZCARD', KEYS[2])
if room <= 0 then return {} end
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, room)
for _, id in ipairs(ids) do
  redis.call('ZADD', KEYS[1], ARGV[2], id)
  redis.call('ZADD', KEYS[2], ARGV[2], id)
end
return ids
"""
_SAVE: Final = """
local key = 'kg:watch:' .. ARGV[5]
if redis.call('HGET', key, 'number') ~= ARGV[1] then return 0 end
redis.call('HSET', key, 'number', ARGV[2], 'watch', ARGV[3])
redis.call('ZADD', KEYS[1], 'XX', ARGV[4], ARGV[5])
redis.call('ZREM', KEYS[2], ARGV[5])
return 1
"""
_END: Final = """
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('EXPIRE', 'kg:watch:' .. ARGV[1], ARGV[3])
if redis.call('HGET', KEYS[3], ARGV[2]) == ARGV[1] then redis.call('HDEL', KEYS[3], ARGV[2]) end
"""


@dataclass(frozen=True)
class Added:
    """What came of putting a watch on. `former` is the flow's other watch, or None.

    The new one supersedes it, unless it `gives_way`: the other is of a later deployment.
    """

    former: str | None
    gives_way: bool


@dataclass(frozen=True)
class Astray:
    """What an audit found: runs that nothing polls, and watches whose run has ended."""

    unpolled: Sequence[str]
    ended: Sequence[str]


class WatchStore:
    """All watches. Times handed in are UTC or seconds since 1970."""

    def __init__(self, client: redis.Redis, *, retention: float = 14 * 86_400) -> None:
        self._redis = client
        self._retention = int(retention)
        self._add = client.register_script(_ADD)
        self._claim = client.register_script(_CLAIM)
        self._save = client.register_script(_SAVE)
        self._end = client.register_script(_END)

    def add(self, watch: Watch) -> Added:
        """Put a watch on, claimed already: whoever adds it sends its first poll."""
        args: list[str | float | bytes] = [
            watch.watch_id,
            _place(watch.flow_id, dry_run=watch.dry_run),
            watch.number,
            _packed(watch),
            watch.started.timestamp(),
            int(watch.standing),
            watch.due.timestamp() + CLAIM,
        ]
        former, gives_way = self._ask(lambda: self._add(keys=[DUE, _BY_FLOW], args=args))
        return Added(former or None, bool(gives_way))

    def claim(self, now: float, most: int) -> Sequence[str]:
        """Hand out the watches that are due, each to one caller; at most `most` are out at once."""
        args = [now, now + CLAIM, most]
        return cast("list[str]", self._ask(lambda: self._claim(keys=[DUE, _OUT], args=args)))

    def get(self, watch_ids: Sequence[str]) -> Sequence[Watch]:
        """Read watches, on or ended; those that are unknown are left out."""
        if not watch_ids:
            return []

        def read() -> list[bytes | None]:
            pipe: Any = self._redis.pipeline(transaction=False)
            for watch_id in watch_ids:
                pipe.execute_command("HGET", _key(watch_id), "watch", NEVER_DECODE=True)
            return cast("list[bytes | None]", pipe.execute())

        return [unpacked(row) for row in self._ask(read) if row]

    def find(self, watch_id: str) -> Watch | None:
        """Read one watch, on or ended, or None."""
        found = self.get([watch_id])
        return found[0] if found else None

    def of_flows(self, flow_ids: Sequence[str], *, dry_run: bool) -> Sequence[str | None]:
        """Return the id of the watch that is on for each flow."""
        if not flow_ids:
            return []
        places = [_place(flow_id, dry_run=dry_run) for flow_id in flow_ids]
        return cast("list[str | None]", self._ask(lambda: self._redis.hmget(_BY_FLOW, places)))

    def save(self, former_number: int, watch: Watch, due: float) -> bool:
        """Write a watch unless another delivery of the same poll was first."""
        return self.save_all([(former_number, watch, due)])[0]

    def save_all(self, moves: Sequence[tuple[int, Watch, float]]) -> Sequence[bool]:
        """Write many watches at once; each is a former number, the watch and when it is due."""
        if not moves:
            return []

        def write() -> list[int]:
            pipe = self._redis.pipeline(transaction=False)
            for former, watch, due in moves:
                args: list[str | float | bytes] = [
                    former,
                    watch.number,
                    _packed(watch),
                    due,
                    watch.watch_id,
                ]
                self._save(keys=[DUE, _OUT], args=args, client=pipe)
            return cast("list[int]", pipe.execute())

        return [bool(written) for written in self._ask(write)]

    def put_off(self, watch_ids: Iterable[str], until: float) -> None:
        """Let watches be polled later, as they are."""
        due = dict.fromkeys(watch_ids, until)
        if not due:
            return

        def write() -> None:
            pipe = self._redis.pipeline()
            pipe.zadd(DUE, due, xx=True)
            pipe.zrem(_OUT, *due)
            pipe.execute()

        self._ask(write)

    def end(self, watch: Watch) -> None:
        """Take a watch off; it stays readable for explanations while its run does."""
        place = _place(watch.flow_id, dry_run=watch.dry_run)
        args: list[str | int] = [watch.watch_id, place, self._retention]
        self._ask(lambda: self._end(keys=[DUE, _OUT, _BY_FLOW], args=args))

    def holds(self, watch_id: str) -> bool:
        """Say whether a watch is on, or its run was not seen to end."""

        def read() -> list[float | int | None]:
            pipe = self._redis.pipeline(transaction=False)
            pipe.zscore(DUE, watch_id)
            pipe.sismember(_OPEN, watch_id)
            return cast("list[float | int | None]", pipe.execute())

        due, is_open = self._ask(read)
        return due is not None or bool(is_open)

    def drop(self, watch_id: str) -> None:
        """Forget a watch that nothing but its id is left of."""

        def write() -> None:
            pipe = self._redis.pipeline()
            pipe.zrem(DUE, watch_id)
            pipe.zrem(_OUT, watch_id)
            pipe.srem(_OPEN, watch_id)
            pipe.execute()

        self._ask(write)

    def take_up(self, watch: Watch, due: float) -> None:
        """Poll a watch again whose due time was lost."""
        self._ask(lambda: self._redis.zadd(DUE, {watch.watch_id: due}, nx=True))

    def astray(self, every: float) -> Astray | None:
        """Look for watches that went astray; None unless the last look was `every` s ago."""

        def read() -> Astray | None:
            if not self._redis.set(_AUDITED, "1", nx=True, px=int(every * 1000)):
                return None
            pipe = self._redis.pipeline()
            pipe.zdiff([_OPEN, DUE])
            pipe.zdiff([DUE, _OPEN])
            unpolled, ended = pipe.execute()
            return Astray(unpolled, ended)

        return cast("Astray | None", self._ask(read))

    def on(self) -> Sequence[Watch]:
        """Read every watch that is on, the next due first."""
        # A watch whose run was cancelled is taken off by the next look at it.
        found = self._ask(lambda: self._redis.zinter([DUE, _OPEN], aggregate="MAX"))
        return self.get(cast("list[str]", found))

    def count(self) -> int:
        """Return how many watches are on."""
        return int(cast("int", self._ask(lambda: self._redis.zcard(DUE))))

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

    def may_start_standing(
        self, flow_ids: Sequence[str], most: int, *, dry_run: bool
    ) -> Sequence[str]:
        """Return those flows, `most` of them, whose standing watch the caller is to put on now.

        One that could not be put on is tried again after an hour: its run has told a person why.
        """
        if not flow_ids:
            return []
        keys = {each: f"kg:standing:{_place(each, dry_run=dry_run)}" for each in flow_ids}

        def write() -> list[str]:
            tried = cast("list[str | None]", self._redis.mget(keys.values()))
            free = [each for each, when in zip(keys, tried, strict=True) if when is None][:most]
            pipe = self._redis.pipeline(transaction=False)
            for flow_id in free:
                pipe.set(keys[flow_id], "1", nx=True, ex=_START_AGAIN)
            return [each for each, mine in zip(free, pipe.execute(), strict=True) if mine]

        return cast("list[str]", self._ask(write))

    def count_polls(self, verdicts: Mapping[Verdict, int]) -> None:
        """Add to the metrics how polls were judged."""
        if not verdicts:
            return

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


def _packed(watch: Watch) -> bytes:
    # Its polls resemble each other: 58 kB of 48 polls become 6 kB, in 0.3 ms.
    return zlib.compress(watch.model_dump_json().encode())


def unpacked(packed: bytes) -> Watch:
    """Read what a watch was packed into."""
    return Watch.model_validate_json(zlib.decompress(packed))


def _key(watch_id: str) -> str:
    return f"kg:watch:{watch_id}"


def _baseline_key(flow_id: str) -> str:
    return f"kg:baseline:{flow_id}"


def _place(flow_id: str, *, dry_run: bool) -> str:
    # A dry run stands beside the flow's real watch: it must not take its guard away.
    return f"{flow_id}:dry" if dry_run else flow_id
