"""Arguments and options that several commands share. Durations are in seconds."""

from typing import Annotated

import typer

FlowArgument = Annotated[
    str, typer.Argument(metavar="FLOW", help="The flow's id, as in its URL in Architect.")
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="The run's id, as `knowngood runs` shows it.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document and nothing else.")
]
WaitOption = Annotated[
    bool, typer.Option("--wait", help="Show progress until the run ends; exit as it ended.")
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        help="Wait no longer than this; the run goes on, the exit code is 4.",
    ),
]
RequestedByOption = Annotated[
    str | None,
    typer.Option(
        "--requested-by",
        metavar="WHO",
        help="Who asks; the CI job's user, else user@host.",
        show_default=False,
    ),
]
IdempotencyKeyOption = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        metavar="KEY",
        help="The same key starts one run, however often it is asked for.",
    ),
]
