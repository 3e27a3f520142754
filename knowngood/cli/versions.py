"""`knowngood versions`."""

from knowngood.cli.options import FlowArgument, JsonOption


def versions(flow: FlowArgument, *, as_json: JsonOption = False) -> None:
    """List a flow's versions: live, known-good, known-bad, baseline."""
    from knowngood.cli.history import HEADERS, read_history  # noqa: PLC0415 - slow to import
    from knowngood.cli.output import print_json, print_table  # noqa: PLC0415

    history = read_history(flow)
    if as_json:
        print_json(history.document())
        return
    print(f"{history.name} ({history.flow_id})")
    if history.lock:
        print(f"locked by {history.lock}")
    print_table(HEADERS, [line.cells() for line in history.lines], empty="no versions")
