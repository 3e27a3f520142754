"""`rollback.poll`: wait until callers hear the target (GUIDE rule 3)."""

from knowngood.errors import GaveUp, NotYet
from knowngood.runs.executor import StepContext, StepResult
from knowngood.runs.progress import Progress, is_ours, progress_of
from tasks.step import rollback_step


@rollback_step
def poll(ctx: StepContext) -> StepResult:
    """Go on when the target is the active version and its status is PUBLISHED.

    Another's operation may take the place of ours in what the flow shows: then only the version
    that is live tells how ours ended.
    """
    run = ctx.run
    flow = ctx.gateway.read_flow(run.flow_id, history=False)
    if progress_of(flow, run) is Progress.LIVE:
        return StepResult({"live": run.target_version}, stamps=["restored_at"])
    operation = flow.operation
    waiting = f"version {run.target_version} is not live yet"
    if operation is None or run.results.get("publish", {}).get("operation") is None:
        raise NotYet(waiting)
    if not is_ours(operation, run):
        raise NotYet(f"{waiting}, and the flow shows {operation} in place of our publish")
    if operation.failure:
        raise GaveUp(
            f"Genesys could not publish version {run.target_version}: {operation.failure}",
            action=(
                "open the flow in Architect and validate that version; to take another one run: "
                f"knowngood rollback {run.flow_id} --to VERSION --reason '…'"
            ),
        )
    raise NotYet(waiting)
