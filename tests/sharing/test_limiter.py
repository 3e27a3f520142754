"""One rate limit for all workers: never more calls than are allowed, and rollbacks first."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowngood.embedded.broker import EmbeddedBroker
from knowngood.errors import RateLimited
from knowngood.genesys.port import FlowGateway
from knowngood.genesys.purpose import Priority, Purpose
from knowngood.runs.store import connect
from knowngood.sharing.limiter import SharedLimiter
from simulator.client import SimulatorControl
from tests.clock import Clock
from tests.sharing.conftest import MakeWorker, at_once
from tests.sharing.storm import START, Storm, answer, limiter

ROLLBACK = Purpose(Priority.ROLLBACK)
REQUEST = Purpose(Priority.REQUEST)
POLL = Purpose(Priority.POLL)
HISTORY = Purpose(Priority.HISTORY)


@pytest.fixture
def shared(redis_client: Any, clock: Clock) -> SharedLimiter:
    """A limiter that has been told of 100 calls a minute: it uses 97."""
    told = limiter(redis_client, clock)
    told.learn(answer(0, 100, 60), POLL)
    return told


def places(shared: SharedLimiter, purpose: Purpose) -> Iterator[None]:
    """Take places until there is none."""
    with suppress(RateLimited):
        while True:
            shared.acquire(purpose)
            yield


def taken(shared: SharedLimiter, purpose: Purpose) -> int:
    return sum(1 for _ in places(shared, purpose))


def held(shared: SharedLimiter, purpose: Purpose) -> float:
    with pytest.raises(RateLimited) as caught:
        shared.acquire(purpose)
    return caught.value.retry_after or 0


def run(number: int, *, calls: int = 8, begun: bool = False) -> Purpose:
    return Purpose(Priority.ROLLBACK, f"run-{number}", calls, begun)


def test_all_places_of_a_minute_may_be_taken_at_once_and_come_back_a_minute_later(
    shared: SharedLimiter, clock: Clock
) -> None:
    assert taken(shared, ROLLBACK) == 97
    assert held(shared, ROLLBACK) == pytest.approx(61, abs=1)
    clock.now += 60
    assert taken(shared, ROLLBACK) == 0
    clock.now += 1
    assert taken(shared, ROLLBACK) == 97


def test_a_share_is_kept_for_rollbacks(shared: SharedLimiter) -> None:
    assert taken(shared, REQUEST) == 77
    assert taken(shared, ROLLBACK) == 20


def test_polls_leave_room_for_requests_and_history_for_polls(shared: SharedLimiter) -> None:
    assert taken(shared, HISTORY) == 38
    polls = taken(shared, POLL)
    assert 0 < polls < 32
    assert taken(shared, REQUEST) == 77 - 38 - polls


def test_polls_are_spread_over_the_minute(shared: SharedLimiter, clock: Clock) -> None:
    numbers = []
    for _ in range(12):
        numbers.append(taken(shared, POLL))
        clock.now += 5
    assert 55 <= sum(numbers) <= 69
    assert max(numbers[1:]) <= 7


def test_polls_that_are_held_back_are_given_times_one_after_the_other(
    shared: SharedLimiter,
) -> None:
    taken(shared, POLL)
    batch = Purpose(Priority.POLL, calls=10)
    told = [held(shared, batch) for _ in range(4)]
    assert all(later - earlier == pytest.approx(10 * 61 / 69, abs=0.01)
               for earlier, later in pairwise(told))  # fmt: skip


def test_a_run_that_was_let_in_is_not_kept_from_its_end(shared: SharedLimiter) -> None:
    shared.acquire(run(1))
    assert taken(shared, ROLLBACK) == 97 - 8
    for _ in range(7):
        shared.acquire(run(1))
    assert held(shared, run(1, calls=3, begun=True)) > 60


def test_what_a_run_does_not_use_is_free_again_once_it_is_silent(
    shared: SharedLimiter, clock: Clock
) -> None:
    shared.acquire(run(1))
    clock.now += 9
    assert taken(shared, ROLLBACK) == 96


def test_a_run_that_has_begun_goes_before_those_that_wait(
    shared: SharedLimiter, clock: Clock
) -> None:
    taken(shared, ROLLBACK)
    for number in range(10):
        held(shared, run(number))
    begun = held(shared, run(99, calls=3, begun=True))
    assert begun == pytest.approx(61)
    clock.now += 61
    shared.acquire(run(99, calls=3, begun=True))


def test_a_new_run_does_not_take_the_place_of_one_that_waits(
    shared: SharedLimiter, clock: Clock
) -> None:
    places_taken = places(shared, ROLLBACK)
    for _ in range(92):
        next(places_taken)
    for number in range(5):
        held(shared, run(number))
    clock.now += 61.5
    for number in range(5, 40):
        with suppress(RateLimited):
            shared.acquire(run(number))
    for number in range(5):
        shared.acquire(run(number))


def test_what_is_allowed_is_learned_from_the_answers(
    redis_client: Any, clock: Clock, shared: SharedLimiter
) -> None:
    other = limiter(redis_client, clock)
    other.learn(answer(0, 50, 60), POLL)
    assert taken(shared, ROLLBACK) == 48


def test_until_an_answer_has_told_waits_are_short(redis_client: Any, clock: Clock) -> None:
    untold = limiter(redis_client, clock)
    assert taken(untold, ROLLBACK) == 291
    assert held(untold, run(1)) == 1
    untold.learn(answer(291, 3000, 60), ROLLBACK)
    assert taken(untold, ROLLBACK) == 2910 - 291


def test_a_cap_of_ones_own_holds_where_more_is_allowed(redis_client: Any, clock: Clock) -> None:
    capped = limiter(redis_client, clock, cap=50)
    capped.learn(answer(0, 100, 60), POLL)
    assert taken(capped, ROLLBACK) == 48


def test_what_others_use_of_the_limit_is_left_to_them(shared: SharedLimiter, clock: Clock) -> None:
    for _ in range(10):
        shared.acquire(ROLLBACK)
    clock.now += 1
    shared.learn(answer(70, 100, 30), ROLLBACK)
    assert taken(shared, ROLLBACK) == 97 - 70
    clock.now += 30
    assert taken(shared, ROLLBACK) == 60


@pytest.mark.parametrize(
    ("cap", "left"), [(50, 48), (None, 57)], ids=["beyond the cap", "within the limit"]
)
def test_what_others_use_counts_only_beyond_what_a_cap_leaves_them(
    cap: int | None, left: int, redis_client: Any, clock: Clock
) -> None:
    capped = limiter(redis_client, clock, cap=cap)
    capped.learn(answer(0, 100, 60), POLL)
    capped._told = (clock.now, {"count": 40, "allowed": 100, "reset": 30})
    assert taken(capped, ROLLBACK) == left


def test_after_a_429_all_workers_pause_as_long_as_it_says(
    redis_client: Any, clock: Clock, shared: SharedLimiter
) -> None:
    limiter(redis_client, clock).learn(answer(101, 100, 20, 429), POLL)
    assert held(shared, ROLLBACK) == pytest.approx(20)
    assert held(shared, run(1)) >= 20
    assert held(shared, POLL) == pytest.approx(20, abs=1)
    clock.now += 20
    shared.acquire(run(1))


def test_another_limit_than_the_tokens_stops_only_who_met_it(shared: SharedLimiter) -> None:
    limit = {"key": "query.rate", "namespace": "analytics"}
    shared.learn(answer(5, 100, 20, 429, limit=limit), POLL)
    assert held(shared, POLL) == pytest.approx(20)
    shared.acquire(run(1))


def test_an_answer_without_headers_teaches_nothing(
    redis_client: Any, clock: Clock, shared: SharedLimiter
) -> None:
    bare = answer(1, 2, 3)
    bare.headers.clear()
    shared.learn(bare, POLL)
    assert taken(shared, ROLLBACK) == 97


def test_two_oauth_clients_have_a_limit_each(
    redis_client: Any, clock: Clock, shared: SharedLimiter
) -> None:
    taken(shared, ROLLBACK)
    limiter(redis_client, clock, client_id="second").acquire(ROLLBACK)


def test_a_redis_that_does_not_answer_lets_calls_pass_and_is_asked_now_and_then(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    deaf = limiter(connect("redis://127.0.0.1:1/0"), clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(400):
            deaf.acquire(POLL)
        deaf.learn(answer(400, 300, 10, 429), POLL)
    assert len(caplog.records) == 1
    clock.now += 2
    deaf.acquire(POLL)
    assert len(caplog.records) == 2


def test_calls_and_waits_are_counted(redis_client: Any, shared: SharedLimiter) -> None:
    polls = taken(shared, POLL)
    shared.learn(answer(101, 100, 20, 429), REQUEST)
    assert redis_client.hgetall("kg:metrics:api_calls") == {"poll": str(polls)}
    assert redis_client.hgetall("kg:metrics:rate_limited") == {
        "poll|held": "1",
        "request|refused": "1",
    }


PRIORITIES = st.sampled_from([ROLLBACK, REQUEST, POLL, HISTORY, run(1), run(2), run(3)])


@settings(max_examples=40, deadline=None)
@given(calls=st.lists(st.tuples(PRIORITIES, st.floats(0, 4)), max_size=250))
def test_in_no_minute_are_there_more_calls_than_are_allowed(
    broker: EmbeddedBroker, calls: list[tuple[Purpose, float]]
) -> None:
    client, clock, times = connect(broker.url), Clock(), []
    client.flushdb()
    shared = limiter(client, clock)
    shared.learn(answer(0, 20, 60), POLL)
    for purpose, pause in calls:
        clock.now += pause
        with suppress(RateLimited):
            shared.acquire(purpose)
            times.append(clock.now)
    for number, at in enumerate(times):
        assert sum(1 for other in times[: number + 1] if other > at - 60) <= 20


@pytest.mark.slow
def test_a_thousand_rollbacks_at_once_use_what_is_allowed_and_no_more(redis_client: Any) -> None:
    storm = Storm(redis_client, allowed=3000)
    for number in range(1000):
        storm.at(number / 1e5, lambda number=number: storm.run(number, 8))  # type: ignore[misc]
    storm.go_on(lambda: len(storm.finished) == 1000)
    assert storm.org.refused == 0
    assert storm.org.busiest(60) <= 3000
    assert 8000 / (storm.now - START) * 60 >= 0.9 * 3000
    assert len(storm.asked) - 8000 < 3 * 1000, "nobody comes for nothing again and again"


def test_rollbacks_that_wait_end_one_after_the_other_in_their_order(redis_client: Any) -> None:
    storm = Storm(redis_client, allowed=300)
    for number in range(150):
        storm.at(number / 10, lambda number=number: storm.run(number, 8))  # type: ignore[misc]
    storm.go_on(lambda: len(storm.finished) == 150)
    ended = [storm.finished[number] for number in range(150)]
    overtaken = sum(1 for number in range(140) if ended[number] > ended[number + 10])
    assert overtaken == 0
    assert storm.org.refused == 0


@pytest.mark.parametrize("calls", [6, 8, 12])
def test_how_many_calls_runs_need_is_learned_so_that_no_place_stays_free(
    calls: int, redis_client: Any
) -> None:
    storm = Storm(redis_client, allowed=300)
    storm.run(0, calls)
    storm.go_on(lambda: len(storm.finished) == 1)
    storm.now += 61
    began = storm.now
    for number in range(1, 201):
        storm.at(number / 1e5, lambda number=number: storm.run(number, calls))  # type: ignore[misc]
    storm.go_on(lambda: len(storm.finished) == 201)
    assert storm.org.refused == 0
    assert 200 * calls / (storm.now - began) * 60 >= 0.9 * 300


def test_runs_that_need_less_than_was_thought_leave_no_places_free_at_the_first_storm(
    redis_client: Any,
) -> None:
    storm = Storm(redis_client, allowed=300, expected=12)
    for number in range(100):
        storm.at(number / 1e5, lambda number=number: storm.run(number, 8))  # type: ignore[misc]
    storm.go_on(lambda: len(storm.finished) == 100)
    assert storm.org.refused == 0
    # 800 calls may begin in three minutes that follow one another.
    assert storm.now - START <= 2 * 60 + 20


def test_rollbacks_do_not_notice_polls_that_use_up_the_rest(redis_client: Any) -> None:
    storm = Storm(redis_client, allowed=300)
    for _ in range(20):
        storm.at(0, storm.poll)
    storm.go_on(lambda: storm.now - START > 120)
    for number in range(7):
        storm.at(number / 10, lambda number=number: storm.run(number, 8))  # type: ignore[misc]
    began = storm.now - START
    storm.go_on(lambda: len(storm.finished) == 7)
    assert all(ended - began - number / 10 < 8 * 0.13 for number, ended in storm.finished.items())
    assert storm.polls > 0.6 * 300 * 2
    assert storm.org.refused == 0


def test_workers_over_http_never_see_a_429(
    make_worker: MakeWorker, org: SimulatorControl, flow: str
) -> None:
    org.oauth(allowed_per_token=100)
    workers = [make_worker() for _ in range(20)]
    workers[0].read_flow(flow)

    def reads(worker: FlowGateway) -> int:
        passed = 0
        with suppress(RateLimited):
            while passed < 8:
                worker.read_flow(flow)
                passed += 1
        return passed

    answers = at_once(*(lambda each=each: reads(each) for each in workers))  # type: ignore[misc]
    assert sum(each for each in answers if isinstance(each, int)) == 76
    assert [entry["status"] for entry in org.requests(job="read_flow")] == [200] * 77
