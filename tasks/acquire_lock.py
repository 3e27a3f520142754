"""`rollback.acquire_lock`: nobody else may be editing the flow (GUIDE rule 5)."""

from knowngood.errors import FlowLocked
from knowngood.runs.executor import StepContext, StepResult
from tasks.step import rollback_step


@rollback_step
def acquire_lock(ctx: StepContext) -> StepResult:
    """Go on when the flow is free; else wait and ask again, and never force it."""
    holder = ctx.gateway.read_lock(ctx.run.flow_id)
    if holder is not None:
        raise FlowLocked(f"the flow is locked by {holder}", holder=str(holder))
    return StepResult(stamps=["lock_held_at"])
