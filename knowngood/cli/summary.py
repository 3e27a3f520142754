"""How a run ended, in a few lines."""

from knowngood.cli.output import print_fields
from knowngood.runs.model import Run, RunKind, RunState
from knowngood.runs.narrative import clock, moment, span


def print_summary(run: Run) -> None:
    """Print what came of a run, and who must do what now."""
    print_fields(summary(run))


def heading(run: Run) -> dict[str, str]:
    """Return what was asked for, by whom and when: a name and a text each."""
    request = run.request
    return {
        "run": run.run_id,
        "kind": str(run.kind),
        "flow": f"{run.flow_name} ({run.flow_id})",
        "asked by": request.requested_by or "",
        "why": str(getattr(request, "reason", None) or getattr(request, "description", None) or ""),
        "created": moment(run.created),
        "ended": moment(run.ended),
        "takeovers": str(run.takeovers or ""),
    }


def summary(run: Run) -> dict[str, str]:
    """Return what came of a run: a name and a text each."""
    state = str(run.state)
    if run.state is RunState.WAITING:
        state += f" for the {run.waiting_on}, until {clock(run.due)}"
    if run.state.terminal and run.outcome not in {"", run.state}:
        state += f" ({run.outcome})"
    fields = {
        "state": state,
        "from": f"version {run.from_version}" if run.from_version else "",
        "to": f"version {run.target_version}" if run.target_version else "",
        "restored in": span(run.restore_seconds),
        "waited": f"{span(run.lock_wait)} for the lock" if run.lock_wait else "",
        "error": run.error,
        "to do": run.action if run.state.terminal else "",
    }
    if run.kind is RunKind.SNAPSHOT and (found := run.results.get("snapshot")):
        fields["snapshot"] = f"version {found.get('snapshot_version')}"
        fields["baseline"] = f"version {found.get('active_version')}"
    if run.kind is RunKind.WATCH:
        found = run.results.get("watch", {})
        fields["from"] = ""
        fields["version"] = str(found.get("version") or "")
        fields["polls"] = str(found.get("polls") or "")
        fields["would"] = str(found.get("would") or "")
        fields["rollback"] = f"run {found['rollback']}" if found.get("rollback") else ""
        if run.outcome == "superseded":
            fields["error"] = f"a later watch of the flow took its place: {run.error}"
    return fields
