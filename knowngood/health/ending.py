"""Ends watches: each in a terminal state, with an alert wherever a person is needed."""

from dataclasses import dataclass
from datetime import datetime

from knowngood.alerts.alert import Alert
from knowngood.health.safeguards import Held
from knowngood.health.telling import (
    broken_alert,
    held_back_alert,
    inconclusive_alert,
    lost_alert,
    rolled_back_alert,
    would_roll_back_alert,
)
from knowngood.health.watch import Watch
from knowngood.health.watches import WatchStore
from knowngood.runs.endings import reason_of
from knowngood.runs.model import Run, RunState
from knowngood.runs.store import RunStore
from knowngood.snapshots.registry import SnapshotRegistry


@dataclass(frozen=True)
class Endings:
    """Writes the end of a watch to its run, and takes it off."""

    store: RunStore
    watches: WatchStore
    registry: SnapshotRegistry

    def passed(self, watch: Watch, run: Run) -> None:
        """The version held: record it as known-good.

        Raises:
            Unreachable: the artifact store does not take it; the watch is still on.
        """
        if watch.version_id and not watch.dry_run:
            why = f"passed a watch of {watch.number} polls"
            self.registry.mark_good(watch.flow_id, watch.version_id, watch.watch_id, why)
        self._end(watch, run, RunState.SUCCEEDED, "passed")

    def inconclusive(self, watch: Watch, run: Run) -> None:
        """Nobody can say whether the version holds."""
        alert = inconclusive_alert(watch)
        self._end(watch, run, RunState.SUCCEEDED, "inconclusive", alert)

    def rolled_back(self, watch: Watch, run: Run, rollback: Run) -> None:
        """Its rollback succeeded, which is never silent; a standing watch goes on."""
        alert = rolled_back_alert(watch, rollback)
        if watch.standing:
            self.store.raise_alert(alert)
        else:
            self._end(watch, run, RunState.SUCCEEDED, "rolled_back", alert)

    def overtaken(self, watch: Watch, run: Run) -> None:
        """Another version was live before its rollback could begin: nothing was changed."""
        said = f"version {watch.version_id} was replaced before it could be rolled back"
        self._end(watch, run, RunState.CANCELLED, "overtaken", error=said)

    def rollback_failed(self, watch: Watch, run: Run, rollback: Run) -> None:
        """Its rollback did not, and has told a person itself: one alert for one trouble."""
        said = f"rollback {rollback.run_id} is {rollback.state}: {rollback.error}"
        self._end(watch, run, RunState.FAILED, "rollback_failed", error=said)

    def held_back(self, former: Watch, watch: Watch, run: Run, held: Held) -> None:
        """It tripped and must not roll back by itself; a standing watch goes on."""
        tell = would_roll_back_alert if watch.dry_run else held_back_alert
        alert = tell(watch, held.why)
        if watch.standing:
            if not former.held:
                self.store.raise_alert(alert)
        elif watch.dry_run:
            self._end(watch, run, RunState.SUCCEEDED, "would_roll_back", alert, would=held.why)
        else:
            self._end(watch, run, RunState.NEEDS_ATTENTION, "held_back", alert, error=held.why)

    def unlisted(self, watch: Watch, run: Run) -> None:
        """The settings no longer ask for this standing watch."""
        said = "the settings no longer list its flow in KNOWNGOOD_STANDING_WATCHES"
        self._end(watch, run, RunState.CANCELLED, "cancelled", error=said)

    def broken(self, watch: Watch, run: Run, error: Exception, now: datetime) -> None:
        """It cannot be judged, by a fault of ours: end it rather than fail at every poll."""
        why = f"it cannot be judged: {reason_of(error)}"
        self._end(watch, run, RunState.FAILED, "failed", broken_alert(watch, why, now), error=why)

    def lost(self, watch_id: str, run: Run | None, watch: Watch | None, now: datetime) -> None:
        """Redis holds too little of it to go on: end what is left, and tell a person."""
        alert = lost_alert(watch_id, run, watch, now)
        if run is not None:
            self.store.end(
                run.run_id,
                run.token,
                RunState.NEEDS_ATTENTION,
                outcome="lost",
                error="its record is gone from Redis",
                facts={"action": alert.what_to_do},
                alert=alert,
            )
        elif self.watches.holds(watch_id):
            self.store.raise_alert(alert)
        if watch is not None:
            self.watches.end(watch)
        self.watches.drop(watch_id)

    def _end(
        self,
        watch: Watch,
        run: Run,
        state: RunState,
        outcome: str,
        alert: Alert | None = None,
        *,
        error: str = "",
        would: str | None = None,
    ) -> None:
        result = {
            "outcome": outcome,
            "polls": watch.number,
            "rollback": watch.rollback_id,
            "version": watch.version_id,
            "would": would,
        }
        self.store.end(
            run.run_id,
            run.token,
            state,
            outcome=outcome,
            error=error,
            result=result,
            facts={"action": alert.what_to_do} if alert else {},
            alert=alert,
        )
        self.watches.end(watch)
