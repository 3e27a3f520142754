"""Takes a snapshot: the version, the routing configuration and what the flow depends on."""

from typing import cast

from knowngood.errors import FlowConflict, FlowGone
from knowngood.genesys.port import VersionStatus
from knowngood.runs.executor import StepContext
from knowngood.runs.model import SnapshotRequest
from knowngood.snapshots.record import SnapshotRecord


def take_snapshot(ctx: StepContext) -> SnapshotRecord:
    """Save a version in Genesys and write its record once (GUIDE rule 2).

    A crash between the two leaves a draft in Genesys that no record names, and never a record
    without its draft.

    Raises:
        KnownBad: what is about to be deployed was rolled back before.
        FlowConflict: the flow is locked, or a rollback of it is under way: the deployment that
            this snapshot precedes must wait for it.
        FlowGone: the flow was never published, so there is nothing to go back to.
    """
    run, request = ctx.run, cast("SnapshotRequest", ctx.run.request)
    if ctx.repeated and (found := ctx.registry.find(run.flow_id, run.run_id)):
        return found
    if request.revision is not None:
        ctx.registry.refuse_bad_revision(run.flow_id, request.revision)
    if rollback := ctx.store.holder(run.flow_id):
        raise FlowConflict(f"rollback {rollback} of the flow is under way")
    flow = ctx.gateway.read_flow(run.flow_id, history=False)
    if flow.active is None or flow.active.status is not VersionStatus.PUBLISHED:
        shown = (
            f"{flow.active.version_id} is {flow.active.status}" if flow.active else "it has none"
        )
        raise FlowGone(
            f"the flow has no published version to record: {shown}",
            action="publish the flow in Architect first, then take the snapshot again",
        )
    description = request.description or f"knowngood snapshot {run.run_id}"
    saved = ctx.gateway.save_snapshot(run.flow_id, description)
    digest = ctx.gateway.configuration_digest(run.flow_id, flow.active.version_id)
    known = ctx.gateway.dependencies(run.flow_id, flow.active.version_id)
    record = SnapshotRecord.seal(
        flow_id=run.flow_id,
        flow_name=flow.name,
        snapshot_version_id=saved.version_id,
        active_version_id=flow.active.version_id,
        routing=dict(request.routing),
        dependencies=tuple(dict.fromkeys((*request.dependencies, *known.items, *known.present))),
        configuration_digest=digest,
        # The run's own time, so that every attempt writes to the same place.
        taken_at=run.created,
        requested_by=run.request.requested_by,
        description=description,
        run_id=run.run_id,
        revision=request.revision,
    )
    return ctx.registry.write(record)
