"""What `doctor --live` tries on the org: harmless calls, each with the permission that it takes."""

from collections.abc import Iterator

from knowngood import parts
from knowngood.cli.checks import Finding, Level
from knowngood.errors import AccessDenied, KnowngoodError, NeedsPerson
from knowngood.genesys.port import Probe


def try_org(flow_id: str | None) -> Iterator[Finding]:
    """Yield what each of the gateway's probes found."""
    probes = parts.gateway().probes(flow_id)
    if not probes:
        yield Finding(
            "live",
            Level.WARN,
            "this dialect of the API lists no flows, so that none was tried",
            "name one: knowngood doctor --live --flow FLOW",
        )
    yield from map(_tried, probes)


def _tried(probe: Probe) -> Finding:
    name = f"live {probe.name}"
    wrong = Level.FAIL if probe.needed else Level.WARN
    try:
        return Finding(name, Level.OK, probe.ask())
    except AccessDenied as error:
        missing = " or ".join(error.permissions or probe.permissions) or error.message
        trace = f" (correlation id {error.correlation_id})" if error.correlation_id else ""
        return Finding(name, wrong, f"missing permission {missing}{trace}", error.action)
    except NeedsPerson as error:
        return Finding(name, wrong, str(error), probe.remedy or error.action)
    except KnowngoodError as error:
        return Finding(name, wrong, str(error), probe.remedy)
