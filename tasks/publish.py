"""`rollback.publish`: make the activated version live, as a step of its own (GUIDE rule 3)."""

from knowngood.errors import FlowLocked, FlowMoved
from knowngood.runs.executor import StepContext, StepResult
from knowngood.runs.progress import Progress, progress_of
from tasks.step import rollback_step


@rollback_step
def publish(ctx: StepContext) -> StepResult:
    """Publish the target once; read the flow and its lock immediately before.

    Genesys cannot check our fencing token, so between this reading and the write somebody may
    still take the lock: Genesys then refuses the write itself (423 or 409).
    """
    run = ctx.run
    target = str(run.target_version)
    flow = ctx.gateway.read_flow(run.flow_id, history=False)
    match progress_of(flow, run):
        case Progress.LIVE:
            return StepResult({"already": "live"})
        case Progress.PUBLISHING:
            under_way = flow.operation.operation_id if flow.operation else None
            return StepResult({"already": "publishing", "operation": under_way})
        case Progress.UNTOUCHED if ctx.gateway.activation_is_a_write:
            raise FlowMoved(
                f"version {target} was activated, but the flow shows {run.from_version} again",
                action=f"see who changed it: knowngood versions {run.flow_id}",
            )
        case _:
            pass
    in_flow = ctx.gateway.lock_is_in_flow
    holder = flow.lock if in_flow else ctx.gateway.read_lock(run.flow_id)
    if holder is not None:
        raise FlowLocked(f"the flow is locked by {holder}", holder=str(holder))
    operation = ctx.gateway.publish(run.flow_id, target, fence=ctx.fence)
    return StepResult({"published": target, "operation": operation})
