"""The guide's policy, and what every policy shares: gathering, and what missing data means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowngood.health.baseline import Baseline
from knowngood.health.judgement import Judgement, KpiVerdict, Poll, Verdict
from knowngood.health.policies import POLICIES, Policy
from knowngood.health.policies.base import GATHERED, gathered
from tests.health.making import (
    LIMITS,
    baseline,
    counts,
    incomplete,
    measured,
    measurement,
    nothing,
    poll,
    window,
)

THRESHOLD = POLICIES["threshold"]
EACH_POLICY = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
EACH_HISTORY = pytest.mark.parametrize("known", [Baseline(), baseline()], ids=["none", "a week"])


def judge(calls: int, abandoned: int = 0, errors: int = 0, *former: Poll) -> Judgement:
    told = measurement(window(len(former)), calls, abandoned, errors)
    return THRESHOLD.judge(told, former, Baseline(), LIMITS)


@given(st.integers(50, 2_000), st.data())
def test_a_window_breaches_exactly_when_a_kpi_lies_beyond_its_limit(
    calls: int, data: st.DataObject
) -> None:
    abandoned = data.draw(st.integers(0, calls))
    errors = data.draw(st.integers(0, calls))
    beyond = abandoned / calls > 0.2 or errors / calls > 0.05
    assert (judge(calls, abandoned, errors).verdict is Verdict.BREACH) == beyond


def test_at_the_limit_is_within_it() -> None:
    assert judge(100, 20, 5).verdict is Verdict.OK


def test_a_breach_names_each_kpi_its_value_and_its_limit() -> None:
    found = judge(100, 21, 6)
    assert found.breached == ("abandon_rate", "error_rate")
    assert found.why == (
        "abandon_rate: 21.0 % is above 20.0 % (limit); error_rate: 6.0 % is above 5.0 % (limit)"
    )


@given(st.integers(0, 49))
def test_below_the_minimum_volume_errors_are_noise(calls: int) -> None:
    assert judge(calls, calls, calls).verdict is Verdict.INCONCLUSIVE


@given(st.lists(st.integers(0, 49), min_size=1, max_size=20))
def test_low_volume_is_gathered_from_the_inconclusive_polls_right_before(
    volumes: list[int],
) -> None:
    *before, last = volumes
    former = [
        poll(measurement(window(number), calls, 0, 0), Verdict.INCONCLUSIVE)
        for number, calls in enumerate(before)
    ]
    found = gathered(measurement(window(len(before)), last, 0, 0), former, 50)
    assert len(found.parts) <= GATHERED
    assert found.volume == sum(part.volume or 0 for part in found.parts)
    older = found.volume - last
    assert older - (found.parts[-1].volume or 0) < 50
    assert older >= 50 or len(found.parts) in {GATHERED, len(volumes)}


def test_gathered_evidence_breaches_where_each_window_alone_would_tell_nothing() -> None:
    former = [poll(measurement(window(n), 20, 10, 0), Verdict.INCONCLUSIVE) for n in range(2)]
    found = judge(20, 10, 0, *former)
    assert (found.verdict, found.windows) == (Verdict.BREACH, 3)
    assert found.breached == ("abandon_rate",)


@pytest.mark.parametrize("spent", [Verdict.OK, Verdict.BREACH])
def test_what_a_verdict_was_made_of_is_not_gathered_again(spent: Verdict) -> None:
    former = [
        poll(measurement(window(0), 40, 40, 0), Verdict.INCONCLUSIVE),
        poll(measurement(window(1), 40, 40, 0), spent),
    ]
    assert judge(40, 0, 0, *former).verdict is Verdict.INCONCLUSIVE


def test_no_call_is_gathered_twice_where_windows_overlap() -> None:
    long = [window(number, length=900) for number in range(4)]
    former = [poll(measurement(over, 20, 0, 0), Verdict.INCONCLUSIVE) for over in long[:3]]
    found = gathered(measurement(long[3], 20, 0, 0), former, 500)
    assert [part.window for part in found.parts] == [long[3], long[0]]


def test_windows_without_data_are_not_gathered() -> None:
    former = [
        poll(nothing(window(0)), Verdict.INCONCLUSIVE),
        poll(incomplete(window(1)), Verdict.INCONCLUSIVE),
        poll(None, Verdict.SOURCE_ERROR),
    ]
    found = gathered(measurement(window(3), 20, 0, 0), former, 50)
    assert len(found.parts) == 1


@EACH_POLICY
@EACH_HISTORY
def test_no_data_and_missing_buckets_are_inconclusive_whatever_they_hold(
    policy: Policy, known: Baseline
) -> None:
    for told in (nothing(window(0)), incomplete(window(0))):
        assert policy.judge(told, (), known, LIMITS).verdict is Verdict.INCONCLUSIVE


@EACH_POLICY
@EACH_HISTORY
def test_a_source_that_does_not_tell_a_limited_share_cannot_call_a_flow_healthy(
    policy: Policy, known: Baseline
) -> None:
    told = measured(counts(200, None, 1), flow_id="flow", window=window(0), source="guide")
    found = policy.judge(told, (), known, LIMITS)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "abandon_rate: the source does not tell it" in found.why


@EACH_POLICY
@EACH_HISTORY
def test_a_kpi_that_some_sources_never_tell_is_not_judged_where_it_is_missing(
    policy: Policy, known: Baseline
) -> None:
    found = policy.judge(measurement(window(0), 200, 10, 1), (), known, LIMITS)
    assert found.verdict is Verdict.OK
    (asa,) = [finding for finding in found.findings if finding.kpi == "asa"]
    assert asa.verdict is KpiVerdict.NOT_JUDGED


@EACH_POLICY
@EACH_HISTORY
def test_a_gross_failure_is_a_breach(policy: Policy, known: Baseline) -> None:
    for told in (
        measurement(window(0), 200, 120, 1),
        measurement(window(0), 200, 10, 80),
        measurement(window(0), 200, 10, 1, average_speed_of_answer=300.0),
    ):
        assert policy.judge(told, (), known, LIMITS).verdict is Verdict.BREACH


@EACH_POLICY
def test_a_collapse_of_volume_is_a_breach_below_the_minimum_volume_too(policy: Policy) -> None:
    found = policy.judge(measurement(window(0), 30, 1, 0), (), baseline(), LIMITS)
    assert found.breached == ("volume_collapse",)


@EACH_POLICY
def test_a_collapse_at_low_volume_is_found_over_several_windows(policy: Policy) -> None:
    known = baseline(calls=20, abandoned=1, errors=0)
    former: list[Poll] = []
    for number in range(6):
        told = measurement(window(number), 8, 0, 0)
        found = policy.judge(told, former, known, LIMITS)
        former.append(poll(told, found.verdict, scores=found.scores))
    verdicts = [each.judgement.verdict for each in former]
    assert verdicts[0] is Verdict.INCONCLUSIVE
    assert Verdict.BREACH in verdicts


@EACH_POLICY
def test_the_usual_calls_of_a_quiet_day_are_no_collapse(policy: Policy) -> None:
    told = measurement(window(0), 70, 3, 0)
    assert policy.judge(told, (), baseline(today=0.35), LIMITS).verdict is Verdict.OK
    assert policy.judge(told, (), baseline(today=1.0), LIMITS).verdict is Verdict.BREACH
