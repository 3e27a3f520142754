"""`rollback.verify`: what is live is what was meant, by content where the API exports it."""

from knowngood.errors import FlowMoved
from knowngood.runs.executor import StepContext, StepResult
from tasks.step import rollback_step


@rollback_step
def verify(ctx: StepContext) -> StepResult:
    """Read the live version once more, and compare its configuration with the baseline's."""
    run = ctx.run
    target = str(run.target_version)
    flow = ctx.gateway.read_flow(run.flow_id, history=False)
    if not flow.is_live(target):
        shown = f"{flow.active.version_id} ({flow.active.status})" if flow.active else "none"
        raise FlowMoved(
            f"version {target} was live, and now the active version is {shown}",
            action=f"see who published it: knowngood versions {run.flow_id}",
        )
    recorded = ctx.registry.digest_of(run.flow_id, target)
    found = ctx.gateway.configuration_digest(run.flow_id, target) if recorded else None
    if recorded and found and recorded != found:
        raise FlowMoved(
            f"version {target} is live, but its configuration differs from the baseline's",
            action=f"compare it in Architect with the snapshot: knowngood snapshots {run.flow_id}",
        )
    return StepResult({"verified": "content" if found else "version"})
