"""`rollback.select_target`: which version to go back to (GUIDE rules 1 and 7)."""

from typing import cast

from knowngood.runs.executor import StepContext, StepResult
from knowngood.runs.model import RollbackRequest
from knowngood.runs.origin import broken_version
from knowngood.snapshots.choice import target_for
from tasks.step import rollback_step


@rollback_step
def select_target(ctx: StepContext) -> StepResult:
    """Choose the target; end at once when callers hear it already, or no longer the broken one."""
    run = ctx.run
    request = cast("RollbackRequest", run.request)
    flow = ctx.gateway.read_flow(run.flow_id)
    broken = run.from_version or broken_version(flow, ctx.store.last_live(run.flow_id))
    meant = request.from_version_id
    if meant and not run.from_version and broken != meant:
        # A later deployment took its place while this one waited for the lock.
        gone = {"from": meant, "reason": f"version {broken} is live by now"}
        return StepResult(gone, {"flow_name": flow.name}, "moved_on")
    target = target_for(
        flow,
        broken,
        registry=ctx.registry,
        settings=ctx.settings,
        now=ctx.now(),
        requested=request.target_version_id,
        gone=frozenset(run.gone),
    )
    facts = {"flow_name": flow.name, "target_version": target.version_id}
    if broken:
        facts["from_version"] = broken
    detail = {
        "target": target.version_id,
        "source": target.source,
        "reason": target.reason,
        "from": broken,
    }
    ends = "already_live" if flow.is_live(target.version_id) else None
    return StepResult(detail, facts, ends)
