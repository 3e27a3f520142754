"""`knowngood explain`."""

from knowngood.cli.options import JsonOption, RunArgument


def explain(run: RunArgument, *, as_json: JsonOption = False) -> None:
    """Explain what a watch measured, what was decided, and why."""
    from knowngood.cli.explanation import explanation_of  # noqa: PLC0415 - slow to import
    from knowngood.cli.output import print_json  # noqa: PLC0415

    explanation = explanation_of(run)
    if as_json:
        print_json(explanation.document())
    else:
        explanation.print()
