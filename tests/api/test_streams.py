"""Listeners to Redis streams: nothing is missed or told twice, and one reader serves them all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from knowngood.api import streams as module
from knowngood.api.streams import Entry, Streams
from knowngood.embedded.broker import EmbeddedBroker
from knowngood.runs.store import connect


def add(client: Any, stream: str, number: int) -> str:
    return str(client.xadd(stream, {"number": str(number)}))


def hearing(url: str, test: Callable[[Streams], Awaitable[None]]) -> None:
    async def run() -> None:
        async with Streams(url) as streams:
            async with asyncio.timeout(30):
                await test(streams)

    asyncio.run(run())


async def take(listener: AsyncIterator[Entry | None], count: int) -> list[int]:
    return [int((await anext(listener)).fields["number"]) for _ in range(count)]  # type: ignore[union-attr]


def test_what_was_missed_comes_first_and_then_the_news_each_once(
    broker: EmbeddedBroker, redis_client: Any
) -> None:
    ids = [add(redis_client, "s", number) for number in range(1_200)]

    async def test(streams: Streams) -> None:
        listener = streams.follow("s", ids[99])
        # News come while history is still being read.
        heard = await take(listener, 10)
        for number in range(1_200, 1_210):
            add(redis_client, "s", number)
        heard += await take(listener, 1_100)
        add(redis_client, "s", 1_210)
        heard += await take(listener, 1)
        assert heard == list(range(100, 1_211))

    hearing(broker.url, test)


def test_many_listen_over_one_connection(broker: EmbeddedBroker, redis_client: Any) -> None:
    async def test(streams: Streams) -> None:
        add(redis_client, "a", 0)
        listeners = [streams.follow("a", "0") for _ in range(300)]
        listeners += [streams.follow(f"s-{n}", "0") for n in range(100)]
        firsts = [asyncio.create_task(take(each, 2)) for each in listeners[:300]]
        others = [asyncio.create_task(take(each, 1)) for each in listeners[300:]]
        while len(streams._cursors) < 101:
            await asyncio.sleep(0.01)
        add(redis_client, "a", 1)
        for n in range(100):
            add(redis_client, f"s-{n}", n)
        assert await asyncio.gather(*firsts) == [[0, 1]] * 300
        assert await asyncio.gather(*others) == [[n] for n in range(100)]
        assert redis_client.info("clients")["connected_clients"] < 40

    hearing(broker.url, test)


def test_without_an_id_only_what_is_new_is_heard(broker: EmbeddedBroker, redis_client: Any) -> None:
    add(redis_client, "s", 1)

    async def test(streams: Streams) -> None:
        heard = asyncio.create_task(take(streams.follow("s", None), 1))
        while not streams._cursors:
            await asyncio.sleep(0.01)
        add(redis_client, "s", 2)
        assert await heard == [2]

    hearing(broker.url, test)


def test_a_listener_that_left_is_forgotten(broker: EmbeddedBroker, redis_client: Any) -> None:
    async def test(streams: Streams) -> None:
        add(redis_client, "s", 1)
        listener = streams.follow("s", "0")
        await take(listener, 1)
        assert streams._cursors
        await listener.aclose()  # type: ignore[attr-defined]
        assert not streams._cursors
        assert not streams._listeners

    hearing(broker.url, test)


def test_silence_is_told_from_time_to_time(
    broker: EmbeddedBroker, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.05)

    async def test(streams: Streams) -> None:
        listener = streams.follow("s", "0")
        assert await anext(listener) is None
        assert await anext(listener) is None
        add(redis_client, "s", 1)
        while (entry := await anext(listener)) is None:
            pass
        assert entry.fields == {"number": "1"}

    hearing(broker.url, test)


def test_a_listener_that_is_too_slow_is_let_go_and_comes_back_where_it_was(
    broker: EmbeddedBroker, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BACKLOG", 5)

    async def test(streams: Streams) -> None:
        last = add(redis_client, "s", 0)
        slow = streams.follow("s", "0")
        await take(slow, 1)
        newest = [add(redis_client, "s", number) for number in range(1, 21)][-1]
        while streams._cursors["s"] != newest:
            await asyncio.sleep(0.01)
        assert [entry async for entry in slow] == []
        assert await take(streams.follow("s", last), 20) == list(range(1, 21))

    hearing(broker.url, test)


def test_when_closed_all_end_and_those_that_come_too_late(
    broker: EmbeddedBroker, redis_client: Any
) -> None:
    async def test(streams: Streams) -> None:
        async def all_of(stream: str) -> list[Entry | None]:
            return [entry async for entry in streams.follow(stream, "0")]

        listening = [asyncio.create_task(all_of(f"s-{n % 3}")) for n in range(9)]
        while len(streams._cursors) < 3:
            await asyncio.sleep(0.01)
        streams.close()
        assert await asyncio.gather(*listening, all_of("s-0")) == [[]] * 10

    hearing(broker.url, test)


def test_listeners_outlive_a_redis_that_was_away() -> None:
    with EmbeddedBroker(aof=True) as own:
        client = connect(own.url)
        add(client, "s", 1)

        async def test(streams: Streams) -> None:
            listener = streams.follow("s", "0")
            assert await take(listener, 1) == [1]
            own.kill()
            own.restart()
            add(client, "s", 2)
            assert await take(listener, 1) == [2]

        hearing(own.url, test)
