from beat_schedule import beat_schedule
from knowngood.settings import Settings


def test_no_entry_can_pile_up_behind_a_worker_that_is_away() -> None:
    for entry in beat_schedule(Settings()).values():
        assert entry["options"]["expires"] <= entry["schedule"]


def test_the_reconciler_looks_often_enough_to_take_a_dead_run_up_within_ten_seconds() -> None:
    settings = Settings()
    interval = beat_schedule(settings)["runs.reconcile"]["schedule"]
    assert settings.lease_ttl + interval + 1 < 10
