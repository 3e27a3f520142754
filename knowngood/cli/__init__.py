"""The command line: `knowngood …`.

A bare `--help` is answered from a packaged text: to import the whole command line first would take
ten times as long as Python's own start.
"""

import os
import sys

_FULL_WIDTH = 80
"""From this width on, the help looks as it was packaged."""


def main() -> int:
    """Execute the command line and return its exit code."""
    arguments = sys.argv[1:]
    if arguments in ([], ["--help"], ["-h"]) and _columns() >= _FULL_WIDTH:
        # Not by importlib.resources, which takes longer to import than all the rest.
        with open(os.path.join(os.path.dirname(__file__), "help.txt")) as text:  # noqa: PTH118, PTH120, PTH123
            sys.stdout.write(text.read())
        return 0 if arguments else 2
    from knowngood.cli.application import run  # noqa: PLC0415

    return run(arguments)


def _columns() -> int:
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(1).columns or _FULL_WIDTH
    except OSError:
        return _FULL_WIDTH
