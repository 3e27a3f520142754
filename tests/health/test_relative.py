import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowngood.health.baseline import Baseline
from knowngood.health.judgement import Judgement, Verdict
from knowngood.health.policies.relative import SIGMAS, Relative
from knowngood.health.policies.threshold import Threshold
from tests.health.making import LIMITS, baseline, measurement, window

RELATIVE = Relative()


def judge(calls: int, abandoned: int, errors: int = 1, known: Baseline | None = None) -> Judgement:
    told = measurement(window(0), calls, abandoned, errors)
    return RELATIVE.judge(told, (), known or baseline(), LIMITS)


def test_a_share_breaches_above_what_chance_explains() -> None:
    # 23 of 200: 0.115 > 0.050 + 4 sqrt(0.053 * 0.947 * (1/200 + 1/4800)) = 0.1146.
    assert judge(200, 22).verdict is Verdict.OK
    assert judge(200, 23).breached == ("abandon_rate",)


def test_of_many_calls_a_share_must_be_worse_by_enough_to_matter() -> None:
    many = baseline(calls=20_000, abandoned=1_000, errors=100)
    assert judge(20_000, 1_690, 100, many).verdict is Verdict.OK
    assert judge(20_000, 1_710, 100, many).breached == ("abandon_rate",)


def test_a_flow_whose_usual_share_lies_beyond_the_fixed_limit_is_healthy_at_it() -> None:
    known = baseline(abandoned=60)
    assert judge(200, 60, 1, known).verdict is Verdict.OK
    assert Threshold().judge(measurement(window(0), 200, 60, 1), (), known, LIMITS).breached


def test_a_history_without_one_error_foretells_none_for_ever() -> None:
    known = baseline(calls=60, abandoned=3, errors=0)
    assert judge(60, 3, 1, known).verdict is Verdict.OK
    assert judge(60, 3, 12, known).breached == ("error_rate",)


def test_a_short_history_widens_the_bound() -> None:
    told = measurement(window(0), 200, 24, 1)
    long, short = baseline(days=7), baseline(days=3, calls=20, abandoned=1, errors=0)
    assert RELATIVE.judge(told, (), long, LIMITS).breached == ("abandon_rate",)
    assert RELATIVE.judge(told, (), short, LIMITS).verdict is Verdict.OK


def test_a_mean_of_few_waits_needs_more_than_a_mean_of_many() -> None:
    # The usual speed of answer is 20 s.
    known = baseline_with_asa(20.0).on(None)

    def slow(calls: int) -> Judgement:
        told = measurement(window(0), calls, 0, 0, average_speed_of_answer=31.0)
        return RELATIVE.judge(told, (), known, LIMITS)

    assert slow(400).breached == ("asa",)
    assert slow(50).verdict is Verdict.OK


def baseline_with_asa(seconds: float) -> Baseline:
    known = baseline()
    cells = {
        name: cell.model_copy(
            update={
                "values": {
                    **cell.values,
                    "asa": cell.values["abandon_rate"].model_copy(
                        update={"numerator": seconds * 4_800, "denominator": 4_800}
                    ),
                }
            }
        )
        for name, cell in known.cells.items()
    }
    return known.model_copy(update={"cells": cells})


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_without_a_history_it_is_the_threshold_policy(
    calls: int, abandoned: int, errors: int
) -> None:
    told = measurement(window(0), calls, min(abandoned, calls), min(errors, calls))
    mine = RELATIVE.judge(told, (), Baseline(), LIMITS)
    assert mine == Threshold().judge(told, (), Baseline(), LIMITS)


@given(st.integers(50, 1_000), st.data())
def test_a_worse_share_is_never_judged_better(calls: int, data: st.DataObject) -> None:
    fewer = data.draw(st.integers(0, calls))
    more = data.draw(st.integers(fewer, calls))
    breached = [bool(judge(calls, abandoned, 0).breached) for abandoned in (fewer, more)]
    assert breached[0] <= breached[1]


@pytest.mark.parametrize("sigmas", [3.0, SIGMAS, 6.0])
def test_more_sigmas_need_more_evidence(sigmas: float) -> None:
    told = measurement(window(0), 200, 26, 1)
    found = Relative(sigmas).judge(told, (), baseline(), LIMITS)
    assert bool(found.breached) == (sigmas < 6)
