"""`rollback.check_dependencies`: what the target needs outside itself works (GUIDE rule 6)."""

from knowngood.runs.dependencies import check_all
from knowngood.runs.executor import StepContext, StepResult
from tasks.step import rollback_step


@rollback_step
def check_dependencies(ctx: StepContext) -> StepResult:
    """Check every endpoint and queue, then route one test call; a failure stops the rollback."""
    target = str(ctx.run.target_version)
    checks = check_all(
        ctx.gateway,
        ctx.settings,
        flow_id=ctx.run.flow_id,
        version_id=target,
        recorded=ctx.registry.dependencies_of(ctx.run.flow_id, target),
        last_try=ctx.repeated,
    )
    detail = {str(check.dependency): f"{check.verdict} {check.detail}".strip() for check in checks}
    return StepResult({"checked": detail})
