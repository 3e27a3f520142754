"""Delivery from the outbox: each channel once, whatever the others do."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from knowngood.alerts.deliver import Delivery, deliver
from knowngood.alerts.outbox import AlertOutbox
from knowngood.errors import Team
from knowngood.metrics import exposition
from knowngood.runs.store import RunStore
from knowngood.settings import Settings
from tests.alerts.receivers import Receiver, http_receiver
from tests.alerts.samples import alert
from tests.stack import _NoDotEnv

DELAY = 30.0


class Clock:
    """Seconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.now = float(int(time.time()))

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr("knowngood.alerts.deliver.time", moved)
    return moved


@pytest.fixture
def store(redis_client: Any, clock: Clock) -> RunStore:
    return RunStore(redis_client, clock=clock.time)


@pytest.fixture
def outbox(redis_client: Any) -> AlertOutbox:
    return AlertOutbox(redis_client)


@pytest.fixture
def good() -> Iterator[Receiver]:
    with http_receiver() as server:
        yield server


@pytest.fixture
def bad() -> Iterator[Receiver]:
    with http_receiver() as server:
        server.status = 503
        yield server


def reaching(*receivers: Receiver, **more: Any) -> Settings:
    urls = tuple(SecretStr(f"json://127.0.0.1:{receiver.port}/") for receiver in receivers)
    return _NoDotEnv(alert_urls=urls, alert_retry_delay=DELAY, **more)


def test_each_channel_has_the_alert_once(
    store: RunStore, outbox: AlertOutbox, clock: Clock, good: Receiver
) -> None:
    with http_receiver() as second:
        settings = reaching(good, second)
        store.raise_alert(alert())
        assert deliver("r-1.end", outbox, settings) is Delivery.SENT
        assert deliver("r-1.end", outbox, settings) is Delivery.NOT_DUE
        assert len(good.received) == len(second.received) == 1


def test_an_alert_that_is_raised_twice_is_told_once(
    store: RunStore, outbox: AlertOutbox, clock: Clock, good: Receiver
) -> None:
    for _ in range(2):
        store.raise_alert(alert())
        deliver("r-1.end", outbox, reaching(good))
    assert len(good.received) == 1


def test_a_channel_that_fails_neither_blocks_the_others_nor_sends_them_twice(
    store: RunStore, outbox: AlertOutbox, clock: Clock, good: Receiver, bad: Receiver
) -> None:
    settings = reaching(bad, good)
    store.raise_alert(alert())
    for _ in range(3):
        assert deliver("r-1.end", outbox, settings) is Delivery.POSTPONED
        clock.now += 3_600
    assert len(good.received) == 1
    assert len(bad.received) == 3
    bad.status = 200
    assert deliver("r-1.end", outbox, settings) is Delivery.SENT
    assert len(good.received) == 1


def test_a_failing_channel_is_tried_again_ever_more_seldom_and_at_least_each_hour(
    store: RunStore, outbox: AlertOutbox, clock: Clock, bad: Receiver
) -> None:
    settings = reaching(bad)
    store.raise_alert(alert())
    pauses = []
    for _ in range(10):
        assert deliver("r-1.end", outbox, settings) is Delivery.POSTPONED
        (due,) = [due for _, due in outbox._redis.zrange("kg:alerts:due", 0, -1, withscores=True)]
        pauses.append(due - clock.now)
        clock.now = due
    assert pauses == pytest.approx([30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600])


def test_two_senders_at_once_send_one_alert(
    store: RunStore, outbox: AlertOutbox, clock: Clock, good: Receiver
) -> None:
    store.raise_alert(alert())
    assert outbox.claim("r-1.end", clock.now, 60) is not None
    assert deliver("r-1.end", outbox, reaching(good)) is Delivery.NOT_DUE
    assert good.received == []


def test_an_alert_whose_sender_died_is_sent_by_another(
    store: RunStore, outbox: AlertOutbox, clock: Clock, good: Receiver
) -> None:
    store.raise_alert(alert())
    outbox.claim("r-1.end", clock.now, 60)
    clock.now += 61
    assert deliver("r-1.end", outbox, reaching(good)) is Delivery.SENT
    assert len(good.received) == 1


def test_a_channel_that_is_out_of_the_settings_again_holds_nothing_up(
    store: RunStore, outbox: AlertOutbox, clock: Clock, good: Receiver, bad: Receiver
) -> None:
    store.raise_alert(alert())
    deliver("r-1.end", outbox, reaching(bad, good))
    clock.now += 3_600
    assert deliver("r-1.end", outbox, reaching(good)) is Delivery.SENT
    assert outbox.undelivered() == []
    assert len(good.received) == 1


def test_a_channel_that_took_nothing_for_two_weeks_is_given_up(
    store: RunStore, outbox: AlertOutbox, clock: Clock, bad: Receiver
) -> None:
    store.raise_alert(alert(raised_at=datetime.now(UTC) - timedelta(days=15)))
    assert deliver("r-1.end", outbox, reaching(bad)) is Delivery.GIVEN_UP
    assert outbox.undelivered() == []


def test_a_failing_channel_is_seen_in_the_metrics_and_named_without_its_secret(
    store: RunStore, outbox: AlertOutbox, clock: Clock, bad: Receiver
) -> None:
    key = "s3cr3ts3cr3ts3cr3t"
    url = SecretStr(f"json://user:{key}@127.0.0.1:{bad.port}/")
    store.raise_alert(alert())
    deliver("r-1.end", outbox, _NoDotEnv(alert_urls=(url,), broker_url="redis://127.0.0.1:1/0"))
    (waiting,) = outbox.undelivered()
    assert "did not take the alert" in str(waiting)
    assert "after 1 tries" in str(waiting)
    told = exposition(outbox._redis, _NoDotEnv(broker_url="redis://127.0.0.1:1/0")).decode()
    assert 'knowngood_alert_failures_total{channel="json-' in told
    assert "knowngood_alerts_undelivered 1.0" in told
    assert key not in told + str(waiting)


def test_an_alert_goes_to_its_own_team_alone(
    store: RunStore, outbox: AlertOutbox, clock: Clock, good: Receiver
) -> None:
    with http_receiver() as integration:
        url = SecretStr(f"json://127.0.0.1:{integration.port}/")
        settings = reaching(good, integration_alert_urls=(url,))
        for team in Team:
            store.raise_alert(alert(f"to-{team}", team=team))
            deliver(f"to-{team}", outbox, settings)
        assert [posted.json["alert_id"] for posted in good.received] == ["to-operations"]
        assert [posted.json["alert_id"] for posted in integration.received] == ["to-integration"]


def test_no_secret_of_the_settings_leaves_in_a_message(
    store: RunStore, outbox: AlertOutbox, clock: Clock, good: Receiver
) -> None:
    secret = "hush-hush-hush-hush"
    settings = reaching(good, genesys_client_secret=SecretStr(secret))
    texts = dict.fromkeys(
        ["title", "what_happened", "what_was_tried", "what_to_do", "flow_name"], f"see {secret}"
    )
    store.raise_alert(alert(**texts))
    deliver("r-1.end", outbox, settings)
    (posted,) = good.received
    assert secret not in str(posted.json)
    assert posted.json["what_to_do"] == "see ***"
