from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowngood.errors import NoTarget
from knowngood.genesys.port import Flow, Version, VersionStatus
from knowngood.snapshots.record import SnapshotRecord
from knowngood.snapshots.target import Source, Target, choose_target

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def version(
    number: int, *, hours: float | None = 1, status: str = "PUBLISHED", tags: Sequence[str] = ()
) -> Version:
    created = None if hours is None else NOW - timedelta(hours=hours)
    return Version(
        version_id=f"{number}.0",
        status=VersionStatus(status),
        created_at=created,
        tags=tuple(tags),
    )


def record(active: str, *, hours: float = 1) -> SnapshotRecord:
    return SnapshotRecord.seal(
        flow_id="f",
        flow_name="Main",
        snapshot_version_id="s",
        active_version_id=active,
        routing={},
        dependencies=(),
        configuration_digest=None,
        taken_at=NOW - timedelta(hours=hours),
        requested_by=None,
        description="a test",
        run_id=f"r-{active}-{hours}",
    )


def choose(versions: Sequence[Version], **more: Any) -> Target:
    given_ = {
        "requested": None,
        "broken_version_id": versions[0].version_id,
        "snapshots": [],
        "known_good": [],
        "known_bad": frozenset(),
        "gone": frozenset(),
        "now": NOW,
        "safe_window": 86_400.0,
        "stable_tags": ("v_stable", "v_hotfix"),
        **more,
    }
    flow = Flow(flow_id="f", name="Main", active=versions[0], versions=tuple(versions))
    return choose_target(flow=flow, **given_)


def test_the_newest_published_one_but_the_broken_is_chosen() -> None:
    found = choose([version(3), version(2, hours=2), version(1, hours=3)])
    assert (found.version_id, found.source) == ("2.0", Source.HISTORY)


def test_time_decides_and_not_the_order_of_the_answer() -> None:
    assert choose([version(3), version(1, hours=5), version(2, hours=2)]).version_id == "2.0"


@pytest.mark.parametrize("status", ["DRAFT", "ACTIVATED", "OTHER"])
def test_a_status_that_is_not_exactly_published_is_passed_over(status: str) -> None:
    found = choose([version(3), version(2, hours=2, status=status), version(1, hours=3)])
    assert found.version_id == "1.0"


def test_a_version_without_a_time_is_not_within_the_window() -> None:
    with pytest.raises(NoTarget, match="does not say when it was created"):
        choose([version(2), version(1, hours=None)])


def test_the_edge_of_the_safe_window_is_inside() -> None:
    assert choose([version(2), version(1, hours=24)]).version_id == "1.0"
    with pytest.raises(NoTarget, match="older than the safe window"):
        choose([version(2), version(1, hours=24.001)])


def test_a_tag_outranks_time() -> None:
    found = choose([version(3), version(2, hours=2), version(1, hours=9, tags=["v_hotfix"])])
    assert (found.version_id, found.source) == ("1.0", Source.TAG)


def test_a_baseline_outranks_tags_and_the_window() -> None:
    versions = [version(3), version(2, hours=2, tags=["v_stable"]), version(1, hours=900)]
    found = choose(versions, snapshots=[record("1.0")])
    assert (found.version_id, found.source) == ("1.0", Source.BASELINE)


def test_a_snapshot_of_the_broken_version_gives_way_to_the_one_before() -> None:
    versions = [version(3), version(2, hours=2), version(1, hours=3)]
    found = choose(versions, snapshots=[record("3.0"), record("1.0", hours=5)])
    assert found.version_id == "1.0"


def test_after_a_404_the_registry_comes_before_the_history() -> None:
    versions = [version(4), version(3, hours=2)]
    found = choose(versions, gone={"2.0"}, snapshots=[record("2.0")], known_good=["1.0"])
    assert (found.version_id, found.source) == ("1.0", Source.REGISTRY)


def test_a_request_for_a_version_that_was_left_as_bad_is_refused_with_the_reason() -> None:
    versions = [version(3), version(2, hours=2)]
    with pytest.raises(NoTarget, match="left it as bad"):
        choose(versions, requested="2.0", known_bad=frozenset({"2.0"}))


def test_no_target_accounts_for_every_version() -> None:
    versions = [version(3), version(2, status="DRAFT"), version(1, hours=48)]
    with pytest.raises(NoTarget) as caught:
        choose(versions)
    assert "2.0: its status is DRAFT" in str(caught.value)
    assert "1.0: it is older" in str(caught.value)


@given(
    history=st.lists(
        st.tuples(
            st.floats(0, 60),
            st.sampled_from(["DRAFT", "PUBLISHED", "OTHER"]),
            st.sampled_from([(), ("v_stable",)]),
        ),
        min_size=1,
        max_size=6,
    ),
    bad=st.sets(st.integers(0, 6)),
    gone=st.sets(st.integers(0, 6)),
    recorded=st.lists(st.integers(0, 6), max_size=3),
)
def test_what_must_never_be_chosen_never_is(
    history: list[tuple[float, str, tuple[str, ...]]],
    bad: set[int],
    gone: set[int],
    recorded: list[int],
) -> None:
    versions = [
        version(number, hours=hours, status=status, tags=tags)
        for number, (hours, status, tags) in enumerate(history)
    ]
    known_bad = frozenset(f"{number}.0" for number in bad)
    deleted = frozenset(f"{number}.0" for number in gone)
    try:
        found = choose(
            versions,
            known_bad=known_bad,
            gone=deleted,
            snapshots=[record(f"{number}.0") for number in recorded],
        )
    except NoTarget:
        return
    assert found.version_id not in {"0.0", *known_bad, *deleted}
    drafts = {v.version_id for v in versions if v.status is VersionStatus.DRAFT}
    assert found.version_id not in drafts
