"""A Redis whose master is found by asking its Sentinels, named in one URL.

    sentinel://user:password@host1:26379,host2:26379,host3:26379/0?master=mymaster

The user and password are the Redis servers' own; `&sentinel_password=…` is what the Sentinels ask
for, when they do. The same URL serves `KNOWNGOOD_REDIS_URL` and `KNOWNGOOD_BROKER_URL`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

SCHEME: Final = "sentinel"
_PORT: Final = 26379


@dataclass(frozen=True)
class Sentinels:
    """What a Sentinel URL names."""

    nodes: tuple[tuple[str, int], ...]
    master: str
    db: int
    login: dict[str, str] = field(repr=False)
    sentinel_login: dict[str, str] = field(repr=False)

    @classmethod
    def named_by(cls, url: str) -> Self | None:
        """Read a URL; None when it names no Sentinels.

        Raises:
            ValueError: it names Sentinels, and not as it should; the message has no secret.
        """
        try:
            return cls._read(url)
        except ValueError:
            raise ValueError(
                "must be like sentinel://user:password@host1:26379,host2:26379/0?master=mymaster"
            ) from None

    @classmethod
    def _read(cls, url: str) -> Self | None:
        if not url.startswith(f"{SCHEME}://"):
            return None
        parts = urlsplit(url)
        userinfo, _, hosts = parts.netloc.rpartition("@")
        user, _, password = userinfo.partition(":")
        asked = parse_qs(parts.query)
        masters = asked.get("master", [])
        if len(masters) != 1 or not hosts:
            raise ValueError(url)
        named = {"username": unquote(user), "password": unquote(password)}
        own = {"password": asked.get("sentinel_password", [""])[0]}
        return cls(
            nodes=tuple(_node(host) for host in hosts.split(",")),
            master=masters[0],
            db=int(parts.path.strip("/") or 0),
            login={name: text for name, text in named.items() if text},
            sentinel_login={name: text for name, text in own.items() if text},
        )

    def arguments(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return what redis-py's `Sentinel` is made with; `options` are the connections'."""
        timeouts = {name: each for name, each in options.items() if name.startswith("socket_")}
        asking = {**timeouts, **self.sentinel_login}
        return {"sentinels": self.nodes, "sentinel_kwargs": asking, **self.login, **options}

    @property
    def kombu_url(self) -> str:
        """The URL in the form that Celery's transport reads: one for each Sentinel."""
        login = ":".join(quote(self.login.get(part, ""), safe="") for part in _LOGIN)
        shown = f"{login}@" if self.login else ""
        return ";".join(f"{SCHEME}://{shown}{host}:{port}/{self.db}" for host, port in self.nodes)

    @property
    def kombu_options(self) -> dict[str, Any]:
        """What the transport is told beside the URL."""
        return {"master_name": self.master, "sentinel_kwargs": dict(self.sentinel_login)}

    @property
    def redbeat_options(self) -> dict[str, Any]:
        """What beat's scheduler is told in place of a URL."""
        return {
            "sentinels": list(self.nodes),
            "service_name": self.master,
            "db": self.db,
            "sentinel_kwargs": dict(self.sentinel_login),
            "socket_timeout": 10,
            **self.login,
        }


_LOGIN: Final = ("username", "password")


def broker(url: str) -> tuple[str, dict[str, Any]]:
    """Return a broker's URL as Celery wants it, and the transport options that go with it."""
    found = Sentinels.named_by(url)
    return (found.kombu_url, found.kombu_options) if found else (url, {})


def _node(host: str) -> tuple[str, int]:
    name, _, port = host.rpartition(":") if ":" in host else (host, "", "")
    return name, int(port or _PORT)
