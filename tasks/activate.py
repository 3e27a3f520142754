"""`rollback.activate`: make the target the active version; callers do not hear it yet.

Where activating is no write of its own, the step sees that the target can be published.
"""

from knowngood.runs.executor import StepContext, StepResult
from knowngood.runs.progress import Progress, progress_of
from tasks.step import rollback_step


@rollback_step
def activate(ctx: StepContext) -> StepResult:
    """Activate the target, unless an attempt that crashed has done so (GUIDE rule 3)."""
    run = ctx.run
    target = str(run.target_version)
    # Written outside Redis before the first write, so that a lost journal leaves no flow half-way.
    ctx.registry.open_run(run.run_id, run.recovery_note())
    if ctx.repeated or run.takeovers:
        flow = ctx.gateway.read_flow(run.flow_id, history=False)
        if progress_of(flow, run) is not Progress.UNTOUCHED:
            return StepResult({"already_active": target})
    ctx.gateway.activate(run.flow_id, run.flow_name, target, fence=ctx.fence)
    return StepResult({"activated" if ctx.gateway.activation_is_a_write else "found": target})
