"""Connects to the org that the settings name, in the dialect that they name."""

import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final, cast

import httpx

from knowngood.genesys.oauth import ProcessTokenCache, TokenCache, TokenSource
from knowngood.genesys.port import FlowGateway
from knowngood.genesys.transport import Limiter, NoLimit, Transport
from knowngood.settings import Settings

_ADAPTERS: Final[Mapping[str, str]] = {
    "guide": "knowngood.genesys.guide:GuideGateway",
    "platform": "knowngood.genesys.platform.gateway:PlatformGateway",
}


def connect(
    settings: Settings,
    *,
    token_cache: TokenCache | None = None,
    limiter: Limiter | None = None,
    clock: Callable[[], float] | None = None,
) -> FlowGateway:
    """Open a pool of connections; nothing is sent before the first call.

    `clock` is what tokens expire by: this process's, unless another is given.

    Raises:
        Refused: the region or the credentials are missing.
    """
    client_id, secret = settings.credentials()
    region = settings.region
    http = httpx.Client(
        timeout=httpx.Timeout(
            settings.genesys_read_timeout, connect=settings.genesys_connect_timeout
        ),
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=32),
        headers={"Accept": "application/json", "User-Agent": "knowngood"},
    )
    cache = token_cache or ProcessTokenCache()
    tokens = TokenSource(http, region.login, client_id, secret, cache, clock=clock or time.time)
    transport = Transport(http, region.api, tokens, limiter or NoLimit())
    module, name = _ADAPTERS[settings.genesys_api].split(":")
    adapter = getattr(import_module(module), name)
    make = cast("Callable[[Transport, Settings], FlowGateway]", adapter.of)
    return make(transport, settings)
