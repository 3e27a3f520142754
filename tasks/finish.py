"""`rollback.finish`: leave the record of a rollback that succeeded."""

from knowngood.runs.executor import StepContext, StepResult
from tasks.step import rollback_step


@rollback_step
def finish(ctx: StepContext) -> StepResult:
    """Mark the version rolled back from as bad, so that no later rollback chooses it."""
    run = ctx.run
    if run.from_version:
        reason = getattr(run.request, "reason", "")
        ctx.registry.mark_bad(run.flow_id, run.from_version, run.run_id, reason)
    ctx.registry.close_run(run.run_id)
    return StepResult({"known_bad": run.from_version}, ends="restored")
