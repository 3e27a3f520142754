"""Follows Redis streams for any number of listeners over one connection, without a thread.

What a listener missed is read first; from then on one reader hands the news to all. A listener
that is too slow is let go, and may come back and name the last entry that it saw.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import RedisError

from knowngood.sentinel import Sentinels

log = logging.getLogger(__name__)

HEARTBEAT: Final = 15.0
"""Seconds without news after which a listener is told so: proxies cut silent connections."""
_BLOCK: Final = 250
"""Milliseconds of one read: how late the first entry of a stream that nobody followed may come."""
_PAUSE: Final = 0.5
_PAGE: Final = 500
_BACKLOG: Final = 1_000
"""Entries that wait for a slow listener before it is let go."""
_CONNECTIONS: Final = 16
_LAST_READ: Final = 2.0
"""Seconds that the reader is given to end."""


class Entry(NamedTuple):
    """One entry of a stream."""

    entry_id: str
    fields: Mapping[str, str]


_Queue = asyncio.Queue[Entry | None]
"""None is its end."""


class Streams:
    """The streams that somebody follows now. Use it as an asynchronous context."""

    def __init__(self, url: str) -> None:
        options: dict[str, Any] = {
            "decode_responses": True,
            "socket_connect_timeout": 3,
            "socket_timeout": 10,
            "health_check_interval": 15,
        }
        if sentinels := Sentinels.named_by(url):
            ask: Any = Sentinel
            found = ask(**sentinels.arguments(options))
            self._redis = found.master_for(sentinels.master, db=sentinels.db)
        else:
            bounds = {"max_connections": _CONNECTIONS, "timeout": 10}
            self._redis = Redis.from_pool(BlockingConnectionPool.from_url(url, **bounds, **options))
        self._cursors: dict[str, str] = {}
        self._listeners: dict[str, set[_Queue]] = {}
        self._wanted = asyncio.Event()
        self._closed = False
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Streams":
        self._reader = asyncio.create_task(self._read_on())
        # Listeners must not wait for a reader that is no more.
        self._reader.add_done_callback(lambda _: self.close())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader], timeout=_LAST_READ)
        await self._redis.aclose()

    def close(self) -> None:
        """End every listener's stream, those that still come included."""
        self._closed = True
        self._wanted.set()
        for queue in [each for listeners in self._listeners.values() for each in listeners]:
            _end(queue)

    async def follow(self, stream: str, after: str | None) -> AsyncIterator[Entry | None]:
        """Yield the entries after an id, or from now on; None after `HEARTBEAT` without one.

        Ends when the listener is too slow, when Redis does not answer at first, and on `close`.
        """
        try:
            newest = await self._newest(stream)
            last = newest if after is None else after
            with self._listening(stream, newest) as queue:
                more = True
                while more:
                    page = await self._after(stream, last)
                    for entry in page:
                        last = entry.entry_id
                        yield entry
                    more = len(page) == _PAGE
                async for news in _news(queue):
                    # What was read above may have been handed out as well.
                    if news is None or _order(news.entry_id) > _order(last):
                        yield news
        except RedisError as error:
            log.warning("a listener is let go: %s", type(error).__name__)

    async def _newest(self, stream: str) -> str:
        rows = await self._redis.xrevrange(stream, count=1)
        return str(rows[0][0]) if rows else "0-0"

    async def _after(self, stream: str, last: str) -> list[Entry]:
        rows = await self._redis.xrange(stream, f"({last}", "+", count=_PAGE)
        return [Entry(*row) for row in cast("list[tuple[str, dict[str, str]]]", rows)]

    @contextmanager
    def _listening(self, stream: str, newest: str) -> Any:
        queue: _Queue = asyncio.Queue(_BACKLOG)
        self._listeners.setdefault(stream, set()).add(queue)
        self._cursors.setdefault(stream, newest)
        self._wanted.set()
        if self._closed:
            _end(queue)
        try:
            yield queue
        finally:
            self._listeners[stream].discard(queue)
            if not self._listeners[stream]:
                del self._listeners[stream], self._cursors[stream]

    async def _read_on(self) -> None:
        # Asked each time, for redis-py may swallow that this task is cancelled.
        while not self._closed:
            if not self._cursors:
                self._wanted.clear()
                await self._wanted.wait()
            try:
                reply = await self._redis.xread(
                    cast("dict[Any, Any]", self._cursors.copy()), count=_PAGE, block=_BLOCK
                )
            except RedisError as error:
                log.warning("the streams cannot be read: %s", type(error).__name__)
                await asyncio.sleep(_PAUSE)
                continue
            for stream, entries in _batches(reply):
                self._hand_out(stream, entries)

    def _hand_out(self, stream: str, entries: list[Entry]) -> None:
        if stream not in self._cursors:
            # Its last listener left while it was read.
            return
        self._cursors[stream] = entries[-1].entry_id
        for queue in self._listeners[stream]:
            for entry in entries:
                if queue.full():
                    _end(queue)
                    break
                queue.put_nowait(entry)


async def _news(queue: _Queue) -> AsyncIterator[Entry | None]:
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT):
                entry = await queue.get()
        except TimeoutError:
            yield None
            continue
        if entry is None:
            return
        yield entry


def _end(queue: _Queue) -> None:
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(None)


def _batches(reply: Any) -> list[tuple[str, list[Entry]]]:
    # RESP3 answers a mapping whose values hold one more list.
    rows = reply.items() if isinstance(reply, dict) else reply or []
    found = []
    for stream, entries in rows:
        flat = entries[0] if entries and isinstance(entries[0], list) else entries
        found.append((stream, [Entry(entry_id, fields) for entry_id, fields in flat]))
    return found


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)
