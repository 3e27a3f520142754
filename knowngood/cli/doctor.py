"""`knowngood doctor`."""

from knowngood.cli.exits import Exit
from knowngood.cli.options import JsonOption


def doctor(
    *,
    as_json: JsonOption = False,
) -> int:
    """Check that everything an installation needs works.

    Settings, broker, journal, artifact store, credentials, workers, beat and alerts; nothing is
    changed. The exit code is 1 when something fails.
    """
    from knowngood.cli.checks import Finding, Level, examine  # noqa: PLC0415 - slow to import
    from knowngood.cli.output import print_json  # noqa: PLC0415

    def show(finding: Finding) -> None:
        if not as_json:
            print(f"{finding.level:<4}  {finding.check}: {finding.found}", flush=True)
            if finding.to_do:
                print(f"      {finding.to_do}")

    findings = []
    for finding in examine():
        findings.append(finding)
        show(finding)
    if as_json:
        print_json([finding._asdict() for finding in findings])
    return Exit.FAILED if any(each.level is Level.FAIL for each in findings) else Exit.DONE
