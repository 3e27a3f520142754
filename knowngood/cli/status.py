"""`knowngood status`."""

from knowngood.cli.options import JsonOption, RunArgument, TimeoutOption, WaitOption


def status(
    run: RunArgument,
    *,
    wait: WaitOption = False,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show a run: its steps, its versions and what to do.

    The exit code says it too: 0 done, 1 failed or cancelled, 3 needs a person, 4 still running.
    """
    from knowngood.alerts.outbox import AlertOutbox  # noqa: PLC0415 - slow to import
    from knowngood.cli.journal import open_journal  # noqa: PLC0415
    from knowngood.cli.outcome import exit_of  # noqa: PLC0415
    from knowngood.cli.output import (  # noqa: PLC0415
        print_fields,
        print_json,
        print_table,
        run_document,
    )
    from knowngood.cli.progress import check_timeout, follow_to_end  # noqa: PLC0415
    from knowngood.cli.steps import HEADERS, steps_of  # noqa: PLC0415
    from knowngood.cli.summary import heading, summary  # noqa: PLC0415

    check_timeout(timeout, wait=wait)
    journal = open_journal()
    if wait and journal.find(run) is not None:
        follow_to_end(journal, run, timeout=timeout, silent=as_json)
    found = journal.find(run)
    if found is None:
        from knowngood.cli.records import record_of  # noqa: PLC0415 - seldom needed

        record = record_of(run)
        found, entries = record.run, record.entries
    else:
        entries = journal.journal(found.run_id)
    if as_json:
        print_json(
            {
                **run_document(found),
                "journal": [entry.model_dump(mode="json") for entry in entries],
            }
        )
        return exit_of(found)
    print_fields(heading(found))
    print()
    print_table(
        HEADERS, [line.cells() for line in steps_of(found, entries).lines], empty="no steps"
    )
    print()
    waiting = AlertOutbox(journal.redis).undelivered_of(found.run_id)
    print_fields({**summary(found), "untold": "; ".join(map(str, waiting))})
    return exit_of(found)
