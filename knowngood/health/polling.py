"""Polls watches in batches: measure, judge, and do what follows from it."""

import logging
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from knowngood.alerts.alert import Alert
from knowngood.errors import KnowngoodError, RateLimited, Team
from knowngood.genesys.port import FlowCounts, FlowGateway
from knowngood.health.baseline import baseline_of
from knowngood.health.judgement import Verdict
from knowngood.health.measurement import measured
from knowngood.health.safeguards import held_back
from knowngood.health.watch import Decision, Watch, advance, outage_of, window_for
from knowngood.health.watches import WatchStore, utc
from knowngood.health.windows import Window
from knowngood.runs.model import RollbackRequest, Run, RunKind, RunState
from knowngood.runs.store import RunStore
from knowngood.settings import Settings
from knowngood.snapshots.registry import SnapshotRegistry

log = logging.getLogger(__name__)

_FOLLOW: Final = 1.0
"""Seconds between looks at the rollback that a watch started."""

_SPACE: Final = uuid.UUID("6a1f6d0e-6f0e-4d0c-9a53-0f4c1f3a7c11")


@dataclass(frozen=True)
class Polling:
    """What polls work with; `start_rollback` enqueues an accepted rollback."""

    settings: Settings
    store: RunStore
    watches: WatchStore
    gateway: FlowGateway
    registry: SnapshotRegistry
    start_rollback: Callable[[str, RollbackRequest], None]

    def poll(self, watch_ids: Sequence[str]) -> Counter[str]:
        """Poll the watches of one batch that are due; return how many had each verdict.

        A watch that another delivery of the batch has polled already is left alone.
        """
        now = utc(self.store.time())
        runs = self.store.many(watch_ids)
        verdicts: Counter[str] = Counter()
        due: list[tuple[Watch, Run]] = []
        for watch in self.watches.get(watch_ids):
            run = runs.get(watch.watch_id)
            if run is None or run.state.terminal:
                self.watches.end(watch)
            elif watch.rollback_id is not None:
                self._follow(watch, run, now)
            elif watch.due <= now + timedelta(seconds=0.5):
                due.append((watch, run))
        for window, members in _by_window(due, now).items():
            verdicts.update(self._poll_window(window, members, now))
        if verdicts:
            self.watches.count_polls({Verdict(name): n for name, n in verdicts.items()})
        return verdicts

    def _poll_window(
        self, window: Window | None, members: Sequence[tuple[Watch, Run]], now: datetime
    ) -> list[str]:
        counts: dict[str, FlowCounts] = {}
        trouble = ""
        if window is not None:
            flows = [watch.flow_id for watch, _ in members]
            try:
                counts = dict(self.gateway.count(flows, window.start, window.end))
            except RateLimited as error:
                # Our own limit says nothing about the flow or about analytics: come back later.
                for watch, _ in members:
                    later = now.timestamp() + (error.retry_after or 1)
                    self.watches.save(watch.number, watch, later)
                return []
            except KnowngoodError as error:
                trouble = f"analytics does not answer: {error.message}"
        return [
            self._judge(watch, run, window, counts, trouble=trouble, now=now)
            for watch, run in members
        ]

    def _judge(
        self,
        watch: Watch,
        run: Run,
        window: Window | None,
        counts: dict[str, FlowCounts],
        *,
        trouble: str,
        now: datetime,
    ) -> str:
        measurement = None
        if window is not None and not trouble:
            measurement = measured(
                counts.get(watch.flow_id),
                flow_id=watch.flow_id,
                window=window,
                source=self.gateway.dialect,
            )
        baseline = self.watches.baseline(watch.flow_id)
        moved, decision = advance(watch, measurement, baseline, now, source_error=trouble)
        held = ""
        if decision is Decision.TRIP:
            held = self._held(moved, now)
            if not held:
                rollback_id = str(uuid.uuid5(_SPACE, f"{watch.watch_id}:{moved.number}"))
                moved = moved.model_copy(update={"rollback_id": rollback_id})
            elif watch.standing:
                moved = moved.model_copy(update={"breaches": 0, "held": held})
        outage = outage_of(moved, now, self.settings.health_outage_alert_after)
        if outage:
            moved = moved.model_copy(update={"outage_told": outage == "began"})
        due = now.timestamp() if moved.rollback_id else moved.due.timestamp()
        if not self.watches.save(watch.number, moved, due):
            return moved.polls[-1].judgement.verdict
        self._after(moved, run, decision, held, former_held=watch.held)
        if outage:
            self._tell_outage(moved, outage, now)
        return moved.polls[-1].judgement.verdict

    def _held(self, watch: Watch, now: datetime) -> str:
        at, window = now.timestamp(), self.settings.breaker_window
        tripped = self.watches.note_trip(watch.flow_id, at, window)
        past = self.watches.history(watch.flow_id, at, tripped)
        return held_back(watch, watch.version_id, past, at, self.settings)

    def _after(
        self, watch: Watch, run: Run, decision: Decision, held: str, *, former_held: str
    ) -> None:
        poll = watch.polls[-1]
        self.store.note_run(
            run,
            "polled",
            {
                "number": poll.number,
                "verdict": poll.judgement.verdict,
                "why": poll.judgement.why,
                "breaches": poll.breaches,
                "volume": poll.measurement.volume if poll.measurement else None,
                "decision": decision,
            },
        )
        match decision:
            case Decision.CONTINUE:
                return
            case Decision.TRIP if held:
                self._held_back(watch, run, held, former_held)
            case Decision.TRIP:
                self._follow(watch, run, poll.at)
            case Decision.PASS:
                self._passed(watch, run)
            case Decision.INCONCLUSIVE:
                self._end(watch, run, RunState.SUCCEEDED, "inconclusive", _inconclusive(watch))

    def _passed(self, watch: Watch, run: Run) -> None:
        if watch.version_id:
            why = f"passed a watch of {watch.number} polls"
            self.registry.mark_good(watch.flow_id, watch.version_id, watch.watch_id, why)
        healthy = [p.measurement for p in watch.polls if p.measurement]
        fresh = baseline_of(healthy)
        if fresh.windows > self.watches.baseline(watch.flow_id).windows:
            self.watches.keep_baseline(watch.flow_id, fresh)
        self._end(watch, run, RunState.SUCCEEDED, "passed")

    def _held_back(self, watch: Watch, run: Run, held: str, former_held: str) -> None:
        alert = _held_alert(watch, held)
        if watch.standing:
            if held.partition(":")[0] != former_held.partition(":")[0]:
                self.store.raise_alert(alert)
            return
        if watch.dry_run:
            self._end(watch, run, RunState.SUCCEEDED, "would_roll_back")
            return
        self._end(watch, run, RunState.NEEDS_ATTENTION, "held_back", alert, error=held)

    def _follow(self, watch: Watch, run: Run, now: datetime) -> None:
        """Start the watch's rollback unless it was, and end the watch when it has ended."""
        if watch.rollback_id is None:
            return
        rollback = self.store.find(watch.rollback_id)
        if rollback is None:
            request = _rollback_request(watch)
            accepted = self.store.create(RunKind.ROLLBACK, request, run_id=watch.rollback_id)
            self.watches.note_rollback(watch.flow_id, accepted.run_id, now.timestamp())
            if accepted.created:
                self.start_rollback(accepted.run_id, request)
            self.store.note_run(run, "rollback-started", {"rollback": accepted.run_id})
        elif rollback.state.terminal:
            self._rolled_back(watch, run, rollback)
            return
        self.watches.save(watch.number, watch, now.timestamp() + _FOLLOW)

    def _rolled_back(self, watch: Watch, run: Run, rollback: Run) -> None:
        if rollback.state is RunState.SUCCEEDED:
            if rollback.target_version:
                self.watches.note_restored(watch.flow_id, rollback.target_version)
            if watch.standing:
                fresh = {"rollback_id": None, "breaches": 0, "version_id": rollback.target_version}
                self.watches.save(
                    watch.number, watch.model_copy(update=fresh), watch.due.timestamp()
                )
                return
            self._end(watch, run, RunState.SUCCEEDED, "rolled_back")
            return
        # The rollback has told a person itself: one alert for one trouble.
        said = f"rollback {rollback.run_id} is {rollback.state}: {rollback.error}"
        self._end(watch, run, RunState.FAILED, "rollback_failed", error=said)

    def _end(
        self,
        watch: Watch,
        run: Run,
        state: RunState,
        outcome: str,
        alert: Alert | None = None,
        *,
        error: str = "",
    ) -> None:
        result = {
            "outcome": outcome,
            "polls": watch.number,
            "rollback": watch.rollback_id,
            "version": watch.version_id,
        }
        facts = {"action": alert.what_to_do} if alert else {}
        self.store.end(
            run.run_id,
            run.token,
            state,
            outcome=outcome,
            error=error,
            result=result,
            facts=facts,
            alert=alert,
        )
        self.watches.end(watch)

    def _tell_outage(self, watch: Watch, phase: str, now: datetime) -> None:
        since = f"{watch.failing_since or now:%Y%m%dT%H%M%S}"
        began = phase == "began"
        self.store.raise_alert(
            Alert(
                alert_id=f"{watch.watch_id}.analytics-{phase}.{since if began else watch.number}",
                kind=f"analytics.outage_{phase}",
                team=Team.OPERATIONS,
                title=f"{watch.flow_name}: analytics {'is down' if began else 'answers again'}",
                flow_id=watch.flow_id,
                flow_name=watch.flow_name,
                run_id=watch.watch_id,
                what_happened=(
                    f"Analytics has not answered since {watch.failing_since:%H:%M:%S} UTC: "
                    f"{watch.polls[-1].judgement.why}."
                    if began
                    else "Analytics answers again: the watch judges as before."
                ),
                what_was_tried="The watch goes on polling; an outage is never taken for a breach.",
                what_to_do=(
                    "Watch the flow by hand meanwhile: knowngood doctor" if began else "Nothing."
                ),
                raised_at=now,
                dedupe_key=f"{watch.watch_id}.analytics",
            )
        )


def _by_window(
    due: Sequence[tuple[Watch, Run]], now: datetime
) -> dict[Window | None, list[tuple[Watch, Run]]]:
    grouped: defaultdict[Window | None, list[tuple[Watch, Run]]] = defaultdict(list)
    for watch, run in due:
        grouped[window_for(watch, now)].append((watch, run))
    return grouped


def _rollback_request(watch: Watch) -> RollbackRequest:
    return RollbackRequest(
        flow_id=watch.flow_id,
        reason=f"watch: {watch.polls[-1].judgement.why}"[:1000],
        requested_by="watch",
        watch_id=watch.watch_id,
    )


def _held_alert(watch: Watch, held: str) -> Alert:
    poll = watch.polls[-1]
    return Alert(
        alert_id=f"{watch.watch_id}.held.{poll.number}",
        kind="watch.held_back",
        team=Team.OPERATIONS,
        title=f"{watch.flow_name} is unhealthy and was not rolled back",
        flow_id=watch.flow_id,
        flow_name=watch.flow_name,
        run_id=watch.watch_id,
        what_happened=f"{poll.breaches} breaches in a row: {poll.judgement.why}.",
        what_was_tried=f"The automatic rollback is held back: {held}.",
        what_to_do=(
            "Decide: knowngood rollback "
            f"{watch.flow_id} --reason 'unhealthy'; what was measured: "
            f"knowngood explain {watch.watch_id}"
        ),
        raised_at=poll.at,
        dedupe_key=watch.watch_id,
    )


def _inconclusive(watch: Watch) -> Alert:
    poll = watch.polls[-1]
    return Alert(
        alert_id=f"{watch.watch_id}.end",
        kind="watch.inconclusive",
        team=Team.OPERATIONS,
        title=f"{watch.flow_name}: nobody can say whether the deployment is healthy",
        flow_id=watch.flow_id,
        flow_name=watch.flow_name,
        run_id=watch.watch_id,
        what_happened=f"The watch ended after {watch.number} polls without a verdict: "
        f"{poll.judgement.why}.",
        what_was_tried="Nothing was changed: inconclusive is never a breach.",
        what_to_do=f"See what was measured: knowngood explain {watch.watch_id}",
        raised_at=poll.at,
        dedupe_key=watch.watch_id,
    )
