"""A client that lives long outlives its connections."""

from collections.abc import Iterator

import pytest
import redis

from knowngood.client import Client
from knowngood.embedded.broker import EmbeddedBroker
from knowngood.errors import Unreachable
from knowngood.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(aof=True) as broker:
        yield broker


@pytest.fixture
def client(broker: EmbeddedBroker) -> Iterator[Client]:
    with EmbeddedBroker() as journal:
        yield Client(Settings(broker_url=broker.url, redis_url=journal.url, _env_file=None))


def test_a_request_after_the_broker_came_back_is_accepted(
    broker: EmbeddedBroker, client: Client
) -> None:
    first = client.rollback("a-flow", "before")
    broker.restart()
    second = client.rollback("another-flow", "after")
    assert (first.answer, second.answer) == ("created", "created")
    with redis.Redis.from_url(broker.url) as queue:
        assert queue.llen("rollback") == 2


def test_a_request_while_the_broker_is_down_leaves_no_run_behind(
    broker: EmbeddedBroker, client: Client
) -> None:
    client.rollback("a-flow", "before")
    broker.stop()
    with pytest.raises(Unreachable, match=r"broker does not answer"):
        client.rollback("another-flow", "while it is down")
    assert [run.flow_id for run in client.store.recent()] == ["a-flow"]
