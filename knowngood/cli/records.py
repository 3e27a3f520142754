"""A run with its journal and its polls: from Redis, or from the archive once Redis forgot it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from knowngood.cli.journal import open_journal
from knowngood.cli.polls import find_watch
from knowngood.errors import Refused
from knowngood.health.watch import Watch
from knowngood.runs.model import JournalEntry, Run


@dataclass(frozen=True)
class Record:
    """What is known of a run. `watch` is None for other kinds, and before it was put on."""

    run: Run
    entries: Sequence[JournalEntry]
    watch: Watch | None


def record_of(run_id: str) -> Record:
    """Read a run, however long ago it ended.

    Raises:
        Refused: there is no such run.
        Unreachable: Redis or the artifact store does not answer.
    """
    store = open_journal()
    run = store.find(run_id)
    if run is not None:
        return Record(run, store.journal(run.run_id), find_watch(store, run.run_id))
    archived = _archived(run_id)
    if archived is None:
        raise Refused(
            "run", run_id, "no such run, nor in the archive; `knowngood runs` lists the newest"
        )
    return archived


def _archived(run_id: str) -> Record | None:
    from knowngood import parts  # noqa: PLC0415 - slow to import, and seldom needed

    content = parts.registry().archived_run(run_id)
    if content is None:
        return None
    kept = json.loads(content)
    entries = [JournalEntry.from_stream(entry.pop("id"), entry) for entry in kept["journal"]]
    return Record(Run.from_hash(kept["run"]), entries, _read(kept.get("watch")))


def _read(watch: Any) -> Watch | None:
    try:
        return Watch.model_validate(watch, extra="ignore") if watch else None
    except ValidationError:
        # A release of long ago wrote it otherwise: its journal still tells each poll's verdict.
        return None
