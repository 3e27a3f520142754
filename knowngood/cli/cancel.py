"""`knowngood cancel`."""

from typing import TYPE_CHECKING

from knowngood.cli.options import JsonOption, RunArgument

if TYPE_CHECKING:
    from knowngood.runs.model import Run
    from knowngood.runs.store import RunStore


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
        _tell_what_goes_on(journal, ended)


def _tell_what_goes_on(journal: "RunStore", run: "Run") -> None:
    from knowngood.cli.polls import find_watch  # noqa: PLC0415 - slow to import
    from knowngood.runs.model import RunKind  # noqa: PLC0415

    if run.kind is not RunKind.WATCH:
        return
    if run.request.requested_by == "settings":
        print("KNOWNGOOD_STANDING_WATCHES lists its flow: it is put on again until it is not")
    watch = find_watch(journal, run.run_id)
    if watch and watch.rollback_id:
        print(f"the rollback that it started goes on: knowngood cancel {watch.rollback_id}")
