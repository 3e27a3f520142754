"""Settings, read from the environment (prefix `KNOWNGOOD_`) and from `.env`.

Every duration is in seconds. A wrong value is refused at start, by name. Secrets are `SecretStr`
and stay out of logs, task arguments and the journal.
"""

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    Field,
    HttpUrl,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from knowngood.errors import Refused
from knowngood.genesys.callers import ActionInputs, CallersByFlow
from knowngood.genesys.regions import Region, region_named
from knowngood.sentinel import Sentinels

Rate = Annotated[float, Field(ge=0, le=1)]
Words = Annotated[tuple[str, ...], NoDecode]
SecretWords = Annotated[tuple[SecretStr, ...], NoDecode]

ROLES = ("read", "deploy", "rollback")
"""What an API token may do; each role may also do what those before it may."""
SHORTEST_SECRET = 16
"""Characters of an API token or of the hooks' secret; a shorter one can be guessed."""


def _role_tokens(entries: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for number, entry in enumerate(entries, start=1):
        role, _, token = entry.get_secret_value().partition(":")
        if role not in ROLES or len(token) < SHORTEST_SECRET or not token.isascii():
            raise ValueError(
                f"token {number} must be role:token, with a role of {', '.join(ROLES)} and a token "
                f"of {SHORTEST_SECRET} characters or more, such as `openssl rand -hex 24` prints"
            )
    return entries


def _long_enough(secret: SecretStr | None) -> SecretStr | None:
    if secret is not None and len(secret.get_secret_value()) < SHORTEST_SECRET:
        raise ValueError(f"must be {SHORTEST_SECRET} characters or more")
    return secret


def _known_region(name: str | None) -> str | None:
    if name is not None:
        region_named(name)
    return name


def _readable(url: SecretStr) -> SecretStr:
    Sentinels.named_by(url.get_secret_value())
    return url


ServerUrl = Annotated[SecretStr, AfterValidator(_readable)]

_KEY = re.compile(r"(?=[^/]*\d)[A-Za-z0-9_%+~-]{8,}")


def _secrets_in(url: str) -> set[str]:
    """Return a URL's passwords, as they stand and decoded."""
    parts = urlsplit(url)
    asked = (word.partition("=") for word in parts.query.split("&"))
    found = {parts.password, *(value for name, _, value in asked if "password" in name)}
    return {form for password in found if password for form in (password, unquote(password))}


def _keys_in(alert_url: str) -> set[str]:
    """Return what looks like a key in an alert channel's URL: it may stand anywhere in it."""
    words = re.split(r"[/:@?&=#,]", alert_url.partition("://")[2])
    return {text for word in words if _KEY.fullmatch(word) for text in (word, unquote(word))}


def _secrets_dir() -> str | None:
    """Return where secrets are files, such as `knowngood_redis_url`: systemd's or containers'."""
    found = os.environ.get("CREDENTIALS_DIRECTORY") or "/run/secrets"
    return found if Path(found).is_dir() else None


def _local_artifacts() -> str:
    return (Path.cwd() / ".knowngood" / "artifacts").as_uri()


class Settings(BaseSettings):
    """All settings of all processes; the defaults run on one machine."""

    model_config = SettingsConfigDict(
        env_prefix="KNOWNGOOD_",
        # The first is where `knowngood up --embedded` says how to reach its broker.
        env_file=(".knowngood/up.env", ".env"),
        secrets_dir=_secrets_dir(),
        extra="ignore",
        frozen=True,
    )

    broker_url: ServerUrl = SecretStr("redis://127.0.0.1:6379/0")
    redis_url: ServerUrl = SecretStr("redis://127.0.0.1:6379/0")
    artifacts_url: str = Field(
        default_factory=_local_artifacts,
        description="file:///…, s3://bucket/prefix, az://…, gs://… or memory:///",
    )
    worker_pool: Literal["threads", "prefork"] = "threads"
    worker_concurrency: PositiveInt = Field(
        default=16, description="steps that one worker executes at once"
    )

    genesys_api: Literal["guide", "platform"] = "guide"
    genesys_region: Annotated[str | None, AfterValidator(_known_region)] = None
    genesys_base_url: HttpUrl | None = None
    genesys_login_url: HttpUrl | None = None
    genesys_client_id: str | None = None
    genesys_client_secret: SecretStr | None = None
    genesys_connect_timeout: PositiveFloat = 3.0
    genesys_read_timeout: PositiveFloat = 10.0
    genesys_callers: CallersByFlow = Field(
        default_factory=dict, description="platform: whose callers count for a flow, as JSON"
    )
    genesys_test_actions: ActionInputs = Field(
        default_factory=dict, description="platform: data actions safe to execute, with their input"
    )
    rate_limit: PositiveInt | None = Field(
        default=None, description="calls a minute, where fewer are wanted than Genesys allows"
    )
    rate_reserved_share: Rate = Field(
        default=0.2, description="of the rate limit, the share that only rollbacks may use"
    )
    rate_limit_timeout: PositiveFloat = Field(
        default=3_600, description="a step that waits so long for the limit is handed to a person"
    )

    safe_window: PositiveFloat = 86_400
    stable_tags: Words = ("v_stable", "v_hotfix")
    smoke_test_url: str | None = Field(
        default=None,
        description="POSTed before activation to route one test call; {flow_id}, {version_id}",
    )
    dependency_timeout: PositiveFloat = 3.0

    lock_retry_delay: NonNegativeFloat = 60
    lock_attempts: PositiveInt = 3
    snapshot_retry_delay: NonNegativeFloat = 30
    snapshot_retries: NonNegativeInt = 3
    poll_interval: PositiveFloat = Field(default=0.5, description="the first pause; each doubles")
    poll_interval_max: PositiveFloat = 5
    poll_timeout: PositiveFloat = 300
    api_retry_delay: PositiveFloat = Field(
        default=0.5, description="the first pause after a 5xx or time-out; each doubles, jittered"
    )
    api_retry_delay_max: PositiveFloat = 20
    api_retry_timeout: PositiveFloat = Field(
        default=600, description="a step that fails for so long is handed to a person"
    )
    restore_budget: PositiveFloat = Field(
        default=60, description="a rollback under way for longer is alerted, and goes on"
    )

    lease_ttl: PositiveFloat = Field(
        default=6, description="an executor that is silent for so long has lost its run"
    )
    reconcile_interval: PositiveFloat = 2
    run_retention: PositiveFloat = Field(
        default=14 * 86_400, description="how long Redis keeps an ended run; the archive keeps it"
    )

    health_interval: PositiveFloat = 300
    health_window: PositiveFloat | None = Field(
        default=None, description="the window of a measurement; the interval unless given"
    )
    health_analytics_delay: NonNegativeFloat = 0
    health_bake_time: PositiveFloat = 3_600
    health_policy: str = "threshold"
    health_consecutive_breaches: PositiveInt = 2
    health_max_abandon_rate: Rate = 0.2
    health_max_error_rate: Rate = 0.05
    health_max_asa: PositiveFloat = 60
    health_min_calls: NonNegativeInt = 50
    health_min_volume_share: Rate = Field(
        default=0.6, description="fewer calls than this share of what is usual: collapse"
    )
    health_history_days: NonNegativeInt = Field(
        default=7, description="earlier days that tell what is usual at an hour; 0: none"
    )
    health_outage_alert_after: PositiveFloat = Field(
        default=900, description="an analytics outage that lasts so long is alerted, once"
    )
    breaker_flows: PositiveInt = Field(
        default=5, description="so many flows tripping in `breaker_window` hold all rollbacks"
    )
    breaker_share: Rate = Field(
        default=0.2, description="or this share of the watched flows breaching, if they are as many"
    )
    breaker_window: PositiveFloat = 600
    standing_watches: Words = ()
    cooldown: NonNegativeFloat = 1_800
    max_auto_rollbacks_per_day: NonNegativeInt = 3
    dry_run: bool = False

    alert_urls: SecretWords = ()
    integration_alert_urls: SecretWords = ()
    alert_retry_delay: PositiveFloat = 30

    api_tokens: Annotated[SecretWords, AfterValidator(_role_tokens)] = Field(
        default=(), description="role:token, the role one of read, deploy, rollback"
    )
    hook_secret: Annotated[SecretStr | None, AfterValidator(_long_enough)] = None
    flower_basic_auth: SecretStr | None = Field(default=None, description="user:password")
    flower_api: bool = Field(default=False, description="Flower's HTTP API, behind its password")

    @field_validator(
        "alert_urls",
        "integration_alert_urls",
        "api_tokens",
        "stable_tags",
        "standing_watches",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return json.loads(value) if value.lstrip().startswith("[") else value.split()
        return value

    @model_validator(mode="after")
    def _hosts_agree(self) -> "Settings":
        if self.genesys_region and self.genesys_base_url:
            raise ValueError(
                "KNOWNGOOD_GENESYS_REGION and KNOWNGOOD_GENESYS_BASE_URL exclude each other"
            )
        return self

    def secret_values(self) -> list[str]:
        """Return every secret's text, for the logs' redaction; of URLs what is secret in them."""
        values = (getattr(self, name) for name in type(self).model_fields)
        items = (
            item for value in values for item in (value if isinstance(value, tuple) else (value,))
        )
        held = [item.get_secret_value() for item in items if isinstance(item, SecretStr)]
        found = set()
        for text in held:
            # `user:password` and `role:token` are secret in their second half.
            parts = _secrets_in(text) if "://" in text else {text, text.partition(":")[2]}
            found |= {part for part in parts if len(part) >= 4}
        for channel in (*self.alert_urls, *self.integration_alert_urls):
            found |= _keys_in(channel.get_secret_value())
        return sorted(found)

    @property
    def window(self) -> float:
        """The window of one measurement, in seconds."""
        return self.health_window or self.health_interval

    @property
    def region(self) -> Region:
        """The API and login hosts.

        Raises:
            Refused: neither a region nor a base URL was given.
        """
        if self.genesys_base_url:
            base = str(self.genesys_base_url).rstrip("/")
            login = str(self.genesys_login_url or self.genesys_base_url).rstrip("/")
            return Region(name="custom", api=base, login=login)
        if self.genesys_region:
            return region_named(self.genesys_region)
        raise Refused(
            "KNOWNGOOD_GENESYS_REGION",
            None,
            "name the org's region (us_east_1, mypurecloud.ie, …) or give "
            "KNOWNGOOD_GENESYS_BASE_URL",
        )

    def credentials(self) -> tuple[str, SecretStr]:
        """Return the OAuth client's id and secret.

        Raises:
            Refused: one of them is missing.
        """
        if not self.genesys_client_id:
            raise Refused("KNOWNGOOD_GENESYS_CLIENT_ID", None, "give the OAuth client's id")
        if not self.genesys_client_secret:
            raise Refused("KNOWNGOOD_GENESYS_CLIENT_SECRET", None, "give the OAuth client's secret")
        return self.genesys_client_id, self.genesys_client_secret


_SECRETS: Final = ("secret", "token", "broker_url", "redis_url", "alert_urls")
"""What the names of settings hold whose value is not to be shown."""


def refusal(error: ValidationError, *, prefix: str = "") -> Refused:
    """Turn pydantic's first complaint into one line that names field, value and what is right."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    field = prefix + (where.upper() if prefix else where) if where else prefix.rstrip("_")
    secret = any(word in where for word in _SECRETS)
    value = "(secret)" if secret else first.get("input")
    if isinstance(value, dict):
        value = None
    return Refused(field or "input", value, first["msg"].removeprefix("Value error, "))


@cache
def load() -> Settings:
    """Read the settings once per process.

    Raises:
        Refused: a value is wrong; the message names the variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise refusal(error, prefix="KNOWNGOOD_") from None
