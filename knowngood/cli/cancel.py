"""`knowngood cancel`."""

from knowngood.cli.options import JsonOption, RunArgument


def cancel(run: RunArgument, *, as_json: JsonOption = False) -> None:
    """End a run that has not begun to change its flow, or a watch.

    A rollback whose activation has begun goes on to its end, so that the flow is not left
    half-way.
    """
    from knowngood.cli.journal import open_journal  # noqa: PLC0415 - slow to import
    from knowngood.cli.output import print_json, run_document  # noqa: PLC0415
    from knowngood.cli.requester import requester  # noqa: PLC0415

    journal = open_journal()
    journal.cancel(run, f"cancelled by {requester()}")
    ended = journal.get(run)
    if as_json:
        print_json(run_document(ended))
    else:
        print(f"run {ended.run_id} is cancelled")
        if ended.request.requested_by == "settings":
            print("KNOWNGOOD_STANDING_WATCHES lists its flow: it is put on again until it is not")
