"""Who works: asks the running workers, and beat's lock, through the broker."""

from collections import defaultdict
from collections.abc import Sequence

from celery import Celery
from redbeat.schedulers import RedBeatConfig


def answers(app: Celery, node: str, timeout: float = 0.5) -> bool:
    """Say whether a worker answers within `timeout` seconds."""
    return bool(app.control.ping(destination=[node], timeout=timeout))


def listeners(app: Celery, timeout: float = 2.0) -> dict[str, Sequence[str]]:
    """Return the workers that listen on each queue; waits `timeout` seconds for answers."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    replies = app.control.inspect(timeout=timeout).active_queues() or {}
    for node, queues in replies.items():
        for queue in queues:
            found[queue["name"]].append(node)
    return {queue: sorted(nodes) for queue, nodes in found.items()}


def beat_lock(app: Celery) -> str:
    """Return the key that the acting beat holds in Redis."""
    return str(RedBeatConfig(app).lock_key)
