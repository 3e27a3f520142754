"""What concerns many watches at once, in a real Redis."""

from typing import Any

import pytest

from knowngood.health.judgement import Verdict
from knowngood.health.signals import ALL, HealthSignals

NOW = 1_800_000_000.0
WINDOW = 600.0
DAY = 86_400.0


@pytest.fixture
def signals(redis_client: Any) -> HealthSignals:
    return HealthSignals(redis_client)


def put_on(redis_client: Any, *watch_ids: str) -> None:
    redis_client.zadd("kg:watches:due", dict.fromkeys(watch_ids, NOW))


def breaching(signals: HealthSignals, now: float = NOW) -> int:
    return signals.history("flow", now, WINDOW, 1).breaching_flows


def test_a_flow_breaches_until_it_is_ok_again_and_inconclusive_changes_nothing(
    signals: HealthSignals,
) -> None:
    signals.note_verdicts([("a", Verdict.BREACH), ("b", Verdict.BREACH)], NOW)
    signals.note_verdicts([("a", Verdict.INCONCLUSIVE), ("b", Verdict.SOURCE_ERROR)], NOW)
    assert breaching(signals) == 2
    signals.note_verdicts([("a", Verdict.OK)], NOW)
    assert breaching(signals) == 1


def test_what_breached_or_tripped_long_ago_holds_nothing_back(signals: HealthSignals) -> None:
    signals.note_verdicts([("a", Verdict.BREACH)], NOW)
    signals.note_trip("a", NOW)
    assert breaching(signals, NOW + WINDOW - 1) == 1
    past = signals.history("flow", NOW + WINDOW + 1, WINDOW, 1)
    assert (past.breaching_flows, past.tripped_flows) == (0, 0)


def test_a_flow_that_trips_twice_counts_once(signals: HealthSignals) -> None:
    for flow in ("a", "a", "b"):
        signals.note_trip(flow, NOW)
    assert signals.history("a", NOW, WINDOW, 1).tripped_flows == 2


def test_automatic_rollbacks_of_a_day_are_remembered_newest_first_and_each_once(
    signals: HealthSignals,
) -> None:
    for run_id, at in (("one", NOW - DAY - 1), ("two", NOW - 60), ("three", NOW), ("three", NOW)):
        signals.note_rollback("flow", run_id, at)
    assert list(signals.history("flow", NOW, WINDOW, 1).rollbacks) == [NOW, NOW - 60]
    assert list(signals.history("another", NOW, WINDOW, 1).rollbacks) == []


def test_the_restored_version_is_the_one_that_the_flows_last_rollback_left(
    signals: HealthSignals, redis_client: Any
) -> None:
    assert signals.history("flow", NOW, WINDOW, 1).restored_version is None
    redis_client.hset("kg:flow:flow", "restored", "1.0")
    assert signals.history("flow", NOW, WINDOW, 1).restored_version == "1.0"


def test_a_breaker_has_one_episode_while_it_holds(
    signals: HealthSignals, redis_client: Any
) -> None:
    first = signals.breaker_episode(NOW, WINDOW)
    assert signals.breaker_episode(NOW + 100, WINDOW) == first
    redis_client.delete("kg:breaker")
    assert signals.breaker_episode(NOW + 200, WINDOW) != first


def test_an_outage_is_over_when_nobody_is_blind_and_then_told_once(
    signals: HealthSignals, redis_client: Any
) -> None:
    put_on(redis_client, "a", "b")
    first = signals.outage_began(ALL, ["a"], NOW)
    assert signals.outage_began(ALL, ["b"], NOW + 60) == first
    assert signals.outages_ended({ALL: ["a"]}) == {}
    assert signals.outages_ended({ALL: ["b"]}) == {ALL: first}
    signals.forget_outage(ALL)
    assert signals.outages_ended({ALL: ["a", "b"]}) == {}
    assert signals.outage_began(ALL, ["a"], NOW + 120) != first


def test_a_watch_that_is_off_is_blind_no_longer(signals: HealthSignals, redis_client: Any) -> None:
    put_on(redis_client, "a")
    signals.outage_began(ALL, ["a", "gone"], NOW)
    assert signals.outages_ended({ALL: ["a"]}).keys() == {ALL}


def test_a_flows_outage_is_not_that_of_all(signals: HealthSignals, redis_client: Any) -> None:
    put_on(redis_client, "a", "b")
    signals.outage_began("flow-a", ["a"], NOW)
    assert signals.outages_ended({ALL: ["b"], "flow-b": ["b"]}) == {}
    assert signals.outages_ended({ALL: ["a"], "flow-a": ["a"]}).keys() == {"flow-a"}
