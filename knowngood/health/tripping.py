"""What a trip leads to: confirmed, held back, or a rollback that the watch follows to its end."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from knowngood.errors import NoTarget
from knowngood.genesys.port import Flow, FlowGateway, VersionStatus
from knowngood.health.baseline import Baseline
from knowngood.health.confirming import confirmed, windows_to_confirm
from knowngood.health.counting import Counted
from knowngood.health.ending import Endings
from knowngood.health.judging import read
from knowngood.health.measurement import Measurement
from knowngood.health.safeguards import Held, Hold, held_back
from knowngood.health.signals import HealthSignals
from knowngood.health.telling import breaker_alert
from knowngood.health.watch import Decision, Watch, explained, last_word
from knowngood.runs.model import RollbackRequest, Run, RunKind, RunState, WatchRequest
from knowngood.settings import Settings
from knowngood.snapshots.choice import target_for

_FOLLOW: Final = 1.0
"""Seconds between looks at the rollback that a watch started."""

_SPACE: Final = uuid.UUID("6a1f6d0e-6f0e-4d0c-9a53-0f4c1f3a7c11")


@dataclass(frozen=True)
class Trip:
    """A tripped watch as it goes on, what is decided, and the hold if there is one."""

    watch: Watch
    decision: Decision
    held: Held | None = None


@dataclass(frozen=True)
class Trips:
    """Takes tripped watches further; the two callables enqueue what was accepted."""

    settings: Settings
    signals: HealthSignals
    gateway: FlowGateway
    endings: Endings
    start_rollback: Callable[[str, RollbackRequest], None]
    start_watch: Callable[[str, WatchRequest], None]

    def weigh(self, watch: Watch, baseline: Baseline, now: datetime) -> Trip:
        """Confirm a trip and ask the safeguards; nothing is changed.

        Raises:
            KnowngoodError: the flow or analytics could not be read for it.
        """
        go_on = Decision.CONTINUE
        watch, decision = confirmed(watch, self._read_again(watch), baseline, now)
        if decision is not Decision.TRIP:
            return Trip(watch, decision)
        flow = self.gateway.read_flow(watch.flow_id, history=watch.dry_run)
        active = flow.active
        if active is None or active.status is not VersionStatus.PUBLISHED or flow.publishing:
            return Trip(explained(watch, "a version is being published", go_on), go_on)
        live = active.version_id
        if watch.standing:
            watch = watch.model_copy(update={"version_id": live})
        held = self._held(watch, live, now)
        if watch.dry_run:
            held = Held(Hold.DRY_RUN, self._would(flow, held, now))
        if held is None:
            rollback_id = str(uuid.uuid5(_SPACE, f"{watch.watch_id}:{watch.number}"))
            return Trip(watch.model_copy(update={"rollback_id": rollback_id}), Decision.TRIP)
        decision = Decision.TRIP
        if held.hold is Hold.BREAKER and now < last_word(watch):
            decision = go_on
            window = self._breaker_window(watch)
            episode = self.signals.breaker_episode(now.timestamp(), window)
            self.endings.store.raise_alert(breaker_alert(watch, held.why, episode, now))
        elif watch.standing:
            watch = watch.model_copy(update={"breaches": 0})
        told = explained(watch, held.why, decision)
        return Trip(told.model_copy(update={"held": held.why}), decision, held)

    def follow(self, watch: Watch, run: Run, now: datetime) -> None:
        """Start the watch's rollback unless it was, and end the watch when it has ended."""
        if watch.rollback_id is None:
            return
        store = self.endings.store
        rollback = store.find(watch.rollback_id)
        if rollback is None:
            request = RollbackRequest(
                flow_id=watch.flow_id,
                reason=f"watch: {watch.polls[-1].judgement.why}"[:1000],
                requested_by="watch",
                watch_id=watch.watch_id,
                from_version_id=watch.version_id,
            )
            # Counted first: a worker that dies here must not leave one uncounted.
            self.signals.note_rollback(watch.flow_id, watch.rollback_id, now.timestamp())
            accepted = store.create(RunKind.ROLLBACK, request, run_id=watch.rollback_id)
            if accepted.created:
                self.start_rollback(accepted.run_id, request)
            store.note_runs("rollback-started", [(run, {"rollback": accepted.run_id})])
        elif rollback.state.terminal:
            self._rolled_back(watch, run, rollback)
            return
        self.endings.watches.put_off([watch.watch_id], now.timestamp() + _FOLLOW)

    def _read_again(self, watch: Watch) -> Sequence[Measurement]:
        found = []
        for window in windows_to_confirm(watch):
            rows = dict(self.gateway.count([watch.flow_id], window.start, window.end))
            found.append(read(watch.flow_id, window, Counted(rows=rows), self.gateway.dialect))
        return found

    def _held(self, watch: Watch, live: str, now: datetime) -> Held | None:
        at = now.timestamp()
        if not watch.dry_run:
            self.signals.note_trip(watch.flow_id, at)
        window = self._breaker_window(watch)
        past = self.signals.history(watch.flow_id, at, window, self.endings.watches.count())
        if watch.dry_run:
            past = replace(past, tripped_flows=past.tripped_flows + 1)
        return held_back(watch.model_copy(update={"dry_run": False}), live, past, at, self.settings)

    def _would(self, flow: Flow, held: Held | None, now: datetime) -> str:
        """Say what a watch that is no dry run would have done now."""
        if held is not None:
            return f"dry run: the rollback would have been held back: {held.why}"
        live = flow.active.version_id if flow.active else None
        try:
            target = target_for(
                flow, live, registry=self.endings.registry, settings=self.settings, now=now
            )
        except NoTarget as error:
            return f"dry run: a person would have been called: {error.message}"
        return (
            f"dry run: version {live} would have been rolled back to {target.version_id} "
            f"({target.reason})"
        )

    def _breaker_window(self, watch: Watch) -> float:
        return max(self.settings.breaker_window, 2 * watch.interval)

    def _rolled_back(self, watch: Watch, run: Run, rollback: Run) -> None:
        if rollback.state is not RunState.SUCCEEDED:
            self.endings.rollback_failed(watch, run, rollback)
        elif watch.standing:
            live = rollback.target_version or watch.version_id
            fresh = {"rollback_id": None, "breaches": 0, "version_id": live}
            moved = watch.model_copy(update=fresh)
            self.endings.rolled_back(watch, run, rollback)
            self.endings.watches.save(watch.number, moved, watch.due.timestamp())
        elif rollback.outcome == "moved_on":
            self.endings.overtaken(watch, run)
        else:
            # The restored version is watched in its turn; unhealthy, it is told, not rolled back.
            request = _next_watch(watch, rollback)
            self.start_watch(str(uuid.uuid5(_SPACE, rollback.run_id)), request)
            self.endings.rolled_back(watch, run, rollback)


def _next_watch(watch: Watch, rollback: Run) -> WatchRequest:
    bake = (watch.bake_until - watch.started).total_seconds() if watch.bake_until else None
    return WatchRequest(
        flow_id=watch.flow_id,
        version_id=rollback.target_version,
        policy=watch.policy,
        bake_time=bake,
        interval=watch.interval,
        requested_by="watch",
        idempotency_key=f"restored:{rollback.run_id}",
    )
