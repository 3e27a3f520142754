"""What `doctor` looks at. A new check is one function and its line in `CHECKS`."""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, cast

import httpx
from redis.exceptions import RedisError, ResponseError

from knowngood import parts
from knowngood.alerts.channels import channels_for
from knowngood.alerts.channels.log_channel import LogChannel
from knowngood.alerts.channels.port import AlertNotSent
from knowngood.errors import KnowngoodError, NeedsPerson, Team, TryAgain
from knowngood.genesys.oauth import ProcessTokenCache, TokenSource

_SOON: Final = 60.0
"""Seconds after which an alert that is not delivered yet is worth a word."""


class Level(StrEnum):
    """How serious a finding is; only `fail` makes `doctor` fail."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """What one check found; `to_do` says what would mend it."""

    check: str
    level: Level
    found: str
    to_do: str = ""


class Check(NamedTuple):
    """One check; it is left out when one of those it needs has failed."""

    look: Callable[[], Iterator[Finding]]
    needs: Sequence[str] = ()


def examine() -> Iterator[Finding]:
    """Yield every check's findings; one that cannot be done is a failure with its reason."""
    failed: set[str] = set()
    for name, check in CHECKS.items():
        if not failed.isdisjoint(check.needs):
            continue
        for finding in _looked(name, check):
            if finding.level is Level.FAIL:
                failed.add(name)
            yield finding


def _looked(name: str, check: Check) -> Iterator[Finding]:
    try:
        yield from check.look()
    except NeedsPerson as error:
        yield Finding(name, Level.FAIL, str(error), error.action)
    except KnowngoodError as error:
        yield Finding(name, Level.FAIL, str(error))


def _settings() -> Iterator[Finding]:
    parts.settings()
    yield Finding("settings", Level.OK, "every value is valid")


def _credentials() -> Iterator[Finding]:
    settings = parts.settings()
    client_id, secret = settings.credentials()
    timeout = httpx.Timeout(settings.genesys_read_timeout, connect=settings.genesys_connect_timeout)
    with httpx.Client(timeout=timeout) as http:
        login = settings.region.login
        # A token of its own: what the workers share may be good for long after a client is gone.
        tokens = TokenSource(http, login, client_id, secret, ProcessTokenCache())
        try:
            tokens.token()
        except TryAgain as error:
            yield Finding(
                "credentials",
                Level.FAIL,
                str(error),
                "see that this machine reaches it, and that KNOWNGOOD_GENESYS_REGION or "
                "KNOWNGOOD_GENESYS_LOGIN_URL is the org's",
            )
            return
    yield Finding("credentials", Level.OK, f"{login} gave OAuth client {client_id} a token")


def _rate_limit() -> Iterator[Finding]:
    settings, standing = parts.settings(), parts.limiter().standing()
    allowed, cap = standing.allowed, settings.rate_limit
    if standing.paused:
        yield Finding(
            "rate limit",
            Level.WARN,
            f"all calls pause for {standing.paused:.0f} s, as Genesys asked for by a 429",
            "see who else uses the OAuth client, and give knowngood one of its own",
        )
    elif allowed is None:
        yield Finding("rate limit", Level.OK, "Genesys has not told it yet: 300 calls a minute")
    elif cap is not None and cap > allowed:
        yield Finding(
            "rate limit",
            Level.WARN,
            f"KNOWNGOOD_RATE_LIMIT={cap}, and Genesys allows {allowed} calls a minute",
            "leave the setting out: Genesys' own limit is kept to anyway",
        )
    else:
        limit = min(cap or allowed, allowed)
        kept = limit * settings.rate_reserved_share
        used = f"{standing.used} of {limit} calls in the last minute"
        yield Finding("rate limit", Level.OK, f"{used}; {kept:.0f} are kept for rollbacks")


def _store() -> Iterator[Finding]:
    url = parts.settings().artifacts_url
    parts.registry().store.check()
    if url.startswith("memory:"):
        yield Finding(
            "artifact store",
            Level.FAIL,
            "memory:/// forgets everything with its process",
            "set KNOWNGOOD_ARTIFACTS_URL to a directory or a bucket",
        )
    else:
        yield Finding("artifact store", Level.OK, f"{url} can be written")


def _broker() -> Iterator[Finding]:
    from kombu.exceptions import OperationalError  # noqa: PLC0415 - only this check needs it

    from workers.app import app  # noqa: PLC0415

    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=3)
            shown = connection.as_uri()
    except (OperationalError, OSError) as error:
        yield Finding(
            "broker",
            Level.FAIL,
            f"does not answer: {type(error).__name__}",
            "start it, or correct KNOWNGOOD_BROKER_URL",
        )
        return
    yield Finding("broker", Level.OK, f"{shown} answers")


def _journal() -> Iterator[Finding]:
    store = parts.run_store()
    store.time()
    client = store.redis
    yield Finding("journal", Level.OK, "KNOWNGOOD_REDIS_URL answers")
    try:
        info = client.info("persistence")
        asked = cast("dict[str, str]", client.config_get("save", "maxmemory-policy"))
    except ResponseError:
        # Managed Redis often forbids CONFIG.
        yield Finding(
            "journal",
            Level.WARN,
            "this Redis does not tell how it is configured",
            "see with its provider that it persists (AOF) and never evicts (noeviction)",
        )
        return
    except RedisError as error:
        yield Finding("journal", Level.FAIL, f"does not answer: {type(error).__name__}")
        return
    if not int(info.get("aof_enabled", 0)) and not asked.get("save"):
        yield Finding(
            "persistence",
            Level.WARN,
            "Redis keeps nothing over a restart: runs and watches would be lost",
            "turn its AOF on: appendonly yes",
        )
    else:
        kept = "AOF" if int(info.get("aof_enabled", 0)) else "RDB snapshots only"
        yield Finding("persistence", Level.OK, f"Redis persists: {kept}")
    policy = asked.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        yield Finding(
            "eviction",
            Level.WARN,
            f"maxmemory-policy is {policy}: Redis may drop runs and messages",
            "set maxmemory-policy noeviction",
        )


def _workers() -> Iterator[Finding]:
    from knowngood.cli.fleet import beat_lock, listeners  # noqa: PLC0415 - they import Celery
    from workers.app import app  # noqa: PLC0415
    from workers.queues import NAMES  # noqa: PLC0415

    found = listeners(app)
    for queue in NAMES:
        nodes: Sequence[str] = found.get(queue, ())
        if nodes:
            yield Finding(f"queue {queue}", Level.OK, f"served by {', '.join(nodes)}")
        else:
            yield Finding(
                f"queue {queue}",
                Level.FAIL,
                "no worker listens",
                f"knowngood up, or: celery -A workers.app worker -Q {queue}",
            )
    if parts.run_store().redis.exists(beat_lock(app)):
        yield Finding("beat", Level.OK, "alive")
    else:
        yield Finding(
            "beat",
            Level.FAIL,
            "no beat is alive: no health checks, and no recovery of lost runs",
            "knowngood up, or: celery -A workers.app beat",
        )


def _channels() -> Iterator[Finding]:
    settings = parts.settings()
    if not settings.alert_urls:
        yield Finding(
            "alert channels",
            Level.WARN,
            "alerts reach nobody but the worker's log",
            "set KNOWNGOOD_ALERT_URLS, then: knowngood alert-test",
        )
    for team in Team:
        for channel in channels_for(settings, team):
            if isinstance(channel, LogChannel):
                continue
            try:
                channel.check()
            except AlertNotSent as error:
                yield Finding(
                    "alert channels",
                    Level.FAIL,
                    f"for {team}: {error}",
                    "correct KNOWNGOOD_ALERT_URLS or KNOWNGOOD_INTEGRATION_ALERT_URLS",
                )
            else:
                yield Finding("alert channels", Level.OK, f"{channel.channel_id} for {team}")


def _alerts() -> Iterator[Finding]:
    now = parts.run_store().time()
    late = [
        each
        for each in parts.outbox().undelivered()
        if each.tries or now - each.alert.raised_at.timestamp() > _SOON
    ]
    if late:
        yield Finding(
            "alerts",
            Level.WARN,
            f"{len(late)} not delivered, the oldest: {late[0].alert.title}"
            + (f" ({late[0].failure})" if late[0].failure else ""),
            "see that the alerts queue is served, and: knowngood alert-test",
        )
    else:
        yield Finding("alerts", Level.OK, "none waits")


CHECKS: Final[dict[str, Check]] = {
    "settings": Check(_settings),
    "broker": Check(_broker, needs=["settings"]),
    "journal": Check(_journal, needs=["settings"]),
    "artifact store": Check(_store, needs=["settings"]),
    "credentials": Check(_credentials, needs=["settings"]),
    "rate limit": Check(_rate_limit, needs=["settings", "journal", "credentials"]),
    "workers": Check(_workers, needs=["settings", "broker", "journal"]),
    "alert channels": Check(_channels, needs=["settings"]),
    "alerts": Check(_alerts, needs=["settings", "journal"]),
}
