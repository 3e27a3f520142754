"""kombu's Redis transports, which otherwise make a new redis-py client for every command.

A client is a front of its connection pool: it may be kept for as long as the pool is, and a
channel belongs to one thread at a time.
"""

from typing import Any

from kombu.transport import redis


class _KeptClient:
    """Mixed into a channel."""

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]
        # After a fault the channel has another pool.
        if self._kept is None or self._kept.connection_pool is not self.pool:  # type: ignore[attr-defined]
            self._kept = super()._create_client()  # type: ignore[misc]
        return self._kept


class Channel(_KeptClient, redis.Channel):
    """A channel on one server."""


class Transport(redis.Transport):
    """For `redis://` and `rediss://`."""

    Channel = Channel


class SentinelChannel(_KeptClient, redis.SentinelChannel):
    """A channel on whichever server is the master."""


class SentinelTransport(redis.SentinelTransport):
    """For `sentinel://`."""

    Channel = SentinelChannel
