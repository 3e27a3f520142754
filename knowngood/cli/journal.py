"""The run journal for commands that only read: without importing Celery, which takes long."""

from knowngood import settings as settings_module
from knowngood.runs.store import RunStore, connect


def open_journal() -> RunStore:
    """Open the run journal that the settings name."""
    settings = settings_module.load()
    return RunStore(
        connect(settings.redis_url.get_secret_value()),
        lease_ttl=settings.lease_ttl,
        retention=settings.run_retention,
    )
