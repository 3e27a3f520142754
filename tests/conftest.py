"""What tests share. Each works on flows of its own, so that one stack serves many tests."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from knowngood.embedded.broker import EmbeddedBroker
from knowngood.runs.store import RunStore, connect
from tests.clock import Clock
from tests.stack import Stack

# How long an example takes says something of the machine, nothing of the code.
settings.register_profile("knowngood", deadline=None)
settings.load_profile("knowngood")


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker]:
    """A real server for tests of what lives in Redis."""
    with EmbeddedBroker() as server:
        yield server


@pytest.fixture
def redis_client(broker: EmbeddedBroker) -> Iterator[Any]:
    """An empty database."""
    client = connect(broker.url)
    client.flushdb()
    yield client
    client.close()


@pytest.fixture
def clock() -> Clock:
    """The journal's time, which only the test moves."""
    return Clock()


@pytest.fixture
def store(redis_client: Any, clock: Clock) -> RunStore:
    """A journal in the empty database."""
    return RunStore(redis_client, lease_ttl=6, clock=clock)


@pytest.fixture(scope="session")
def guide_stack() -> Iterator[Stack]:
    """A whole installation, with one worker and beat, shared by tests that break none of it."""
    with Stack() as installation:
        yield installation.running()


@pytest.fixture(scope="session")
def platform_stack() -> Iterator[Stack]:
    """The same, in the Platform API's dialect."""
    with Stack(api="platform") as installation:
        yield installation.running()


@pytest.fixture(scope="session")
def stack(guide_stack: Stack) -> Stack:
    """The shared installation; where every rule must hold in both dialects, one after the other."""
    return guide_stack


@pytest.fixture
def flow(stack: Stack) -> str:
    """A flow whose good version 1.0 was followed by a broken 2.0, and no snapshot."""
    return make_flow(stack)


def make_flow(stack: Stack, **more: Any) -> str:
    """Create a flow of one's own: 1.0 published two hours ago, 2.0 just now and broken."""
    versions = more.pop("versions", None) or [
        {"age_seconds": 7_200},
        {"age_seconds": 60, "quality": {"error_rate": 0.5}},
    ]
    return str(stack.sim.create_flow(versions=versions, **more)["id"])


MakeFlow = Callable[..., str]
