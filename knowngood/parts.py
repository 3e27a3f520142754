"""One process's parts, built from the settings when first asked for and shared from then on.

A pool process builds its own after the fork, so that no socket is shared between processes; a
pool's threads share them.
"""

import threading
from collections.abc import Callable
from functools import cache, update_wrapper
from typing import Final, Generic, ParamSpec, TypeVar, cast

from knowngood import settings as settings_module
from knowngood.alerts.outbox import AlertOutbox
from knowngood.genesys.connect import connect as connect_genesys
from knowngood.genesys.port import FlowGateway
from knowngood.health.audit import Audit
from knowngood.health.ending import Endings
from knowngood.health.polling import Polling
from knowngood.health.watches import WatchStore
from knowngood.runs.executor import Parts
from knowngood.runs.heartbeat import Heart
from knowngood.runs.model import RollbackRequest, WatchRequest
from knowngood.runs.store import RunStore
from knowngood.runs.store import connect as connect_redis
from knowngood.settings import Settings
from knowngood.sharing.limiter import SharedLimiter
from knowngood.snapshots.registry import SnapshotRegistry
from knowngood.snapshots.store import open_store

P = ParamSpec("P")
T = TypeVar("T")

_building: Final = threading.RLock()
_forgetting: Final[list[Callable[[], None]]] = []


class _Part(Generic[P, T]):
    """Builds a part once, however many threads ask for it at the same time."""

    def __init__(self, build: Callable[P, T]) -> None:
        kept = cache(build)
        _forgetting.append(kept.cache_clear)
        self._ask = cast("Callable[P, T]", kept)
        update_wrapper(self, build)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        with _building:
            return self._ask(*args, **kwargs)


def settings() -> Settings:
    """Return the settings of this process."""
    return settings_module.load()


@_Part
def run_store() -> RunStore:
    """Return the run journal."""
    chosen = settings()
    return RunStore(
        connect_redis(chosen.redis_url.get_secret_value()),
        lease_ttl=chosen.lease_ttl,
        retention=chosen.run_retention,
    )


@_Part
def registry() -> SnapshotRegistry:
    """Return the snapshot registry in the artifact store."""
    return SnapshotRegistry(open_store(settings().artifacts_url))


@_Part
def watches() -> WatchStore:
    """Return the watches."""
    return WatchStore(run_store().redis, retention=settings().run_retention)


@_Part
def endings() -> Endings:
    """Return what ends watches."""
    return Endings(run_store(), watches(), registry())


@_Part
def audit() -> Audit:
    """Return what looks for watches that went astray."""
    return Audit(run_store(), watches(), endings())


@_Part
def polling(
    start_rollback: Callable[[str, RollbackRequest], None],
    start_watch: Callable[[str, WatchRequest], None],
) -> Polling:
    """Return what polls are done with."""
    return Polling.of(
        settings(),
        gateway(),
        endings(),
        start_rollback=start_rollback,
        start_watch=start_watch,
    )


@_Part
def outbox() -> AlertOutbox:
    """Return the alert outbox."""
    return AlertOutbox(run_store().redis)


@_Part
def limiter() -> SharedLimiter:
    """Return the rate limit that all workers share."""
    chosen = settings()
    client_id, _ = chosen.credentials()
    return SharedLimiter(
        run_store().redis,
        client_id,
        chosen.region.login,
        reserved=chosen.rate_reserved_share,
        cap=chosen.rate_limit,
    )


@_Part
def gateway() -> FlowGateway:
    """Return the connection to Genesys, whose token and rate limit all workers share."""
    from knowngood.sharing.seal import Seal  # noqa: PLC0415 - cryptography is slow to import
    from knowngood.sharing.token import SharedTokenCache  # noqa: PLC0415

    chosen = settings()
    client_id, secret = chosen.credentials()
    seal = Seal(secret, client_id, chosen.region.login)
    tokens = SharedTokenCache(run_store().redis, seal)
    return connect_genesys(chosen, token_cache=tokens, limiter=limiter())


@_Part
def executor() -> Parts:
    """Return what steps are executed with."""
    store = run_store()
    return Parts(settings(), store, Heart(store), gateway, registry)


def forget() -> None:
    """Drop every part, so that a forked process builds its own."""
    for forget_part in _forgetting:
        forget_part()
