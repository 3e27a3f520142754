"""`knowngood watches`."""

from knowngood.cli.options import JsonOption


def watches(*, as_json: JsonOption = False) -> None:
    """List the watches that are on."""
    from knowngood.cli.output import print_json, print_table  # noqa: PLC0415 - slow to import
    from knowngood.cli.polls import WATCH_HEADERS, open_watches, watch_cells  # noqa: PLC0415

    found = open_watches()
    if as_json:
        print_json([watch.model_dump(mode="json") for watch in found])
        return
    print_table(
        WATCH_HEADERS,
        [watch_cells(watch) for watch in found],
        empty="no watch is on; start one with: knowngood watch FLOW",
    )
