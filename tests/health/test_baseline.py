from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowngood.genesys.port import FlowCounts
from knowngood.health.baseline import FRESH, KEPT_CELLS, LEAST_DAYS, Baseline, Hour
from knowngood.health.history import read_history, read_today, windows_before
from knowngood.health.measurement import Measurement
from knowngood.health.windows import Window
from tests.health.making import INTERVAL, START, baseline, counts, measurement, nothing, window

SATURDAY = START + timedelta(days=4)


def history(days: int = 7, at: datetime = START) -> list[Window]:
    return list(windows_before(at, days=days, interval=INTERVAL, length=INTERVAL))


class Source:
    """Analytics that tells each window's calls by a rule."""

    dialect = "guide"

    def __init__(self, calls: dict[str, int] | None = None) -> None:
        self.asked: list[Window] = []
        self.calls = calls or {}

    def count(self, flow_ids: list[str], start: datetime, end: datetime) -> dict[str, FlowCounts]:
        self.asked.append(Window(start=start, end=end))
        day = str(start.date())
        return {flow: counts(self.calls.get(day, 600)) for flow in flow_ids if flow != "unknown"}


@pytest.mark.parametrize("at", [START, SATURDAY])
def test_history_is_the_same_hour_of_days_of_the_same_kind(at: datetime) -> None:
    windows = history(at=at)
    assert len({each.start.date() for each in windows}) == 7
    assert all(
        Hour.of(each.end - timedelta(minutes=1)).weekend == Hour.of(at).weekend for each in windows
    )
    assert all(each.end < at for each in windows)
    for each in windows:
        assert -5 <= (each.start - each.start.replace(hour=10, minute=0)).total_seconds() / 60 <= 60


@given(st.sampled_from([60.0, 300.0, 420.0, 900.0, 1_800.0, 3_600.0]), st.integers(1, 9))
def test_history_windows_line_up_with_the_interval_and_none_is_read_twice(
    interval: float, days: int
) -> None:
    windows = windows_before(START, days=days, interval=interval, length=interval)
    assert len(set(windows)) == len(windows)
    assert all(each.end.timestamp() % interval == 0 for each in windows)
    assert len({(each.end - timedelta(minutes=1)).date() for each in windows}) == days


def test_a_history_of_few_days_foretells_nothing() -> None:
    few = Baseline().with_hour(
        START, [measurement(each) for each in history(LEAST_DAYS - 1)], START
    )
    assert not few.is_usable
    assert few.usual("abandon_rate", window(0)) is None
    assert few.on(1.0).expected_calls(window(0)) is None


def test_windows_without_data_are_no_history() -> None:
    known = Baseline().with_hour(START, [nothing(each) for each in history()], START)
    assert not known.is_usable


def test_what_is_usual_is_pooled_over_the_calls_of_the_hour() -> None:
    usual = baseline().usual("abandon_rate", window(0))
    assert usual is not None
    assert usual.value == 0.05


def test_an_hour_that_was_not_read_borrows_from_those_that_were() -> None:
    night = Window(start=START + timedelta(hours=9), end=START + timedelta(hours=9, minutes=5))
    usual = baseline().usual("abandon_rate", night)
    assert usual is not None
    assert usual.value == 0.05
    assert baseline().expected_calls(night) is None


def test_the_day_that_went_worst_is_left_out() -> None:
    bad_day = history()[0].start.date()
    told = [
        measurement(each, 200, 120 if each.start.date() == bad_day else 10, 1) for each in history()
    ]
    known = Baseline().with_hour(START, told, START)
    usual = known.usual("abandon_rate", window(0))
    assert usual is not None
    assert usual.value == 0.05
    assert known.overdispersion("abandon_rate") == 1


def test_with_few_days_none_is_left_out() -> None:
    told = [measurement(each) for each in history(LEAST_DAYS)]
    known = Baseline().with_hour(START, told, START)
    usual = known.usual("abandon_rate", window(0))
    assert usual is not None
    assert usual.denominator == 200 * len(told)


@given(st.lists(st.integers(0, 200), min_size=28, max_size=28))
def test_overdispersion_is_pearsons_and_at_least_1(bad: list[int]) -> None:
    told = [measurement(each, 200, n, 0) for each, n in zip(history(), bad, strict=True)]
    known = Baseline().with_hour(START, told, START)
    assert known.overdispersion("abandon_rate") >= 1
    assert known.overdispersion("unheard-of") == 1


def test_shares_that_jump_from_window_to_window_are_overdispersed() -> None:
    told = [
        measurement(each, 200, 4 if number % 2 else 16, 0) for number, each in enumerate(history())
    ]
    known = Baseline().with_hour(START, told, START)
    # (6)^2 / (200 * 0.05 * 0.95) in each of 24 windows, 23 degrees of freedom.
    assert known.overdispersion("abandon_rate") == pytest.approx(36 / 9.5 * 24 / 23)


def test_volume_that_jumps_from_window_to_window_is_overdispersed() -> None:
    def told(each: Window, number: int) -> Measurement:
        return measurement(each, 100 if (number + each.start.day) % 2 else 200)

    uneven = [told(each, number) for number, each in enumerate(history())]
    known = Baseline().with_hour(START, uneven, START)
    assert known.overdispersion("volume_collapse") > 10
    assert baseline().overdispersion("volume_collapse") == 1


def test_busy_days_and_a_rush_hour_are_no_overdispersion() -> None:
    days = sorted({each.start.date() for each in history()})

    def told(each: Window) -> Measurement:
        return measurement(
            each, 100 * (1 + each.end.minute // 20) * (1 + days.index(each.end.date()))
        )

    known = Baseline().with_hour(START, [told(each) for each in history()], START)
    assert known.overdispersion("volume_collapse") == pytest.approx(1)


def test_one_day_with_a_burst_does_not_hide_a_collapse() -> None:
    burst = history()[1]
    told = [measurement(each, 900 if each == burst else 200) for each in history()]
    known = Baseline().with_hour(START, told, START)
    assert known.overdispersion("volume_collapse") == 1


def test_expected_calls_follow_the_hour_and_take_the_lower_neighbour() -> None:
    def told(each: Window) -> Measurement:
        return measurement(each, 100 if each.end.minute in {0, 20} else 300)

    known = Baseline().with_hour(START, [told(each) for each in history()], START).on(1.0)
    # The windows that end at 10:00 and 11:00, and those at 10:20 and 10:40.
    assert known.expected_calls(window(0)) == 100
    assert known.expected_calls(window(5)) == 100
    assert known.expected_calls(window(7)) == 300
    assert known.expected_calls(window(9)) == 100


def test_expected_calls_need_to_know_how_busy_today_is() -> None:
    assert baseline().on(None).expected_calls(window(0)) is None
    assert baseline().on(0.5).expected_calls(window(0)) == 100


def test_a_cell_is_read_anew_the_next_day_and_few_are_kept() -> None:
    known = baseline()
    assert not known.lacks(START, START + FRESH)
    assert known.lacks(START, START + FRESH + timedelta(seconds=1))
    for hours in range(5):
        at = START + timedelta(hours=hours)
        known = known.with_hour(at, [measurement(each) for each in history(at=at)], at)
    assert len(known.cells) == KEPT_CELLS
    assert known.lacks(START, START)


def test_a_baseline_survives_redis() -> None:
    known = baseline()
    assert Baseline.model_validate_json(known.model_dump_json()) == known


def test_a_flow_that_the_source_does_not_name_has_no_data() -> None:
    told = read_history(Source(), ["flow", "unknown"], [window(0)])
    assert [each.volume for each in told["flow"]] == [600]
    assert [each.volume for each in told["unknown"]] == [None]


def test_how_busy_today_is_is_told_by_the_same_hour_of_earlier_days() -> None:
    hour = Window(start=START, end=START + timedelta(hours=1))
    source = Source({str(START.date()): 300})
    assert read_today(source, ["flow"], hour, days=7) == {"flow": 0.5}
    assert [each.start.hour for each in source.asked] == [10] * 8
    assert len({each.start.date() for each in source.asked}) == 8


def test_a_burst_before_the_deployment_is_no_busy_day() -> None:
    hour = Window(start=START, end=START + timedelta(hours=1))
    assert read_today(Source({str(START.date()): 1_800}), ["flow"], hour, days=7) == {"flow": 1.0}


def test_too_few_days_or_calls_do_not_tell_how_busy_today_is() -> None:
    hour = Window(start=START, end=START + timedelta(hours=1))
    assert read_today(Source(), ["flow"], hour, days=2) == {"flow": None}
    quiet = {str(START.date() - timedelta(days=n)): 10 for n in range(12)}
    assert read_today(Source(quiet), ["flow"], hour, days=7) == {"flow": None}
    assert read_today(Source(), ["unknown"], hour, days=7) == {"unknown": None}
