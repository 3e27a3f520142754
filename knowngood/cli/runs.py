"""`knowngood runs`."""

from typing import Annotated

import typer

from knowngood.cli.options import JsonOption


def runs(
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List runs, the newest first."""
    from knowngood.cli.journal import open_journal  # noqa: PLC0415 - slow to import
    from knowngood.cli.output import print_json, print_table, run_document  # noqa: PLC0415
    from knowngood.runs.narrative import moment  # noqa: PLC0415

    found = open_journal().recent(limit)
    if as_json:
        print_json([run_document(run) for run in found])
        return
    print_table(
        ("RUN", "KIND", "FLOW", "STATE", "STEP", "CREATED"),
        [
            (
                run.run_id,
                str(run.kind),
                run.flow_name,
                run.outcome or str(run.state),
                run.step,
                moment(run.created),
            )
            for run in found
        ],
        empty="no runs yet; start one with: knowngood snapshot FLOW",
    )
