import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowngood.health.baseline import Baseline
from knowngood.health.judgement import Poll, Verdict
from knowngood.health.kpis import KpiValue
from knowngood.health.policies.statistical import THRESHOLD, Statistical, increment
from knowngood.health.policies.threshold import Threshold
from tests.health.making import LIMITS, baseline, measurement, nothing, poll, window

STATISTICAL = Statistical()
SHARES = st.tuples(st.integers(1, 2_000), st.data())


def polls(*told: tuple[int, int, int], known: Baseline | None = None) -> list[Poll]:
    """Judge windows one after the other and return the polls as a watch would keep them."""
    former: list[Poll] = []
    for number, calls in enumerate(told):
        measured = measurement(window(number), *calls)
        found = STATISTICAL.judge(measured, former, known or baseline(), LIMITS)
        former.append(poll(measured, found.verdict).model_copy(update={"judgement": found}))
    return former


def score(found: Poll) -> float:
    return found.judgement.scores["abandon_rate"]


@given(st.integers(1, 2_000), st.data(), st.floats(0.001, 0.4), st.floats(1, 10))
def test_the_increment_is_the_log_likelihood_ratio_of_harm_over_phi(
    calls: int, data: st.DataObject, usual: float, phi: float
) -> None:
    bad = data.draw(st.integers(0, calls))
    harm = max(2 * usual, usual + 0.02)

    def log_likelihood(share: float) -> float:
        return bad * math.log(share) + (calls - bad) * math.log1p(-share)

    found = increment(KpiValue(numerator=bad, denominator=calls), usual, phi)
    expected = (log_likelihood(harm) - log_likelihood(usual)) / phi
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(st.floats(0, 1), st.floats(1, 100), st.integers(0, 100))
def test_the_increment_is_finite_whatever_is_usual(usual: float, phi: float, bad: int) -> None:
    usual = max(usual, 1e-9)
    found = increment(KpiValue(numerator=bad, denominator=100), usual, phi)
    assert math.isfinite(found)


def test_at_its_usual_share_a_flow_loses_evidence_and_at_the_harm_it_gains() -> None:
    assert increment(KpiValue(numerator=10, denominator=200), 0.05, 1) < 0
    assert increment(KpiValue(numerator=20, denominator=200), 0.05, 1) > 0


def test_small_harm_adds_up_over_polls_until_it_breaches() -> None:
    found = polls(*[(200, 18, 1)] * 12)
    verdicts = [each.judgement.verdict for each in found]
    assert verdicts[0] is Verdict.OK
    assert verdicts[-1] is Verdict.BREACH
    assert verdicts == sorted(verdicts, key=[Verdict.OK, Verdict.BREACH].index)
    first = verdicts.index(Verdict.BREACH)
    assert found[first].judgement.windows == first + 1


def test_the_fixed_limits_would_never_find_it() -> None:
    found = [
        Threshold().judge(each.measurement, (), baseline(), LIMITS)
        for each in polls(*[(200, 18, 1)] * 12)
        if each.measurement
    ]
    assert {each.verdict for each in found} == {Verdict.OK}


def test_the_sum_is_forgotten_as_soon_as_a_flow_heals() -> None:
    found = polls((2_000, 1_500, 10), (200, 8, 1), (200, 8, 1), (200, 8, 1))
    assert [each.judgement.verdict for each in found] == [Verdict.BREACH, *[Verdict.OK] * 3]
    assert score(found[0]) == THRESHOLD
    assert score(found[1]) < THRESHOLD


def test_a_window_that_speaks_for_health_is_no_breach_however_high_the_sum() -> None:
    found = polls((200, 100, 1), (200, 13, 1))
    assert score(found[1]) > THRESHOLD / 2
    assert found[1].judgement.verdict is Verdict.OK


def test_a_poll_without_data_carries_the_sum_on() -> None:
    former = polls((200, 18, 1), (200, 18, 1))
    blank = STATISTICAL.judge(nothing(window(2)), former, baseline(), LIMITS)
    assert blank.verdict is Verdict.INCONCLUSIVE
    assert blank.scores == former[-1].judgement.scores
    source_error = poll(None, Verdict.SOURCE_ERROR)
    after = STATISTICAL.judge(
        measurement(window(4), 200, 18, 1), [*former, source_error], baseline(), LIMITS
    )
    assert after.scores["abandon_rate"] > score(former[-1])


def test_the_sum_needs_no_minimum_volume_but_few_calls_are_not_called_healthy() -> None:
    known = baseline(calls=20, abandoned=1, errors=0)
    found = polls(*[(20, 8, 0)] * 3, known=known)
    assert found[0].judgement.verdict is Verdict.INCONCLUSIVE
    assert found[-1].judgement.verdict is Verdict.BREACH
    calm = polls(*[(20, 1, 0)] * 3, known=known)
    assert [each.judgement.verdict for each in calm] == [
        Verdict.INCONCLUSIVE,
        Verdict.INCONCLUSIVE,
        Verdict.OK,
    ]


def test_overdispersion_weakens_the_evidence() -> None:
    value = KpiValue(numerator=30, denominator=200)
    assert increment(value, 0.05, 4) == pytest.approx(increment(value, 0.05, 1) / 4)


@given(st.lists(st.integers(0, 200), min_size=1, max_size=12))
def test_the_sum_stays_between_0_and_the_threshold(abandoned: list[int]) -> None:
    for each in polls(*[(200, bad, 1) for bad in abandoned]):
        assert 0 <= score(each) <= THRESHOLD


@given(st.integers(0, 300), st.integers(0, 300))
def test_without_a_history_it_is_the_threshold_policy(calls: int, abandoned: int) -> None:
    told = measurement(window(0), calls, min(abandoned, calls), 0)
    mine = STATISTICAL.judge(told, (), Baseline(), LIMITS)
    assert mine == Threshold().judge(told, (), Baseline(), LIMITS)


def test_a_reason_says_the_share_what_is_usual_and_the_evidence() -> None:
    (found,) = polls((200, 60, 1))
    assert found.judgement.why.startswith("abandon_rate: 30.0 % where 5.0 % is usual: evidence ")
    assert found.judgement.why.endswith("against a threshold of 11")
