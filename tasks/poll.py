"""`rollback.poll`: wait until callers hear the target (GUIDE rule 3)."""

from knowngood.errors import GaveUp, NotYet
from knowngood.runs.executor import StepContext, StepResult
from knowngood.runs.progress import Progress, progress_of
from tasks.step import rollback_step


@rollback_step
def poll(ctx: StepContext) -> StepResult:
    """Go on when the target is the active version and its status is PUBLISHED."""
    run = ctx.run
    flow = ctx.gateway.read_flow(run.flow_id, history=False)
    if flow.operation_failed:
        raise GaveUp(
            f"Genesys could not publish version {run.target_version}: {flow.operation_failed}",
            action=(
                "open the flow in Architect and validate that version; to take another one run: "
                f"knowngood rollback {run.flow_id} --to VERSION --reason '…'"
            ),
        )
    if progress_of(flow, run) is not Progress.LIVE:
        raise NotYet(f"version {run.target_version} is not live yet")
    return StepResult({"live": run.target_version}, {"restored_at": str(ctx.now().timestamp())})
