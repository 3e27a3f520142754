"""`knowngood watches`."""

from knowngood.cli.options import JsonOption


def watches(*, as_json: JsonOption = False) -> None:
    """List the watches that are on."""
    from knowngood.cli.output import (  # noqa: PLC0415 - slow to import
        is_narrow,
        print_json,
        print_table,
    )
    from knowngood.cli.polls import open_watches, watch_cells, watch_headers  # noqa: PLC0415

    found = open_watches()
    if as_json:
        print_json([watch.model_dump(mode="json") for watch in found])
        return
    narrow = is_narrow()
    print_table(
        watch_headers(narrow=narrow),
        [watch_cells(watch, narrow=narrow) for watch in found],
        empty="no watch is on; start one with: knowngood watch FLOW",
    )
