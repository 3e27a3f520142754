"""Checks what a target version needs outside itself, before it is activated (GUIDE rule 6)."""

from collections.abc import Sequence
from typing import Final

from knowngood.errors import ApiUnavailable, DependencyBroken
from knowngood.genesys.endpoints import probe_endpoint, smoke_test
from knowngood.genesys.port import (
    Dependency,
    DependencyCheck,
    DependencyKind,
    DependencyVerdict,
    FlowGateway,
)
from knowngood.settings import Settings

MOST: Final = 50
"""So many are asked for one by one: a rollback's seconds and rate limit are not for hundreds."""


def check_all(
    gateway: FlowGateway,
    settings: Settings,
    *,
    flow_id: str,
    version_id: str,
    recorded: Sequence[Dependency],
    last_try: bool,
) -> Sequence[DependencyCheck]:
    """Check the recorded and the API's dependencies and the smoke test.

    A first failure is asked once more, so that a dropped packet does not keep callers on the
    broken version; unknown is not broken.

    Raises:
        ApiUnavailable: something failed and `last_try` is False.
        DependencyBroken: something failed again; the integration team is alerted.
    """
    known = gateway.dependencies(flow_id, version_id)
    told = {_key(item) for item in (*known.present, *known.gone)}
    wanted = {_key(item): item for item in (*recorded, *known.items) if _key(item) not in told}
    # Of a kind that nobody can ask for, nothing is sent.
    left = [item for item in wanted.values() if item.kind is not DependencyKind.OTHER][MOST:]
    checks = [
        _checked(item, DependencyVerdict.UNKNOWN, f"not asked: {MOST} others were")
        if item in left
        else probe_endpoint(item, settings.dependency_timeout)
        if item.kind is DependencyKind.ENDPOINT
        else gateway.check_dependency(item)
        for item in wanted.values()
    ]
    deleted = "Genesys' dependency tracking says that it was deleted"
    checks += [_checked(item, DependencyVerdict.BROKEN, deleted) for item in known.gone]
    if settings.smoke_test_url and not _broken(checks):
        url, seconds = settings.smoke_test_url, settings.dependency_timeout
        checks.append(smoke_test(url, flow_id, version_id, seconds))
    if broken := _broken(checks):
        message = "; ".join(f"{check.dependency} is broken: {check.detail}" for check in broken)
        if not last_try:
            raise ApiUnavailable(message)
        raise DependencyBroken(
            f"version {version_id} cannot be restored: {message}",
            action=(
                f"repair {', '.join(str(check.dependency) for check in broken)}, then run: "
                f"knowngood rollback {flow_id} --reason 'dependencies repaired'"
            ),
        )
    return checks


def _key(dependency: Dependency) -> tuple[DependencyKind, str]:
    return dependency.kind, dependency.target


def _checked(dependency: Dependency, verdict: DependencyVerdict, detail: str) -> DependencyCheck:
    return DependencyCheck(dependency=dependency, verdict=verdict, detail=detail)


def _broken(checks: Sequence[DependencyCheck]) -> list[DependencyCheck]:
    return [check for check in checks if check.verdict is DependencyVerdict.BROKEN]
