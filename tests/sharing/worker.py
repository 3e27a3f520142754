"""One worker's connection to an org; as a program, a worker process that tests can kill.

`python -m tests.sharing.worker ORG REDIS FLOW` reads the flow each time a line comes on stdin, and
prints the flow's id or what went wrong.
"""

import sys
from collections.abc import Callable
from typing import Any

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from knowngood.errors import KnowngoodError
from knowngood.genesys.connect import connect
from knowngood.genesys.port import FlowGateway
from knowngood.runs.store import connect as connect_redis
from knowngood.settings import Settings
from knowngood.sharing.limiter import SharedLimiter
from knowngood.sharing.seal import Seal
from knowngood.sharing.token import SharedTokenCache


class NoDotEnv(Settings):
    model_config = SettingsConfigDict(env_prefix="KNOWNGOOD_", env_file=None, frozen=True)


def worker(
    url: str,
    redis: Any,
    *,
    client_id: str = "simulator",
    secret: str = "simulator",
    clock: Callable[[], float] | None = None,
    turn: float = 5,
) -> FlowGateway:
    """Connect as one worker of many does."""
    settings = NoDotEnv(
        genesys_base_url=url,
        genesys_client_id=client_id,
        genesys_client_secret=secret,
        genesys_connect_timeout=1,
        genesys_read_timeout=5,
    )
    seal = Seal(SecretStr(secret), client_id, settings.region.login)
    cache = SharedTokenCache(redis, seal, turn=turn, clock=clock)
    limiter = SharedLimiter(redis, client_id, settings.region.login, reserved=0.2)
    return connect(settings, token_cache=cache, limiter=limiter, clock=clock)


def main(url: str, redis_url: str, flow: str) -> None:
    gateway = worker(url, connect_redis(redis_url), turn=0.5)
    print("ready", flush=True)
    for _ in sys.stdin:
        try:
            print(gateway.read_flow(flow).flow_id, flush=True)
        except KnowngoodError as error:
            print(type(error).__name__, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
