"""Watches in Redis: each poll is handed to one, takes effect once, and comes back when it died."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from knowngood.genesys.port import FlowCounts
from knowngood.health.baseline import Baseline
from knowngood.health.limits import limits_of
from knowngood.health.measurement import measured
from knowngood.health.watch import KEPT_POLLS, Watch, advance
from knowngood.health.watches import CLAIM, WatchStore
from knowngood.health.windows import Window, spread
from knowngood.settings import Settings
from tests.health.org import NOON

Make = Callable[..., Watch]


@pytest.fixture
def watches(redis_client: Any) -> WatchStore:
    return WatchStore(redis_client)


@pytest.fixture
def make() -> Make:
    made = 0

    def watch(**more: Any) -> Watch:
        nonlocal made
        made += 1
        given: dict[str, Any] = {
            "watch_id": f"watch-{made}",
            "flow_id": f"flow-{made}",
            "flow_name": "Main line",
            "version_id": "2.0",
            "policy": "threshold",
            "limits": limits_of(Settings()),
            "interval": 300,
            "window": 300,
            "delay": 0,
            "started": NOON,
            "bake_until": NOON + timedelta(hours=1),
            "dry_run": False,
            "due": NOON,
            **more,
        }
        return Watch(**given)

    return watch


def later(seconds: float) -> float:
    return NOON.timestamp() + seconds


def test_a_due_watch_is_handed_to_one_caller_and_comes_back_when_it_was_not_polled(
    watches: WatchStore, make: Make
) -> None:
    watch = make()
    watches.add(watch)
    # Whoever puts it on sends its first poll.
    assert watches.claim(later(1), 10) == []
    assert watches.claim(later(CLAIM), 10) == [watch.watch_id]
    assert watches.claim(later(CLAIM), 10) == []
    assert watches.claim(later(2 * CLAIM), 10) == [watch.watch_id]


def test_no_more_watches_are_out_than_asked_for(watches: WatchStore, make: Make) -> None:
    made = [make() for _ in range(5)]
    for watch in made:
        watches.add(watch)
    out = watches.claim(later(CLAIM), 3)
    assert len(out) == 3
    assert watches.claim(later(CLAIM), 3) == []
    polled = next(watch for watch in made if watch.watch_id == out[0])
    watches.save(0, polled.model_copy(update={"number": 1}), later(300))
    assert len(watches.claim(later(CLAIM), 3)) == 1
    watches.put_off(out[1:], later(200))
    assert len(watches.claim(later(CLAIM), 3)) == 1
    assert watches.claim(later(CLAIM + 1), 3) == []


def test_a_poll_that_is_delivered_twice_takes_effect_once(watches: WatchStore, make: Make) -> None:
    watch = make()
    watches.add(watch)
    first = watch.model_copy(update={"number": 1, "breaches": 1})
    second = watch.model_copy(update={"number": 1, "breaches": 0})
    assert watches.save(0, first, later(300))
    assert not watches.save(0, second, later(300))
    assert watches.find(watch.watch_id) == first


def test_a_later_deployment_supersedes_and_an_earlier_one_gives_way(
    watches: WatchStore, make: Make
) -> None:
    second = make(flow_id="flow", started=NOON + timedelta(minutes=1))
    third = make(flow_id="flow", started=NOON + timedelta(minutes=2))
    first = make(flow_id="flow")
    watches.add(second)
    added = watches.add(third)
    assert (added.former, added.gives_way) == (second.watch_id, False)
    # The one who asked may have died before it could act on the answer.
    assert watches.add(third) == added
    # Its message was held up: the newer deployment is the one to be watched.
    added = watches.add(first)
    assert (added.former, added.gives_way) == (third.watch_id, True)
    assert watches.of_flows(["flow"], dry_run=False) == [third.watch_id]
    assert watches.find(first.watch_id) is None


def test_a_standing_watch_gives_way_to_a_deployments_and_not_the_other_way_round(
    watches: WatchStore, make: Make
) -> None:
    standing = make(flow_id="flow", bake_until=None, started=NOON + timedelta(minutes=5))
    deployment = make(flow_id="flow")
    watches.add(standing)
    assert not watches.add(deployment).gives_way
    assert watches.add(make(flow_id="flow", bake_until=None)).gives_way


def test_standing_watches_are_put_on_by_one_caller_a_few_at_a_time(
    watches: WatchStore, make: Make
) -> None:
    flows = [f"flow-{number}" for number in range(5)]
    asked = [watches.may_start_standing(flows, 2, dry_run=False) for _ in range(4)]
    assert asked == [flows[:2], flows[2:4], flows[4:], []]
    # Once it was on, it may be put on again as soon as nothing stands in its place.
    watches.add(make(flow_id="flow-3", bake_until=None))
    assert watches.may_start_standing(flows, 2, dry_run=False) == ["flow-3"]


def test_a_dry_run_stands_beside_the_flows_watch(watches: WatchStore, make: Make) -> None:
    real, dry = make(flow_id="flow"), make(flow_id="flow", dry_run=True)
    watches.add(real)
    assert watches.add(dry).former is None
    watches.end(dry)
    assert watches.of_flows(["flow"], dry_run=False) == [real.watch_id]
    assert watches.of_flows(["flow"], dry_run=True) == [None]


def test_a_watch_that_ended_is_due_no_more_but_can_still_be_read(
    watches: WatchStore, make: Make
) -> None:
    watch = make()
    watches.add(watch)
    watches.end(watch)
    # A poll that was under way when it ended does not put it on again.
    watches.save(0, watch, later(0))
    assert watches.claim(later(CLAIM), 10) == []
    assert watches.find(watch.watch_id) == watch


def test_a_watch_keeps_a_bounded_number_of_polls_in_few_bytes(
    watches: WatchStore, make: Make, redis_client: Any
) -> None:
    watch, now = make(bake_until=None), NOON
    for number in range(KEPT_POLLS + 10):
        start, now = now, now + timedelta(seconds=300)
        counts = FlowCounts(
            flow_id=watch.flow_id,
            start=start,
            end=now,
            total_calls=200 + number,
            abandoned_calls=number % 7,
            error_count=number % 3,
            average_duration=90 + number / 7,
        )
        window = Window(start=start, end=now)
        told = measured(counts, flow_id=watch.flow_id, window=window, source="guide")
        watch, _ = advance(watch, told, Baseline(), now)
    watches.add(watch)
    assert watches.find(watch.watch_id) == watch
    assert len(watch.polls) == KEPT_POLLS
    assert redis_client.memory_usage(f"kg:watch:{watch.watch_id}") < 10_000


def test_few_watches_are_polled_at_once_and_many_are_spread_over_half_their_interval() -> None:
    def late(watches: int) -> list[float]:
        return [
            spread(f"watch-{n}", watches=watches, per_second=200, interval=300)
            for n in range(watches)
        ]

    assert max(late(10)) <= 10 / 200
    many = late(10_000)
    assert max(many) <= 50
    fullest = max(sum(second <= each < second + 1 for each in many) for second in range(50))
    assert fullest < 300
    assert max(late(100_000)) <= 150
