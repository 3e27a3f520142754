"""`knowngood doctor`."""

from typing import Annotated

import typer

from knowngood.cli.exits import Exit
from knowngood.cli.options import JsonOption
from knowngood.errors import Refused


def doctor(
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Try the org too, by calls that change nothing.")
    ] = False,
    flow: Annotated[
        str | None,
        typer.Option(
            "--flow",
            metavar="FLOW",
            help="The flow that --live tries; the first of the org's.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Check that everything an installation needs works.

    Settings, broker, journal, artifact store, credentials, workers, beat and alerts; with --live
    the org's answers and permissions. Nothing is changed. The exit code is 1 when something fails.
    """
    from knowngood.cli.checks import Finding, Level, examine  # noqa: PLC0415 - slow to import
    from knowngood.cli.flow_id import checked_flow_id  # noqa: PLC0415
    from knowngood.cli.live_checks import try_org  # noqa: PLC0415
    from knowngood.cli.output import print_json  # noqa: PLC0415

    if flow is not None and not live:
        raise Refused("--flow", flow, "it goes with --live")
    chosen = checked_flow_id(flow) if flow else None

    def show(finding: Finding) -> None:
        if not as_json:
            print(f"{finding.level:<4}  {finding.check}: {finding.found}", flush=True)
            if finding.to_do:
                print(f"      {finding.to_do}")

    findings: list[Finding] = []
    for finding in examine():
        findings.append(finding)
        show(finding)
    failed = {each.check for each in findings if each.level is Level.FAIL}
    if live and failed.isdisjoint({"settings", "credentials"}):
        for finding in try_org(chosen):
            findings.append(finding)
            show(finding)
    if as_json:
        print_json([finding._asdict() for finding in findings])
    return Exit.FAILED if any(each.level is Level.FAIL for each in findings) else Exit.DONE
