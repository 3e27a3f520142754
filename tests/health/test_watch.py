"""How each poll moves a watch on: hysteresis, its end, and when it is blind."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowngood.health.baseline import Baseline
from knowngood.health.hysteresis import breaches_after
from knowngood.health.judgement import Verdict
from knowngood.health.measurement import Measurement
from knowngood.health.policies import POLICIES, policy_named
from knowngood.health.watch import (
    KEPT_POLLS,
    Decision,
    Watch,
    advance,
    doubted,
    hour_before,
    last_word,
)
from tests.health.making import (
    INTERVAL,
    START,
    after,
    baseline,
    incomplete,
    measurement,
    nothing,
    watch,
    window,
)

VERDICTS = st.sampled_from(list(Verdict))


def healthy(number: int) -> Measurement:
    return measurement(window(number), 200, 10, 1)


def broken(number: int) -> Measurement:
    return measurement(window(number), 200, 100, 50)


def few(number: int) -> Measurement:
    return measurement(window(number), 3, 3, 3)


def decisions(on: Watch) -> list[str]:
    return [poll.decision for poll in on.polls]


@given(st.lists(VERDICTS))
def test_only_breaches_count_and_only_ok_clears(verdicts: list[Verdict]) -> None:
    breaches = 0
    for verdict in verdicts:
        before, breaches = breaches, breaches_after(breaches, verdict)
        if verdict is Verdict.BREACH:
            assert breaches == before + 1
        elif verdict is Verdict.OK:
            assert breaches == 0
        else:
            assert breaches == before


def test_one_breach_does_not_trip_and_two_in_a_row_do() -> None:
    assert decisions(after(watch(), [broken(0), broken(1)])) == ["continue", "trip"]
    told = [broken(0), healthy(1), broken(2), healthy(3), broken(4)]
    assert "trip" not in decisions(after(watch(), told))


@pytest.mark.parametrize("between", [few, nothing, incomplete, lambda number: None])
def test_inconclusive_between_two_breaches_neither_counts_nor_clears(between: object) -> None:
    told = between(1) if between in {few} else _between(between)
    assert decisions(after(watch(), [broken(0), told, broken(2)])) == [
        "continue",
        "continue",
        "trip",
    ]


def _between(make: object) -> Measurement | None:
    return make(window(1))  # type: ignore[operator]


def test_a_source_error_between_two_breaches_neither_counts_nor_clears() -> None:
    on, _ = advance(watch(), broken(0), Baseline(), window(0).end)
    on, decision = advance(on, None, Baseline(), window(1).end, source_error="analytics is down")
    assert (on.polls[-1].judgement.verdict, decision) == (Verdict.SOURCE_ERROR, Decision.CONTINUE)
    _, decision = advance(on, broken(2), Baseline(), window(2).end)
    assert decision is Decision.TRIP


def test_however_often_analytics_fails_nothing_trips() -> None:
    on = watch()
    for number in range(30):
        on, decision = advance(on, None, Baseline(), window(number).end, source_error="503")
        assert decision in {Decision.CONTINUE, Decision.INCONCLUSIVE}


def test_a_window_is_judged_once() -> None:
    on = after(watch(), [broken(0)])
    again, decision = advance(on, broken(0), Baseline(), window(0).end)
    assert decision is Decision.CONTINUE
    assert again.breaches == 1
    assert again.windows == 1
    assert again.polls[-1].judgement.why == "the window was judged already"


def test_a_watch_passes_at_its_end_when_half_of_its_windows_were_ok() -> None:
    on = watch(bake_until=START + timedelta(seconds=4 * INTERVAL))
    assert decisions(after(on, [healthy(0), nothing(window(1)), healthy(2), healthy(3)]))[-1] == (
        "pass"
    )
    mostly_blank = [healthy(0), *(nothing(window(number)) for number in (1, 2, 3))]
    assert decisions(after(on, mostly_blank))[-1] == "end_inconclusive"


def test_nothing_measured_is_not_passed() -> None:
    on = watch(bake_until=START + timedelta(seconds=2 * INTERVAL))
    assert decisions(after(on, [nothing(window(0)), nothing(window(1))]))[-1] == "end_inconclusive"


def test_gathered_windows_count_for_the_cover() -> None:
    on = watch(bake_until=START + timedelta(seconds=3 * INTERVAL))
    calm = [measurement(window(number), 20, 1, 0) for number in range(3)]
    on = after(on, calm)
    assert (on.ok_windows, on.windows, on.polls[-1].decision) == (3, 3, "pass")


def test_a_breach_in_the_last_window_is_not_passed_over() -> None:
    on = watch(bake_until=START + timedelta(seconds=2 * INTERVAL))
    assert decisions(after(on, [healthy(0), broken(1), broken(2)])) == [
        "continue",
        "continue",
        "trip",
    ]
    assert decisions(after(on, [healthy(0), broken(1), healthy(2)]))[-1] == "pass"


def test_an_open_question_prolongs_a_watch_by_three_intervals_at_most() -> None:
    on = watch(bake_until=START + timedelta(seconds=2 * INTERVAL))
    told = [healthy(0), broken(1), *(nothing(window(number)) for number in (2, 3, 4))]
    assert decisions(after(on, told)) == [*["continue"] * 4, "end_inconclusive"]


def test_a_standing_watch_never_ends_by_itself() -> None:
    on = watch(bake_until=None)
    on = after(on, [healthy(number) for number in range(60)])
    assert set(decisions(on)) == {"continue"}
    assert len(on.polls) == KEPT_POLLS
    assert last_word(on) > START + timedelta(days=365_000)


def test_a_doubted_breach_neither_counts_nor_clears() -> None:
    on = after(watch(), [broken(0), broken(1)])
    found = doubted(on, "calls were counted late", Decision.CONTINUE)
    assert found.breaches == 1
    assert found.polls[-1].judgement.verdict is Verdict.INCONCLUSIVE
    assert found.polls[-1].judgement.why.endswith("calls were counted late")


def test_a_watch_is_blind_from_the_first_source_error_until_something_is_told() -> None:
    on, _ = advance(watch(), None, Baseline(), window(0).end, source_error="503")
    on, _ = advance(on, None, Baseline(), window(1).end, source_error="503")
    assert on.blind_since == window(0).end
    on, _ = advance(on, healthy(2), Baseline(), window(2).end)
    assert on.blind_since is None


def test_no_data_is_blindness_only_where_calls_are_usual() -> None:
    known = baseline()
    seeing = watch(today={"until": START, "share": 1.0})
    on, _ = advance(seeing, nothing(window(0)), known, window(0).end)
    assert on.blind_since == window(0).end
    on, _ = advance(watch(), nothing(window(0)), Baseline(), window(0).end)
    assert on.blind_since is None


def test_the_hour_before_is_the_deployments_and_for_a_standing_watch_the_last_full_one() -> None:
    deployed = START + timedelta(minutes=17)
    found = hour_before(watch(started=deployed), window(20))
    assert (found.end, found.seconds) == (START + timedelta(minutes=15), 3_600)
    standing = hour_before(watch(bake_until=None), window(14))
    assert (standing.end, standing.seconds) == (START + timedelta(hours=1), 3_600)


def test_a_policy_is_known_by_its_name() -> None:
    assert all(policy_named(name) is policy for name, policy in POLICIES.items())
    assert set(POLICIES) == {"threshold", "relative", "statistical"}
