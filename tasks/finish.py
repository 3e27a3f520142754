"""`rollback.finish`: leave the record of a rollback that succeeded."""

from typing import cast

from knowngood.runs.executor import StepContext, StepResult
from knowngood.runs.model import RollbackRequest
from tasks.step import rollback_step


@rollback_step
def finish(ctx: StepContext) -> StepResult:
    """Mark what was rolled back from as bad, for later rollbacks and for pipelines."""
    run, request = ctx.run, cast("RollbackRequest", ctx.run.request)
    blamed = run.from_version if request.blame else None
    if blamed:
        ctx.registry.mark_bad(run.flow_id, blamed, run.run_id, request.reason)
        before = ctx.registry.latest(run.flow_id)
        if before and before.revision and before.active_version_id != blamed:
            # The latest snapshot was taken before what is now bad was deployed.
            ctx.registry.mark_revision_bad(run.flow_id, before.revision, run.run_id, request.reason)
    ctx.registry.close_run(run.run_id)
    return StepResult({"known_bad": blamed}, ends="restored")
