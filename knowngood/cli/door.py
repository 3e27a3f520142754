"""What is checked before anything is enqueued: credentials, the store, the flow, the version."""

import sys

from knowngood import parts
from knowngood.errors import FlowGone, KnownBad, Refused, TryAgain
from knowngood.genesys.port import Flow
from knowngood.genesys.purpose import Priority, Purpose, calling_for
from knowngood.runs.model import Request, RollbackRequest, SnapshotRequest, WatchRequest
from knowngood.settings import Settings


def check_at_the_door(settings: Settings, request: Request) -> None:
    """Refuse a request that cannot end well.

    A Genesys that does not answer now is no reason to refuse: the run retries by itself.

    Raises:
        Refused: credentials or the region are missing, there is no such flow or version, or what
            is to be deployed was rolled back before.
        AccessDenied: the credentials are wrong.
        Unreachable: the artifact store cannot be written.
    """
    settings.credentials()
    _ = settings.region
    parts.registry().store.check()
    urgent = isinstance(request, RollbackRequest)
    try:
        with calling_for(Purpose(Priority.ROLLBACK if urgent else Priority.REQUEST)):
            flow = read_known_flow(request.flow_id)
    except TryAgain as error:
        print(f"knowngood: could not look the flow up first: {error}", file=sys.stderr)
        return
    match request:
        case RollbackRequest(target_version_id=str(version)):
            _check_version("--to", version, flow)
        case WatchRequest(version_id=str(version)):
            _check_version("--version", version, flow)
        case SnapshotRequest(revision=str(revision)):
            _check_revision(request.flow_id, revision)
        case _:
            pass


def read_known_flow(flow_id: str) -> Flow:
    """Read a flow with its history.

    Raises:
        Refused: there is no such flow in the org.
    """
    try:
        return parts.gateway().read_flow(flow_id)
    except FlowGone:
        raise no_such_flow(flow_id) from None


def no_such_flow(flow_id: str) -> Refused:
    """Return what a person is told of a flow that is none."""
    return Refused(
        "FLOW",
        flow_id,
        f"no such flow at {parts.settings().region.api}; copy the id from the flow's URL in "
        "Architect",
    )


def _check_revision(flow_id: str, revision: str) -> None:
    try:
        parts.registry().refuse_bad_revision(flow_id, revision)
    except KnownBad as error:
        raise Refused("--revision", revision, f"{error}; {error.action}") from None


def _check_version(option: str, version: str, flow: Flow) -> None:
    known = [each.version_id for each in flow.versions]
    if known and version not in known:
        shown = ", ".join(known[:5]) + (", …" if len(known) > 5 else "")
        raise Refused(option, version, f"no such version of {flow.name}; it has {shown}")
