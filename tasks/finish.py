"""`rollback.finish`: leave the record of a rollback that succeeded."""

from knowngood.runs.executor import StepContext, StepResult
from tasks.step import rollback_step


@rollback_step
def finish(ctx: StepContext) -> StepResult:
    """Mark what was rolled back from as bad, for later rollbacks and for pipelines."""
    run = ctx.run
    if run.from_version:
        reason = getattr(run.request, "reason", "")
        ctx.registry.mark_bad(run.flow_id, run.from_version, run.run_id, reason)
        before = ctx.registry.latest(run.flow_id)
        if before and before.revision and before.active_version_id != run.from_version:
            # The latest snapshot was taken before what is now bad was deployed.
            ctx.registry.mark_revision_bad(run.flow_id, before.revision, run.run_id, reason)
    ctx.registry.close_run(run.run_id)
    return StepResult({"known_bad": run.from_version}, ends="restored")
