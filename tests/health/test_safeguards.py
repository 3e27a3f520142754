"""What holds an automatic rollback back, so that a flow never swings between two versions."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowngood.health.safeguards import History, Hold, held_back
from knowngood.settings import Settings
from tests.health.making import watch

NOW = 1_800_000_000.0
SETTINGS = Settings(_env_file=None)  # type: ignore[call-arg]


def history(**more: Any) -> History:
    given_ = {
        "restored_version": None,
        "rollbacks": (),
        "tripped_flows": 1,
        "breaching_flows": 1,
        "watched_flows": 1,
        **more,
    }
    return History(**given_)


def hold(live: str | None = "2.0", *, dry_run: bool = False, **more: Any) -> Hold | None:
    found = held_back(watch(dry_run=dry_run), live, history(**more), NOW, SETTINGS)
    return found.hold if found else None


def test_nothing_holds_a_first_rollback_back() -> None:
    assert hold() is None


def test_a_dry_run_never_rolls_back() -> None:
    assert hold(dry_run=True) is Hold.DRY_RUN


def test_another_version_than_the_one_under_watch_is_not_rolled_back() -> None:
    assert hold("3.0") is Hold.MOVED
    assert hold(None) is Hold.MOVED


def test_a_version_that_a_rollback_restored_is_not_rolled_back_again() -> None:
    assert hold(restored_version="2.0") is Hold.RESTORED
    assert hold(restored_version="1.0") is None


def test_the_cooldown_lasts_as_long_as_its_setting() -> None:
    assert hold(rollbacks=[NOW - SETTINGS.cooldown + 1]) is Hold.COOLDOWN
    assert hold(rollbacks=[NOW - SETTINGS.cooldown]) is None


def test_so_many_rollbacks_a_day_are_the_limit() -> None:
    hours = [NOW - 3_600 * (number + 1) for number in range(10)]
    most = SETTINGS.max_auto_rollbacks_per_day
    assert hold(rollbacks=hours[: most - 1]) is None
    assert hold(rollbacks=hours[:most]) is Hold.DAILY_LIMIT


def test_many_flows_that_trip_at_once_hold_all_rollbacks() -> None:
    many = SETTINGS.breaker_flows
    assert hold(tripped_flows=many - 1, watched_flows=10_000) is None
    assert hold(tripped_flows=many, watched_flows=10_000) is Hold.BREAKER


def test_many_flows_that_breach_at_once_hold_the_first_of_them_too() -> None:
    assert hold(breaching_flows=40, watched_flows=200) is Hold.BREAKER
    assert hold(breaching_flows=39, watched_flows=200) is None
    few = SETTINGS.breaker_flows - 1
    assert hold(breaching_flows=few, watched_flows=few) is None


def test_a_hold_says_its_reason_in_words() -> None:
    found = held_back(watch(), "2.0", history(restored_version="2.0"), NOW, SETTINGS)
    assert found is not None
    assert found.why == "version 2.0 was itself restored by a rollback"


@given(
    st.sampled_from(["1.0", "2.0", None]),
    st.lists(st.floats(0, 86_400), max_size=6).map(sorted),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 200),
)
def test_whatever_happened_lately_a_rollback_that_is_let_through_breaks_no_rule(
    restored: str | None, ages: list[float], tripped: int, breaching: int, watched: int
) -> None:
    past = history(
        restored_version=restored,
        rollbacks=[NOW - age for age in ages],
        tripped_flows=tripped,
        breaching_flows=breaching,
        watched_flows=watched,
    )
    if held_back(watch(), "2.0", past, NOW, SETTINGS) is None:
        assert restored != "2.0"
        assert all(age >= SETTINGS.cooldown for age in ages)
        assert len(ages) < SETTINGS.max_auto_rollbacks_per_day
        assert tripped < SETTINGS.breaker_flows


@pytest.mark.parametrize("setting", ["cooldown", "max_auto_rollbacks_per_day"])
def test_a_cooldown_of_0_holds_nothing_and_a_limit_of_0_everything(setting: str) -> None:
    settings = SETTINGS.model_copy(update={setting: 0})
    found = held_back(watch(), "2.0", history(), NOW, settings)
    assert (found is None) == (setting == "cooldown")
