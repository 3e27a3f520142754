import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowngood.genesys.port import FlowCounts
from knowngood.health.kpis import KPIS, Kpi, KpiValue, Missing, Unit
from knowngood.health.measurement import measured
from knowngood.settings import Settings
from tests.health.making import START, counts, window

BY_NAME = {kpi.name: kpi for kpi in KPIS}
NUMBERS = st.none() | st.integers(min_value=0, max_value=5_000)
SECONDS = st.none() | st.floats(min_value=0, max_value=600)


def value(name: str, told: FlowCounts) -> float | None:
    found = BY_NAME[name].measure(told)
    return None if found is None else found.value


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, SECONDS, SECONDS)
def test_whatever_a_source_tells_a_kpi_is_a_number_in_its_range_or_absent(
    total: int | None,
    answered: int | None,
    abandoned: int | None,
    errors: int | None,
    asa: float | None,
    duration: float | None,
) -> None:
    told = counts(
        total,
        abandoned,
        errors,
        answered_calls=answered,
        average_speed_of_answer=asa,
        average_duration=duration,
    )
    for kpi in KPIS:
        found = kpi.measure(told)
        if found is not None:
            assert found.denominator > 0
            assert found.value >= 0
            assert kpi.show(found.value)
    assert measured(told, flow_id="flow", window=window(0), source="guide").volume is not None or (
        total is None and (answered is None or abandoned is None)
    )


def test_abandon_rate_is_of_answered_and_abandoned_where_the_source_tells_both() -> None:
    assert value("abandon_rate", counts(100, 10, answered_calls=40)) == 0.2
    assert value("abandon_rate", counts(100, 10)) == 0.1
    assert value("abandon_rate", counts(None, 10)) is None
    assert value("abandon_rate", counts(100, None)) is None


def test_error_rate_is_of_all_calls() -> None:
    assert value("error_rate", counts(200, 0, 10)) == 0.05
    assert value("error_rate", counts(None, 0, 10)) is None


def test_of_no_calls_there_is_no_rate() -> None:
    assert value("abandon_rate", counts(0, 0, 0)) is None
    assert value("error_rate", counts(0, 0, 0)) is None
    assert value("volume_collapse", counts(0, 0, 0)) == 0


def test_an_average_weighs_what_was_answered() -> None:
    asa = BY_NAME["asa"]
    quick = asa.measure(counts(100, 0, average_speed_of_answer=10.0))
    slow = asa.measure(counts(300, 0, average_speed_of_answer=30.0))
    assert quick is not None
    assert slow is not None
    assert asa.pool([quick, slow]).value == 25.0
    assert asa.measure(counts(100, 100, average_speed_of_answer=0.0)) is None


def test_error_counts_of_several_windows_are_their_mean_and_calls_are_their_sum() -> None:
    told = [KpiValue(numerator=n, denominator=1) for n in (4, 8)]
    assert BY_NAME["error_count"].pool(told).value == 6
    assert BY_NAME["volume_collapse"].pool(told).value == 12


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 500)), min_size=1, max_size=12))
def test_a_share_of_several_windows_is_that_of_their_calls_together(
    windows: list[tuple[int, int]],
) -> None:
    kpi = BY_NAME["error_rate"]
    found = kpi.pool([KpiValue(numerator=bad, denominator=bad + good) for bad, good in windows])
    assert found.numerator == sum(bad for bad, _ in windows)
    assert found.denominator == sum(bad + good for bad, good in windows)


def test_what_the_source_never_tells_does_not_hold_up_a_verdict() -> None:
    needed = {kpi.name for kpi in KPIS if kpi.missing is Missing.INCONCLUSIVE}
    assert needed == {"abandon_rate", "error_rate", "error_count", "volume_collapse"}


def test_what_a_policy_counts_calls_of_is_a_share() -> None:
    others = {kpi.name for kpi in KPIS if kpi.unit is not Unit.SHARE}
    assert others == {"asa", "average_duration", "error_count", "volume_collapse"}


@pytest.mark.parametrize("kpi", KPIS, ids=lambda kpi: kpi.name)
def test_a_kpi_is_judged_by_default_when_a_setting_limits_it(kpi: Kpi) -> None:
    judged = {"abandon_rate", "error_rate", "asa", "volume_collapse"}
    assert (kpi.default_limit(Settings(_env_file=None)) is not None) == (kpi.name in judged)


@given(
    st.floats(min_value=0.01, max_value=1),
    st.floats(min_value=0, max_value=1e5),
    st.floats(min_value=1, max_value=50),
)
def test_a_collapse_lies_below_its_share_and_below_what_chance_explains(
    share: float, expected: float, phi: float
) -> None:
    bound = BY_NAME["volume_collapse"].bound(share, expected, phi)
    chance = expected - 3 * (phi * expected) ** 0.5
    if bound is None:
        assert min(share * expected, chance) < 1
    else:
        assert 1 <= bound <= share * expected
        assert bound <= chance


def test_without_a_history_no_volume_is_a_collapse() -> None:
    assert BY_NAME["volume_collapse"].bound(0.6, None, 1.0) is None


def test_no_data_is_not_zero_calls() -> None:
    assert measured(None, flow_id="flow", window=window(0), source="guide").volume is None
    told = measured(counts(0), flow_id="flow", window=window(0), source="guide")
    assert told.volume == 0
    assert window(0).start == START
