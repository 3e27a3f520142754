from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from knowngood.health.watch import window_for
from knowngood.health.windows import Window, latest_window, next_due, since
from tests.health.making import START, watch

TIMES = st.floats(min_value=1.7e9, max_value=1.9e9).map(lambda at: datetime.fromtimestamp(at, UTC))
INTERVALS = st.sampled_from([1.0, 5.0, 60.0, 300.0, 420.0, 900.0, 3_600.0])
DELAYS = st.floats(min_value=0, max_value=1_200)


@given(TIMES, INTERVALS, DELAYS)
def test_a_window_ends_on_a_multiple_of_the_interval_and_is_as_old_as_the_delay(
    now: datetime, interval: float, delay: float
) -> None:
    found = latest_window(now, interval=interval, length=interval, delay=delay)
    assert found.end.timestamp() % interval == 0
    assert found.seconds == interval
    age = (now - found.end).total_seconds()
    assert delay - 1e-3 <= age < delay + interval + 1e-3


@given(TIMES, TIMES, INTERVALS, DELAYS)
def test_flows_that_are_polled_within_one_interval_share_their_window(
    first: datetime, second: datetime, interval: float, delay: float
) -> None:
    number = [(at.timestamp() - delay) // interval for at in (first, second)]
    windows = [
        latest_window(at, interval=interval, length=interval, delay=delay) for at in (first, second)
    ]
    assert (windows[0] == windows[1]) == (number[0] == number[1])


@given(TIMES, INTERVALS, DELAYS)
def test_the_next_poll_is_due_when_the_next_window_can_be_known(
    now: datetime, interval: float, delay: float
) -> None:
    current = latest_window(now, interval=interval, length=interval, delay=delay)
    due = next_due(now, interval=interval, delay=delay)
    assert due > now - timedelta(milliseconds=1)
    known = latest_window(
        due + timedelta(milliseconds=1), interval=interval, length=interval, delay=delay
    )
    assert known.start == current.end


@given(TIMES, INTERVALS)
def test_halves_share_a_window_without_a_gap(now: datetime, interval: float) -> None:
    whole = latest_window(now, interval=interval, length=interval, delay=0)
    first, second = whole.halves()
    assert (first.start, first.end, second.end) == (whole.start, second.start, whole.end)
    assert first.seconds == second.seconds


def test_what_lies_before_the_deployment_is_cut_off() -> None:
    whole = Window(start=START, end=START + timedelta(minutes=5))
    deployed = START + timedelta(minutes=2)
    assert since(whole, deployed) == Window(start=deployed, end=whole.end)
    assert since(whole, START - timedelta(minutes=1)) == whole


def test_no_window_is_measured_before_one_lies_after_the_deployment() -> None:
    on = watch(started=START + timedelta(minutes=2), delay=60.0)
    assert window_for(on, START + timedelta(minutes=5)) is None
    found = window_for(on, START + timedelta(minutes=6))
    assert found == Window(start=on.started, end=START + timedelta(minutes=5))
