"""The reconciler: finds runs whose executor died and hands them out again within seconds.

It looks at the journal, never at the broker's redelivery: with Redis as the broker a message that
a killed worker held comes back only after the visibility timeout (an hour).
"""

import json
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from knowngood.alerts.alert import Alert
from knowngood.alerts.outbox import AlertOutbox
from knowngood.errors import Team
from knowngood.runs.model import RollbackRequest, Run, RunKind
from knowngood.runs.store import RunStore
from knowngood.settings import Settings
from knowngood.snapshots.registry import SnapshotRegistry

log = logging.getLogger(__name__)

_BATCH: Final = 500
_ARCHIVE_SECONDS: Final = 1.0


def reconcile(
    store: RunStore,
    registry: SnapshotRegistry,
    outbox: AlertOutbox,
    settings: Settings,
    *,
    backlog: bool,
    resume: Callable[[Run], None],
    send_alert: Callable[[str], object],
    beside: Callable[[Run], Mapping[str, Any]] = lambda _: {},
) -> dict[str, int]:
    """Do one round; return how many runs were recovered, resumed, archived, and alerts sent.

    `backlog` says whether the rollback queue holds messages that no worker has taken yet: then a
    run that waits for its message is not taken for dead. Any number of reconcilers may run.
    `beside` returns what is archived with an ended run and is not in its journal.

    Raises:
        Unreachable: the journal or the artifact store does not answer.
    """
    recovered = recover_lost(store, registry)
    resumed = 0
    for run_id in store.silent(_BATCH):
        run = store.take_over(run_id, backlog=backlog)
        if run is not None:
            log.warning("run %s was silent at step %s: resumed", run_id, run.step)
            resume(run)
            resumed += 1
    warn_overdue(store, settings)
    due = outbox.due(store.time(), _BATCH)
    for alert_id in due:
        send_alert(alert_id)
    archived = archive_ended(store, registry, beside)
    store.purge()
    store.note_round()
    return {"recovered": recovered, "resumed": resumed, "alerts": len(due), "archived": archived}


def recover_lost(store: RunStore, registry: SnapshotRegistry) -> int:
    """When Redis came back empty, write the open rollbacks anew and tell a person.

    A rollback leaves a note in the artifact store before its first write; such a run is accepted
    again under its own id and target, and reads the flow before it writes. Watches and waiting
    snapshots have no such note: the alert says that they are gone.
    """
    if store.born():
        return 0
    notes = [json.loads(note) for note in registry.open_runs()]
    for note in notes:
        request = RollbackRequest.model_validate(
            note["request"] | {"target_version_id": note["target_version"]}
        )
        facts = {"flow_name": note["flow_name"], "takeovers": "1"}
        if note["from_version"]:
            facts["from_version"] = note["from_version"]
        store.create(RunKind.ROLLBACK, request, run_id=note["run_id"], facts=facts)
        if (run := store.dispatch(note["run_id"])) is not None:
            # Its message went with the rest: let the next look hand it out.
            log.warning("rollback %s of %s was recovered from its note", run.run_id, run.flow_id)
    if notes or registry.archived_runs(1):
        _tell_of_loss(store, [note["run_id"] for note in notes])
    store.mark_born()
    return len(notes)


def _tell_of_loss(store: RunStore, recovered: list[str]) -> None:
    now = datetime.now(UTC)
    store.raise_alert(
        Alert(
            alert_id=f"journal-lost.{now:%Y%m%dT%H%M%S}",
            kind="journal.lost",
            team=Team.OPERATIONS,
            title="Redis came back empty: watches and waiting runs are gone",
            flow_id="-",
            flow_name="all flows",
            run_id="-",
            what_happened=(
                "The run journal is empty although the artifact store holds earlier runs: Redis "
                "lost its data or was replaced."
            ),
            what_was_tried=(
                f"Rollbacks that had begun to write were taken up again: {', '.join(recovered)}."
                if recovered
                else "No rollback had begun to write; none was taken up."
            ),
            what_to_do=(
                "Start the watches of recent deployments again: knowngood watch FLOW. "
                "See that Redis persists (AOF): knowngood doctor"
            ),
            raised_at=now,
            dedupe_key="journal-lost",
        )
    )


def warn_overdue(store: RunStore, settings: Settings) -> None:
    """Alert once a rollback that holds the lock for longer than `restore_budget` seconds."""
    now = store.time()
    for run in store.active(RunKind.ROLLBACK):
        held = run.lock_held_at
        if held is None or run.restored_at or now - held.timestamp() <= settings.restore_budget:
            continue
        store.raise_alert(
            Alert(
                alert_id=f"{run.run_id}.overdue",
                kind="rollback.overdue",
                team=Team.OPERATIONS,
                title=f"{run.flow_name}: rollback takes longer than {settings.restore_budget:g} s",
                flow_id=run.flow_id,
                flow_name=run.flow_name,
                run_id=run.run_id,
                what_happened=(
                    f"The rollback to version {run.target_version} is at step {run.step} "
                    f"({run.state}); callers still hear version {run.from_version}."
                ),
                what_was_tried=f"Step {run.step} was tried {run.attempt} times, and goes on.",
                what_to_do=f"Follow it: knowngood status {run.run_id} --wait",
                raised_at=datetime.now(UTC),
                dedupe_key=f"{run.run_id}.overdue",
            )
        )


def archive_ended(
    store: RunStore, registry: SnapshotRegistry, beside: Callable[[Run], Mapping[str, Any]]
) -> int:
    """Write ended runs with their journals to the artifact store; return how many.

    Many watches may end at once: what is not written within a second waits for the next round, for
    a rollback must not.
    """
    deadline = time.monotonic() + _ARCHIVE_SECONDS
    archived = 0
    for run_id in store.unarchived(_BATCH):
        if time.monotonic() >= deadline:
            break
        run = store.find(run_id)
        if run is not None:
            day = f"{run.ended or datetime.now(UTC):%Y-%m-%d}"
            registry.archive_run(day, run_id, store.export(run_id, beside(run)))
            registry.close_run(run_id)
        store.archived(run_id)
        archived += 1
    return archived
