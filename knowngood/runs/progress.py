"""How far a rollback has come, read from the flow itself and not from our own record."""

from enum import Enum, auto

from knowngood.errors import FlowMoved
from knowngood.genesys.port import Flow, VersionStatus
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
                return Progress.LIVE
            case VersionStatus.PUBLISHING:
                return Progress.PUBLISHING
            case _:
                return Progress.ACTIVATED
    if active is None or run.from_version in {active.version_id, None}:
        return Progress.PUBLISHING if flow.publishing else Progress.UNTOUCHED
    raise FlowMoved(
        f"the flow now has version {active.version_id} ({active.status}), neither the broken "
        f"{run.from_version} nor the target {run.target_version}",
        action=(
            f"see who deployed it: knowngood versions {run.flow_id}; "
            "roll back again only if that version is broken too"
        ),
    )
