"""A trip stands only if it stands without any one interval."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowngood.health.baseline import Baseline
from knowngood.health.confirming import confirmed, windows_to_confirm
from knowngood.health.judgement import Verdict
from knowngood.health.measurement import Measurement
from knowngood.health.policies import POLICIES
from knowngood.health.watch import Decision, Watch, advance, last_word, window_for
from knowngood.health.windows import Window
from tests.health.making import INTERVAL, LIMITS, START, baseline, measurement, nothing, watch
from tests.health.watched import watched

GOOD, BAD = (0.05, 0.005), (0.6, 0.5)


def callers(
    *, bad_from: float, bad_until: float, per_second: float = 1.0
) -> Callable[[Window], Measurement]:
    """Callers who fare badly between two times, in seconds after the start, without any noise."""

    def measure(over: Window) -> Measurement:
        start = (over.start - START).total_seconds()
        end = (over.end - START).total_seconds()
        bad = max(0.0, min(end, bad_until) - max(start, bad_from))
        good = end - start - bad
        abandoned, errors = (
            round(per_second * (bad * worse + good * usual))
            for usual, worse in zip(GOOD, BAD, strict=True)
        )
        return measurement(over, round(per_second * (end - start)), abandoned, errors)

    return measure


def usual(calls: float) -> Baseline:
    """Return the history of such callers, for windows of so many calls."""
    return baseline(
        calls=round(calls), abandoned=round(GOOD[0] * calls), errors=round(GOOD[1] * calls)
    )


EACH_POLICY = pytest.mark.parametrize("policy", POLICIES)


@EACH_POLICY
@pytest.mark.parametrize("length", [INTERVAL, 3 * INTERVAL])
@given(begins=st.floats(0, 2_400), lasts=st.floats(1, INTERVAL))
def test_a_blip_of_an_interval_never_trips_wherever_it_lies(
    policy: str, length: float, begins: float, lasts: float
) -> None:
    blip = callers(bad_from=begins, bad_until=begins + lasts)
    on = watch(policy=policy, window=length)
    _, decision = watched(on, blip, usual(length))
    assert decision is Decision.PASS


@EACH_POLICY
@given(begins=st.floats(0, 1_800))
def test_a_failure_that_lasts_trips_within_four_windows(policy: str, begins: float) -> None:
    broken = callers(bad_from=begins, bad_until=1e9)
    on, decision = watched(watch(policy=policy), broken, usual(300))
    assert decision is Decision.TRIP
    found = on.polls[-1].measurement
    assert found is not None
    assert (found.window.end - START).total_seconds() - begins <= 4 * INTERVAL


@EACH_POLICY
def test_a_new_flow_whose_earlier_days_had_no_calls_trips_by_its_fixed_limits(policy: str) -> None:
    broken = callers(bad_from=0, bad_until=1e9)
    _, decision = watched(watch(policy=policy), broken, usual(0))
    assert decision is Decision.TRIP


@EACH_POLICY
@pytest.mark.parametrize("per_second", [0.02, 0.1])
@given(begins=st.floats(0, 2_400))
def test_few_callers_do_not_make_a_blip_last(policy: str, per_second: float, begins: float) -> None:
    blip = callers(bad_from=begins, bad_until=begins + INTERVAL, per_second=per_second)
    _, decision = watched(watch(policy=policy), blip, usual(300 * per_second))
    assert decision is not Decision.TRIP


@given(st.lists(st.booleans(), min_size=10, max_size=12))
def test_whatever_breaks_for_less_than_an_interval_at_a_time_and_heals_does_not_trip(
    broken: list[bool],
) -> None:
    """Windows that are bad by turns: never two bad ones in a row."""
    bad = [here and not before for before, here in zip([False, *broken], broken, strict=False)]

    def measure(over: Window) -> Measurement:
        number = int((over.start - START).total_seconds() // INTERVAL)
        worse = bad[number % len(bad)] and number < len(bad)
        calls = round(over.seconds)
        share, errors = BAD if worse else GOOD
        return measurement(over, calls, round(calls * share), round(calls * errors))

    _, decision = watched(watch(), measure, Baseline())
    assert decision is not Decision.TRIP


def tripped(measure: Callable[[Window], Measurement], **more: object) -> Watch:
    on = watch(**more)
    decision, now = Decision.CONTINUE, on.due
    while decision is Decision.CONTINUE:
        over = window_for(on, now)
        on, decision = advance(on, measure(over) if over else None, Baseline(), now)
        now = on.due
    assert decision is Decision.TRIP
    return on


BROKEN = callers(bad_from=0, bad_until=1e9)


def test_the_evidence_is_read_again_in_halves() -> None:
    windows = windows_to_confirm(tripped(BROKEN))
    assert len(windows) == 4
    assert {each.seconds for each in windows} == {INTERVAL / 2}
    assert windows[0].start == START
    assert windows[-1].end == START + timedelta(seconds=2 * INTERVAL)


def test_evidence_that_was_gathered_over_many_windows_is_read_again_as_it_was() -> None:
    rare = callers(bad_from=0, bad_until=1e9, per_second=0.05)
    windows = windows_to_confirm(tripped(rare))
    assert len(windows) > 4
    assert {each.seconds for each in windows} == {INTERVAL}


def test_when_one_breach_suffices_nothing_is_read_again() -> None:
    one = LIMITS.model_copy(update={"consecutive_breaches": 1})
    on = tripped(BROKEN, limits=one)
    assert windows_to_confirm(on) == ()
    assert confirmed(on, (), Baseline(), on.due)[1] is Decision.TRIP


def test_what_cannot_be_read_again_does_not_trip() -> None:
    on = tripped(BROKEN)
    parts = windows_to_confirm(on)
    for again in ([], [nothing(part) for part in parts]):
        assert confirmed(on, again, Baseline(), on.due)[1] is Decision.CONTINUE


def test_kpis_that_take_turns_do_not_make_a_blip_last() -> None:
    """Abandonment in one half and errors in another are no failure that lasts."""
    on = tripped(BROKEN)
    first, *rest = windows_to_confirm(on)
    again = [measurement(first, 150, 90, 0), *(measurement(part, 150, 5, 75) for part in rest[:-1])]
    again.append(measurement(rest[-1], 150, 90, 0))
    assert confirmed(on, again, Baseline(), on.due)[1] is Decision.TRIP
    again[-1] = measurement(rest[-1], 150, 5, 75)
    found, decision = confirmed(on, again, Baseline(), on.due)
    assert decision is Decision.CONTINUE
    assert "one more breach in a row is awaited" in found.polls[-1].judgement.why


def test_an_unconfirmed_trip_ends_without_a_verdict_at_the_last_word() -> None:
    on = tripped(BROKEN)
    again = [measurement(part, 150, 5, 0) for part in windows_to_confirm(on)]
    assert confirmed(on, again, Baseline(), last_word(on))[1] is Decision.INCONCLUSIVE


def test_calls_that_are_counted_late_make_a_breach_inconclusive() -> None:
    """Analytics that lags tells but a part of the newest window: it looks like a collapse."""
    known = baseline(calls=300)
    lag = timedelta(seconds=180)
    on = watch(today={"until": START, "share": 1.0})

    def told(over: Window, now: object) -> Measurement:
        seconds = min((over.end - over.start), now - lag - over.start).total_seconds()
        return measurement(over, max(0, round(seconds)), 0, 0)

    decision, now = Decision.CONTINUE, on.due
    while decision is Decision.CONTINUE:
        over = window_for(on, now)
        on, decision = advance(on, told(over, now) if over else None, known, now)
        if decision is Decision.TRIP:
            again = [told(part, now) for part in windows_to_confirm(on)]
            on, decision = confirmed(on, again, known, now)
            assert on.polls[-1].judgement.verdict is Verdict.INCONCLUSIVE
            assert "analytics counts calls late (120 of the window from" in (
                on.polls[-1].judgement.why
            )
        now = on.due
    assert decision is Decision.INCONCLUSIVE


def test_a_count_of_errors_in_half_a_window_is_held_against_half_its_limit() -> None:
    limits = LIMITS.model_copy(update={"kpis": {"error_count": 40.0}})
    on = tripped(BROKEN, limits=limits)
    again = [measurement(part, 150, 0, 30) for part in windows_to_confirm(on)]
    assert confirmed(on, again, Baseline(), on.due)[1] is Decision.TRIP
    again = [measurement(part, 150, 0, 19) for part in windows_to_confirm(on)]
    assert confirmed(on, again, Baseline(), on.due)[1] is Decision.CONTINUE


def starts(windows: Sequence[Window]) -> list[float]:
    return [(each.start - START).total_seconds() for each in windows]


def test_the_inconclusive_windows_of_a_gathered_breach_are_part_of_its_evidence() -> None:
    volumes = iter([30, 30, 30, 30])

    def measure(over: Window) -> Measurement:
        calls = next(volumes)
        return measurement(over, calls, calls, calls)

    on = tripped(measure)
    assert [poll.judgement.verdict.value for poll in on.polls[1:]] == [
        "inconclusive",
        "breach",
        "inconclusive",
        "breach",
    ]
    assert sorted(set(starts(windows_to_confirm(on)))) == [150.0 * n for n in range(8)]
