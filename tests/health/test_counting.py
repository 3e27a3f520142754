"""One flow's trouble blinds no other, and what was told before a refusal is kept."""

from datetime import timedelta

from knowngood.errors import ApiUnavailable, BadAnswer, RateLimited
from knowngood.health.counting import count_each
from knowngood.health.windows import Window
from tests.health.org import NOON, Clock, Org

WINDOW = Window(start=NOON - timedelta(minutes=5), end=NOON)
FLOWS = [f"flow-{number}" for number in range(8)]


def test_as_many_flows_are_asked_for_at_once_as_the_gateway_takes() -> None:
    org = Org(Clock(), flows_per_count=3)
    assert set(count_each(org, FLOWS, WINDOW).rows) == set(FLOWS)  # type: ignore[arg-type]
    assert [len(query) for query in org.queries] == [3, 3, 2]


def test_a_query_that_one_flow_spoils_is_halved_until_that_flow_is_alone() -> None:
    org = Org(Clock(), flows_per_count=8)
    org.refusals["flow-5"] = BadAnswer("no such flow", action="")
    found = count_each(org, FLOWS, WINDOW)  # type: ignore[arg-type]
    assert set(found.troubles) == {"flow-5"}
    assert set(found.rows) == set(FLOWS) - {"flow-5"}


def test_a_rate_limit_keeps_what_was_told_and_asks_no_more() -> None:
    org = Org(Clock())
    org.refuse_after = (3, RateLimited("enough", retry_after=7))
    found = count_each(org, FLOWS, WINDOW)  # type: ignore[arg-type]
    assert list(found.rows) == FLOWS[:3]
    assert list(found.troubles) == FLOWS[3:]
    assert len(org.queries) == 4


def test_an_outage_is_not_asked_about_for_each_flow() -> None:
    for size in (1, 4, 8):
        org = Org(Clock(), flows_per_count=size)
        org.refuse_after = (0, ApiUnavailable("503"))
        found = count_each(org, FLOWS, WINDOW)  # type: ignore[arg-type]
        assert set(found.troubles) == set(FLOWS)
        assert len(org.queries) == 3


def test_single_flows_that_are_unavailable_do_not_blind_the_rest() -> None:
    org = Org(Clock())
    org.refusals = {name: ApiUnavailable("503") for name in ("flow-1", "flow-2", "flow-6")}
    found = count_each(org, FLOWS, WINDOW)  # type: ignore[arg-type]
    assert set(found.troubles) == set(org.refusals)
