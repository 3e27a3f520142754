"""Which version a rollback leaves, read from the flow before anything is changed."""

from knowngood.genesys.port import Flow, VersionStatus


def broken_version(flow: Flow, last_live: str | None) -> str | None:
    """Return the version that callers hear now, the one to be rolled back from.

    When an earlier run stopped between activate and publish, the flow shows the version that it
    activated; callers still hear the one that was live when that run began, `last_live`.
    """
    if flow.active is None:
        return None
    if flow.active.status is VersionStatus.PUBLISHED:
        return flow.active.version_id
    return last_live
