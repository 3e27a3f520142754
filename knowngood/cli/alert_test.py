"""`knowngood alert-test`."""

from knowngood.cli.exits import Exit
from knowngood.cli.options import JsonOption


def alert_test(*, as_json: JsonOption = False) -> int:
    """Send a test alert through every channel, from this machine."""
    from knowngood.cli.channels import try_channels  # noqa: PLC0415 - slow to import
    from knowngood.cli.output import print_json, print_table  # noqa: PLC0415

    trials = try_channels()
    if as_json:
        print_json([trial._asdict() for trial in trials])
    else:
        print_table(("TEAM", "CHANNEL", "RESULT"), trials, empty="no channels")
    return Exit.DONE if all(trial.result == "sent" for trial in trials) else Exit.FAILED
