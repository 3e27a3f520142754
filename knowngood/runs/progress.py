"""How far a rollback has come, read from the flow itself and not from our own record."""

from enum import Enum, auto

from knowngood.errors import FlowMoved
from knowngood.genesys.port import Flow, Operation, VersionStatus
from knowngood.runs.model import Run


class Progress(Enum):
    """What the flow shows of a run's writes."""

    UNTOUCHED = auto()
    ACTIVATED = auto()
    PUBLISHING = auto()
    LIVE = auto()


def progress_of(flow: Flow, run: Run) -> Progress:
    """Say how far the flow is on its way from the broken version to the target.

    Raises:
        FlowMoved: the flow shows a third version: somebody else deployed, and a rollback now
            would undo that.
    """
    active = flow.active
    if active is not None and active.version_id == run.target_version:
        match active.status:
            case VersionStatus.PUBLISHED:
                # Callers hear it everywhere once the operation that published it is complete.
                return Progress.PUBLISHING if flow.publishing else Progress.LIVE
            case VersionStatus.PUBLISHING:
                return Progress.PUBLISHING
            case _:
                return Progress.ACTIVATED
    if active is None or run.from_version in {active.version_id, None}:
        under_way = flow.publishing and (flow.operation is None or is_ours(flow.operation, run))
        return Progress.PUBLISHING if under_way else Progress.UNTOUCHED
    shown = f"version {active.version_id} ({active.status})"
    if flow.operation is not None and flow.operation.complete and is_ours(flow.operation, run):
        raise FlowMoved(
            f"our publish of version {run.target_version} is complete, but the flow has {shown}",
            action=(
                "compare the two in Architect (a publish may have given the content a new number): "
                f"knowngood versions {run.flow_id}"
            ),
        )
    raise FlowMoved(
        f"the flow now has {shown}, neither the broken {run.from_version} nor the target "
        f"{run.target_version}",
        action=(
            f"see who deployed it: knowngood versions {run.flow_id}; "
            "roll back again only if that version is broken too"
        ),
    )


def is_ours(operation: Operation, run: Run) -> bool:
    """Say whether an operation is the publish of this run.

    When the answer that held its id was lost, an attempt before this one may have started it: then
    it is a publish by our own OAuth client.
    """
    known = run.results.get("publish", {}).get("operation")
    if known:
        return bool(operation.operation_id == known)
    begun = run.attempt > 1 or run.takeovers > 0
    return begun and operation.own and operation.is_publish
