"""Polls watches in batches: measure, judge, and do what follows from it."""

import logging
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from knowngood.alerts.alert import Alert
from knowngood.errors import ApiUnavailable, KnowngoodError, RateLimited
from knowngood.genesys.port import FlowGateway, VersionStatus
from knowngood.health.baseline import Baseline
from knowngood.health.counting import Counted, count_each
from knowngood.health.history import read_history, windows_before
from knowngood.health.judgement import Verdict
from knowngood.health.measurement import Measurement, measured
from knowngood.health.safeguards import Held, Hold, held_back
from knowngood.health.signals import ALL, HealthSignals
from knowngood.health.telling import (
    blind_alert,
    breaker_alert,
    held_back_alert,
    inconclusive_alert,
    seeing_alert,
)
from knowngood.health.watch import (
    Decision,
    Watch,
    advance,
    explained,
    is_sustained,
    last_word,
    window_for,
    windows_to_confirm,
)
from knowngood.health.watches import WatchStore, utc
from knowngood.health.windows import Window
from knowngood.runs.model import RollbackRequest, Run, RunKind, RunState, WatchRequest
from knowngood.runs.store import RunStore
from knowngood.settings import Settings
from knowngood.snapshots.registry import SnapshotRegistry

log = logging.getLogger(__name__)

_FOLLOW: Final = 1.0
"""Seconds between looks at the rollback that a watch started."""

_ASK_AGAIN: Final = 3.0
"""Seconds until a trip is looked at again that could not be confirmed."""

_HISTORY_SECONDS: Final = 2.0
"""One batch spends no longer on history; the next poll reads on."""

_SPACE: Final = uuid.UUID("6a1f6d0e-6f0e-4d0c-9a53-0f4c1f3a7c11")


@dataclass(frozen=True)
class _Due:
    """A watch whose poll is due, its run, and the window to measure."""

    watch: Watch
    run: Run
    window: Window | None


@dataclass(frozen=True)
class _Judged:
    """A watch after its poll, what follows, and the scope of what went wrong, if anything did."""

    due: _Due
    moved: Watch
    decision: Decision
    scope: str

    @property
    def verdict(self) -> Verdict:
        return self.moved.polls[-1].judgement.verdict


@dataclass(frozen=True)
class Polling:
    """What polls work with; the two callables enqueue what was accepted."""

    settings: Settings
    store: RunStore
    watches: WatchStore
    signals: HealthSignals
    gateway: FlowGateway
    registry: SnapshotRegistry
    start_rollback: Callable[[str, RollbackRequest], None]
    start_watch: Callable[[str, WatchRequest], None]

    def poll(self, watch_ids: Sequence[str]) -> Counter[str]:
        """Poll the watches of one batch that are due; return how many had each verdict.

        A watch that another delivery of the batch has polled already is left alone.
        """
        now = utc(self.store.time())
        runs = self.store.many(watch_ids)
        due: list[_Due] = []
        for watch in self.watches.get(watch_ids):
            run = runs.get(watch.watch_id)
            if run is None or run.state.terminal:
                self.watches.end(watch)
            elif watch.rollback_id is not None:
                self._follow(watch, run, now)
            elif watch.due <= now + timedelta(seconds=0.5):
                due.append(_Due(watch, run, window_for(watch, now)))
        baselines = self._baselines(due, now)
        judged = self._judge(due, baselines, now)
        self.signals.note_verdicts(
            ((each.moved.flow_id, each.verdict) for each in judged), now.timestamp()
        )
        for each in judged:
            self._settle(each, baselines[each.moved.flow_id], now)
        self._tell_outages(judged, now)
        verdicts = Counter(each.verdict for each in judged)
        self.watches.count_polls(verdicts)
        return Counter({str(verdict): number for verdict, number in verdicts.items()})

    def _baselines(self, due: Sequence[_Due], now: datetime) -> dict[str, Baseline]:
        """Read what is usual for the flows, and from analytics what is not known of this hour."""
        flows = [each.watch.flow_id for each in due]
        known = dict(zip(flows, self.watches.baselines(flows), strict=True))
        if not self.settings.health_history_days:
            return known
        lacking: defaultdict[tuple[datetime, float, float], list[str]] = defaultdict(list)
        for each in due:
            at = each.window.start if each.window else now
            if known[each.watch.flow_id].lacks(at, now):
                hour = at.replace(minute=0, second=0, microsecond=0)
                group = (hour, each.watch.interval, each.watch.window)
                lacking[group].append(each.watch.flow_id)
        deadline = time.monotonic() + _HISTORY_SECONDS
        size = self.gateway.flows_per_count
        for (hour, interval, length), flow_ids in lacking.items():
            days = self.settings.health_history_days
            windows = windows_before(hour, days=days, interval=interval, length=length)
            for first in range(0, len(flow_ids), size):
                if time.monotonic() >= deadline:
                    return known
                chunk = flow_ids[first : first + size]
                try:
                    told = read_history(self.gateway, chunk, windows)
                except KnowngoodError as error:
                    log.info("no history of %d flows yet: %s", len(chunk), error)
                    return known
                for flow_id in chunk:
                    known[flow_id] = known[flow_id].with_hour(hour, told[flow_id], now)
                self.watches.keep_baselines({flow_id: known[flow_id] for flow_id in chunk})
        return known

    def _judge(
        self, due: Sequence[_Due], baselines: dict[str, Baseline], now: datetime
    ) -> list[_Judged]:
        by_window: defaultdict[Window | None, list[_Due]] = defaultdict(list)
        for each in due:
            by_window[each.window].append(each)
        judged: list[_Judged] = []
        for window, members in by_window.items():
            flows = [each.watch.flow_id for each in members]
            counted = count_each(self.gateway, flows, window) if window else Counted()
            for each in members:
                trouble = counted.troubles.get(each.watch.flow_id)
                if isinstance(trouble, RateLimited) and self._may_wait(each.watch, now):
                    # Our own limit says nothing about the flow or about analytics.
                    later = now.timestamp() + (trouble.retry_after or 1)
                    self.watches.save(each.watch.number, each.watch, later)
                    continue
                measurement = None
                if window is not None and trouble is None:
                    measurement = self._measured(each.watch.flow_id, window, counted)
                moved, decision = advance(
                    each.watch,
                    measurement,
                    baselines[each.watch.flow_id],
                    now,
                    source_error=f"analytics does not answer: {trouble.message}" if trouble else "",
                )
                whole = isinstance(trouble, ApiUnavailable | RateLimited)
                judged.append(_Judged(each, moved, decision, ALL if whole else moved.flow_id))
        return judged

    def _may_wait(self, watch: Watch, now: datetime) -> bool:
        return (now - watch.due).total_seconds() < self.settings.health_outage_alert_after

    def _measured(self, flow_id: str, window: Window, counted: Counted) -> Measurement:
        return measured(
            counted.rows.get(flow_id), flow_id=flow_id, window=window, source=self.gateway.dialect
        )

    def _settle(self, judged: _Judged, baseline: Baseline, now: datetime) -> None:
        watch, moved, decision = judged.due.watch, judged.moved, judged.decision
        held: Held | None = None
        if decision is Decision.TRIP:
            try:
                moved, decision, held = self._tripped(moved, baseline, now)
            except KnowngoodError as error:
                if self._may_wait(watch, now):
                    self.watches.save(watch.number, watch, now.timestamp() + _ASK_AGAIN)
                    return
                decision = Decision.CONTINUE
                moved = explained(moved, f"not confirmed: {error.message}", decision)
        due = now.timestamp() if moved.rollback_id else moved.due.timestamp()
        if not self.watches.save(watch.number, moved, due):
            return
        run = judged.due.run
        self._journal(watch, moved, run)
        match decision:
            case Decision.CONTINUE:
                return
            case Decision.TRIP if held:
                self._held_back(watch, moved, run, held)
            case Decision.TRIP:
                self._follow(moved, run, now)
            case Decision.PASS:
                self._passed(moved, run)
            case Decision.INCONCLUSIVE:
                alert = inconclusive_alert(moved)
                self._end(moved, run, RunState.SUCCEEDED, "inconclusive", alert)

    def _tripped(
        self, watch: Watch, baseline: Baseline, now: datetime
    ) -> tuple[Watch, Decision, Held | None]:
        """Confirm a trip and ask the safeguards; return the watch, what follows, and the hold.

        Raises:
            KnowngoodError: the flow or analytics could not be read for it.
        """
        go_on = Decision.CONTINUE
        if why := self._not_sustained(watch, baseline):
            return explained(watch, why, go_on), go_on, None
        live: str | None = None
        if not watch.dry_run:
            active = self.gateway.read_flow(watch.flow_id, history=False).active
            if active is None or active.status is not VersionStatus.PUBLISHED:
                return explained(watch, "a version is being published", go_on), go_on, None
            live = active.version_id
        if watch.standing:
            watch = watch.model_copy(update={"version_id": live or watch.version_id})
        held = self._held(watch, live, now)
        if held is None:
            rollback_id = str(uuid.uuid5(_SPACE, f"{watch.watch_id}:{watch.number}"))
            return watch.model_copy(update={"rollback_id": rollback_id}), Decision.TRIP, None
        decision = Decision.TRIP
        if held.hold is Hold.BREAKER and now < last_word(watch):
            decision = go_on
            window = max(self.settings.breaker_window, 2 * watch.interval)
            episode = self.signals.breaker_episode(now.timestamp(), window)
            self.store.raise_alert(breaker_alert(watch, held.why, episode, now))
        elif watch.standing:
            watch = watch.model_copy(update={"breaches": 0})
        told = explained(watch, held.why, decision)
        return told.model_copy(update={"held": held.why}), decision, held

    def _not_sustained(self, watch: Watch, baseline: Baseline) -> str:
        halves = []
        for half in windows_to_confirm(watch):
            rows = dict(self.gateway.count([watch.flow_id], half.start, half.end))
            halves.append(self._measured(watch.flow_id, half, Counted(rows=rows)))
        if is_sustained(watch, halves, baseline):
            return ""
        return "part of these windows was healthy, so one more breach in a row is awaited"

    def _held(self, watch: Watch, live: str | None, now: datetime) -> Held | None:
        at = now.timestamp()
        self.signals.note_trip(watch.flow_id, at)
        window = max(self.settings.breaker_window, 2 * watch.interval)
        past = self.signals.history(watch.flow_id, at, window, self.watches.count())
        return held_back(watch, live, past, at, self.settings)

    def _journal(self, watch: Watch, moved: Watch, run: Run) -> None:
        poll = moved.polls[-1]
        former = watch.polls[-1].judgement.verdict if watch.polls else None
        if moved.standing and former is poll.judgement.verdict is Verdict.OK:
            # A standing watch never ends: only what changes is worth a line for ever.
            return
        detail: dict[str, Any] = {
            "number": poll.number,
            "verdict": poll.judgement.verdict,
            "why": poll.judgement.why,
            "breaches": poll.breaches,
            "volume": poll.measurement.volume if poll.measurement else None,
            "decision": poll.decision,
        }
        self.store.note_run(run, "polled", detail)

    def _passed(self, watch: Watch, run: Run) -> None:
        if watch.version_id and not watch.dry_run:
            why = f"passed a watch of {watch.number} polls"
            self.registry.mark_good(watch.flow_id, watch.version_id, watch.watch_id, why)
        self._end(watch, run, RunState.SUCCEEDED, "passed")

    def _held_back(self, former: Watch, watch: Watch, run: Run, held: Held) -> None:
        alert = held_back_alert(watch, held.why)
        if watch.standing:
            if not former.held:
                self.store.raise_alert(alert)
        elif watch.dry_run:
            self._end(watch, run, RunState.SUCCEEDED, "would_roll_back")
        else:
            self._end(watch, run, RunState.NEEDS_ATTENTION, "held_back", alert, error=held.why)

    def _follow(self, watch: Watch, run: Run, now: datetime) -> None:
        """Start the watch's rollback unless it was, and end the watch when it has ended."""
        if watch.rollback_id is None:
            return
        rollback = self.store.find(watch.rollback_id)
        if rollback is None:
            request = RollbackRequest(
                flow_id=watch.flow_id,
                reason=f"watch: {watch.polls[-1].judgement.why}"[:1000],
                requested_by="watch",
                watch_id=watch.watch_id,
            )
            accepted = self.store.create(RunKind.ROLLBACK, request, run_id=watch.rollback_id)
            self.signals.note_rollback(watch.flow_id, accepted.run_id, now.timestamp())
            if accepted.created:
                self.start_rollback(accepted.run_id, request)
            self.store.note_run(run, "rollback-started", {"rollback": accepted.run_id})
        elif rollback.state.terminal:
            self._rolled_back(watch, run, rollback)
            return
        self.watches.save(watch.number, watch, now.timestamp() + _FOLLOW)

    def _rolled_back(self, watch: Watch, run: Run, rollback: Run) -> None:
        if rollback.state is not RunState.SUCCEEDED:
            # The rollback has told a person itself: one alert for one trouble.
            said = f"rollback {rollback.run_id} is {rollback.state}: {rollback.error}"
            self._end(watch, run, RunState.FAILED, "rollback_failed", error=said)
            return
        if watch.standing:
            fresh = {"rollback_id": None, "breaches": 0, "version_id": rollback.target_version}
            moved = watch.model_copy(update=fresh)
            self.watches.save(watch.number, moved, watch.due.timestamp())
            return
        # The restored version is watched in its turn; unhealthy, it is told and not rolled back.
        self.start_watch(str(uuid.uuid5(_SPACE, rollback.run_id)), _next_watch(watch, rollback))
        self._end(watch, run, RunState.SUCCEEDED, "rolled_back")

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

    def _tell_outages(self, judged: Sequence[_Judged], now: datetime) -> None:
        """Alert once when analytics has told nothing for long, and once when that is over."""
        seeing: defaultdict[str, list[str]] = defaultdict(list)
        told_by = {}
        for each in judged:
            watch = each.moved
            if watch.blind_since is None:
                if watch.polls[-1].measurement is not None:
                    for scope in (ALL, watch.flow_id):
                        seeing[scope].append(watch.watch_id)
                        told_by[scope] = watch
            elif (
                now - watch.blind_since
            ).total_seconds() >= self.settings.health_outage_alert_after:
                at = now.timestamp()
                episode = self.signals.outage_began(each.scope, watch.watch_id, at)
                self.store.raise_alert(blind_alert(watch, each.scope, episode, now))
        for scope, episode in self.signals.outages_ended(seeing).items():
            self.store.raise_alert(seeing_alert(told_by[scope], scope, episode, now))
            self.signals.forget_outage(scope)


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
