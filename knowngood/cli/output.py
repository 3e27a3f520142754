"""What commands print: one JSON document, or aligned columns that fold in a narrow terminal."""

import json
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from knowngood.runs.model import Run

Cell = str

NARROW = 100
"""Columns below which wide tables leave out what can be missed."""


def print_json(document: object) -> None:
    """Print one JSON document on stdout."""
    print(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def run_document(run: Run) -> dict[str, Any]:
    """Return a run as machines read it; times in ISO 8601, UTC, durations in seconds."""
    document = run.model_dump(mode="json", serialize_as_any=True, exclude={"counters"})
    document["restore_seconds"] = run.restore_seconds
    return document


def in_terminal() -> bool:
    """Say whether stdout is a person's terminal."""
    return sys.stdout.isatty()


def is_narrow() -> bool:
    """Say whether stdout is a terminal of fewer than 100 columns."""
    return in_terminal() and shutil.get_terminal_size().columns < NARROW


def print_table(headers: Sequence[str], rows: Sequence[Sequence[Cell]], *, empty: str) -> None:
    """Print rows under headers, or `empty` where there are none."""
    if not rows:
        print(empty)
    elif in_terminal():
        _print_folding(headers, rows)
    else:
        _print_aligned(headers, rows)


def print_fields(fields: Mapping[str, str]) -> None:
    """Print a name and a value on each line; those without a value are left out."""
    shown = {name: value for name, value in fields.items() if value and value != "-"}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        line = f"{name:<{width}}  {value}"
        print(wrapped(line, indent=width + 2) if in_terminal() else line)


def wrapped(line: str, *, indent: int) -> str:
    """Break a line between words where a terminal ends; what follows is indented."""
    return textwrap.fill(
        line,
        shutil.get_terminal_size().columns,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _print_aligned(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    for row in (headers, *rows):
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _print_folding(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    # Imported for people only: it takes longer than a machine's whole `status --json`.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, header in enumerate(headers):
        # The first is an id, which people copy.
        table.add_column(header, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(table)
