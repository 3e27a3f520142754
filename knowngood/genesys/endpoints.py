"""Checks what lies outside Genesys Cloud: endpoints a flow calls, and the smoke test (rule 6)."""

from functools import cache

import httpx

from knowngood.genesys.port import (
    Dependency,
    DependencyCheck,
    DependencyKind,
    DependencyVerdict,
)


def probe_endpoint(dependency: Dependency, timeout: float) -> DependencyCheck:
    """GET an endpoint; any answer below 500 within `timeout` seconds means reachable."""
    return _ask("GET", dependency.target, dependency, timeout, healthy_below=500)


def smoke_test(url: str, flow_id: str, version_id: str, timeout: float) -> DependencyCheck:
    """POST to route one test call through a version; a 2xx within `timeout` seconds passes.

    `url` may hold `{flow_id}` and `{version_id}`.
    """
    target = url.replace("{flow_id}", flow_id).replace("{version_id}", version_id)
    dependency = Dependency(kind=DependencyKind.ENDPOINT, target=target, name="smoke test")
    return _ask("POST", target, dependency, timeout, healthy_below=300)


@cache
def _connections() -> httpx.Client:
    # One for the process: a client of its own for each call reads all root certificates first.
    return httpx.Client()


def _ask(
    method: str, url: str, dependency: Dependency, timeout: float, *, healthy_below: int
) -> DependencyCheck:
    try:
        answer = _connections().request(method, url, timeout=timeout)
    except httpx.HTTPError as error:
        return DependencyCheck(
            dependency=dependency,
            verdict=DependencyVerdict.BROKEN,
            detail=f"no answer: {type(error).__name__}",
        )
    healthy = answer.status_code < healthy_below
    return DependencyCheck(
        dependency=dependency,
        verdict=DependencyVerdict.OK if healthy else DependencyVerdict.BROKEN,
        detail=f"answered {answer.status_code}",
    )
