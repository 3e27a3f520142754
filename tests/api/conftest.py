"""The API over real HTTP on a real Redis, in this process and without workers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import httpx
import pytest
import uvicorn
from pydantic_settings import SettingsConfigDict

from knowngood.api.app import create_app, guarded
from knowngood.client import Client
from knowngood.embedded.broker import EmbeddedBroker
from knowngood.runs.store import RunStore
from knowngood.settings import Settings
from tests.api.served import ROLLBACK, SETTINGS
from tests.stack import wait_for

Open = Callable[..., httpx.Client]


class NoDotEnv(Settings):
    model_config = SettingsConfigDict(env_prefix="KNOWNGOOD_", env_file=None, frozen=True)


@contextmanager
def answering(client: Client) -> Iterator[str]:
    """Serve the API from a thread and give its URL."""
    front = guarded(create_app(client), client)
    server = uvicorn.Server(uvicorn.Config(front, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started, what="the API")
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="session")
def urls(broker: EmbeddedBroker) -> Iterator[Callable[..., str]]:
    """Serve the API once for each settings that tests ask for."""
    with ExitStack() as stack:

        @cache
        def url_of(**more: Any) -> str:
            given = {name.lower(): text for name, text in SETTINGS.items()}
            given |= {"broker_url": broker.url, "redis_url": broker.url} | more
            return stack.enter_context(answering(Client(NoDotEnv(**given))))

        yield url_of


@pytest.fixture
def open_api(urls: Callable[..., str], redis_client: Any) -> Iterator[Open]:
    """Open the API on an empty Redis, with settings of one's own, as who has a token."""
    with ExitStack() as stack:

        def open_with(token: str | None = ROLLBACK, **more: Any) -> httpx.Client:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return stack.enter_context(httpx.Client(base_url=urls(**more), headers=headers))

        yield open_with


@pytest.fixture
def api(open_api: Open) -> httpx.Client:
    """The API as one who may do all."""
    return open_api()


@pytest.fixture
def store(redis_client: Any) -> RunStore:
    """The journal beside the API."""
    return RunStore(redis_client)
