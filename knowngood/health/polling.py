"""Polls watches in batches: load, measure, judge, save, and do what follows from it.

A batch costs a few round trips to Redis however many watches it holds, and one query for the flows
that share a window. What happens seldom (trips, ends) is done watch by watch.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Self

from knowngood.errors import KnowngoodError, RateLimited
from knowngood.genesys.port import FlowGateway
from knowngood.genesys.purpose import Priority, Purpose, calling_for
from knowngood.health.baseline import Baseline
from knowngood.health.ending import Endings
from knowngood.health.judgement import Verdict
from knowngood.health.judging import Answers, Due, Judged, ask, judge, trouble_of
from knowngood.health.outages import Outages
from knowngood.health.safeguards import Held
from knowngood.health.signals import HealthSignals
from knowngood.health.starting import is_unlisted, renewed
from knowngood.health.tripping import Trips
from knowngood.health.usual import Usual
from knowngood.health.watch import Decision, Watch, explained, window_for
from knowngood.health.watches import WatchStore, utc
from knowngood.health.windows import spread
from knowngood.runs.model import RollbackRequest, Run, WatchRequest
from knowngood.runs.store import RunStore
from knowngood.settings import Settings

log = logging.getLogger(__name__)

PER_SECOND: Final = 200
"""Watches that fall due in a second when very many are on: one process polls more."""

_ASK_AGAIN: Final = 3.0
"""Seconds until a trip is looked at again that could not be confirmed."""


@dataclass(frozen=True)
class Polling:
    """What polls work with."""

    settings: Settings
    store: RunStore
    watches: WatchStore
    signals: HealthSignals
    gateway: FlowGateway
    usual: Usual
    trips: Trips
    endings: Endings
    outages: Outages

    @classmethod
    def of(
        cls,
        settings: Settings,
        gateway: FlowGateway,
        endings: Endings,
        *,
        start_rollback: Callable[[str, RollbackRequest], None],
        start_watch: Callable[[str, WatchRequest], None],
    ) -> Self:
        """Put together what polls work with; the two callables enqueue what was accepted."""
        store, watches = endings.store, endings.watches
        signals = HealthSignals(store.redis)
        trips = Trips(
            settings=settings,
            signals=signals,
            gateway=gateway,
            endings=endings,
            start_rollback=start_rollback,
            start_watch=start_watch,
        )
        return cls(
            settings=settings,
            store=store,
            watches=watches,
            signals=signals,
            gateway=gateway,
            usual=Usual(settings, watches, gateway),
            trips=trips,
            endings=endings,
            outages=Outages(settings, store, signals),
        )

    def poll(self, watch_ids: Sequence[str]) -> Counter[str]:
        """Poll the watches of one batch that are due; return how many had each verdict.

        A watch that another delivery of the batch has polled already is left alone.
        """
        now = utc(self.store.time())
        due, restoring = self._load(watch_ids, now)
        answers = ask(self.gateway, due)
        due = self.usual.of_today(self._without_limited(due, answers, now))
        baselines = self.usual.of(due, now)
        judged = [
            found
            for each in due
            if (found := self._judged(each, answers, baselines[each.watch.flow_id], now))
        ]
        self.signals.note_verdicts(
            (
                (each.moved.flow_id, each.verdict)
                for each in judged
                # A dry run touches nothing, nor what other watches rest on.
                if not each.moved.dry_run
            ),
            now.timestamp(),
        )
        calm = [each for each in judged if each.decision is not Decision.TRIP]
        self._settle(calm, baselines, now)
        for each in judged:
            # A trip asks Genesys again, which may be slow: it delays none of the others.
            if each.decision is Decision.TRIP:
                self._settle([each], baselines, now)
        self.outages.tell(judged, now)
        for watch, run in restoring:
            self.trips.follow(watch, run, now)
        verdicts = Counter(each.verdict for each in judged)
        self.watches.count_polls(verdicts)
        return Counter({str(verdict): number for verdict, number in verdicts.items()})

    def _load(
        self, watch_ids: Sequence[str], now: datetime
    ) -> tuple[list[Due], list[tuple[Watch, Run]]]:
        """Return the watches to poll, and those whose rollback is under way."""
        runs = self.store.many(watch_ids)
        found = {watch.watch_id: watch for watch in self.watches.get(watch_ids)}
        due: list[Due] = []
        restoring: list[tuple[Watch, Run]] = []
        for watch_id in watch_ids:
            watch, run = found.get(watch_id), runs.get(watch_id)
            if run is None or (watch is None and run.position > 0):
                self.endings.lost(watch_id, run, watch, now)
            elif watch is None:
                # It is not put on yet.
                continue
            elif run.state.terminal:
                self.watches.end(watch)
            elif is_unlisted(watch, run, self.settings):
                self.endings.unlisted(watch, run)
            elif watch.rollback_id is not None:
                restoring.append((watch, run))
            elif watch.due <= now:
                current = renewed(watch, run, self.settings)
                due.append(Due(current, run, window_for(current, now)))
        return due, restoring

    def _without_limited(self, due: Sequence[Due], answers: Answers, now: datetime) -> list[Due]:
        """Put those off that our own rate limit held up: it tells nothing about their flows."""
        rest: list[Due] = []
        limited: defaultdict[float, list[str]] = defaultdict(list)
        for each in due:
            trouble = trouble_of(each, answers)
            if isinstance(trouble, RateLimited) and self._may_wait(each.watch, now):
                limited[trouble.retry_after or 1].append(each.watch.watch_id)
            else:
                rest.append(each)
        for seconds, watch_ids in limited.items():
            self.watches.put_off(watch_ids, now.timestamp() + seconds)
        return rest

    def _may_wait(self, watch: Watch, now: datetime) -> bool:
        return (now - watch.due).total_seconds() < self.settings.health_outage_alert_after

    def _judged(
        self, due: Due, answers: Answers, baseline: Baseline, now: datetime
    ) -> Judged | None:
        try:
            return judge(due, answers, baseline, now, self.gateway.dialect)
        except Exception as error:
            # One watch that cannot be judged must not keep the others of its batch from it.
            log.exception("watch %s of %s cannot be judged", due.watch.watch_id, due.watch.flow_id)
            self.endings.broken(due.watch, due.run, error, now)
            return None

    def _settle(
        self, judged: Sequence[Judged], baselines: dict[str, Baseline], now: datetime
    ) -> None:
        decided: list[tuple[Judged, Held | None]] = []
        for each in judged:
            found = self._decided(each, baselines[each.moved.flow_id], now)
            if found is not None:
                decided.append(found)
        if not decided:
            return
        watches = self.watches.count()
        moves = []
        for each, _ in decided:
            moved = each.moved
            later = spread(
                moved.watch_id, watches=watches, per_second=PER_SECOND, interval=moved.interval
            )
            moved = moved.model_copy(update={"due": moved.due + timedelta(seconds=later)})
            due = now.timestamp() if moved.rollback_id else moved.due.timestamp()
            moves.append((each.due.watch.number, moved, due))
        saved = self.watches.save_all(moves)
        mine = [found for found, so in zip(decided, saved, strict=True) if so]
        told = [each for each, _ in mine if _is_worth_a_line(each)]
        lines = [(each.due.run, _line(each.moved)) for each in told]
        taken = self.store.note_runs("polled", lines)
        ended = {each.due.run.run_id for each, so in zip(told, taken, strict=True) if not so}
        for each, held in mine:
            # One that was cancelled meanwhile does nothing more: its next poll takes it off.
            if each.due.run.run_id not in ended:
                self._act(each, held, now)

    def _decided(
        self, judged: Judged, baseline: Baseline, now: datetime
    ) -> tuple[Judged, Held | None] | None:
        if judged.decision is not Decision.TRIP:
            return judged, None
        watch = judged.due.watch
        try:
            # What a rollback waits for is part of it.
            with calling_for(Purpose(Priority.ROLLBACK)):
                trip = self.trips.weigh(judged.moved, baseline, now)
        except KnowngoodError as error:
            if self._may_wait(watch, now):
                self.watches.put_off([watch.watch_id], now.timestamp() + _ASK_AGAIN)
                return None
            go_on = Decision.CONTINUE
            moved = explained(judged.moved, f"not confirmed: {error.message}", go_on)
            return replace(judged, moved=moved, decision=go_on), None
        return replace(judged, moved=trip.watch, decision=trip.decision), trip.held

    def _act(self, judged: Judged, held: Held | None, now: datetime) -> None:
        watch, moved, run = judged.due.watch, judged.moved, judged.due.run
        try:
            match judged.decision:
                case Decision.CONTINUE:
                    return
                case Decision.TRIP if held:
                    self.endings.held_back(watch, moved, run, held)
                case Decision.TRIP:
                    self.trips.follow(moved, run, now)
                case Decision.PASS:
                    self.endings.passed(moved, run)
                case Decision.INCONCLUSIVE:
                    self.endings.inconclusive(moved, run)
        except KnowngoodError as error:
            # The next poll comes to the same end.
            log.warning("watch %s: %s is not done yet: %s", run.run_id, judged.decision, error)


def _is_worth_a_line(judged: Judged) -> bool:
    # A standing watch never ends: only what changes is worth a line for ever.
    former = judged.due.watch.polls[-1:]
    was_ok = bool(former) and former[0].judgement.verdict is Verdict.OK
    return not (judged.moved.standing and was_ok and judged.verdict is Verdict.OK)


def _line(watch: Watch) -> dict[str, Any]:
    poll = watch.polls[-1]
    return {
        "number": poll.number,
        "verdict": poll.judgement.verdict,
        "why": poll.judgement.why,
        "breaches": poll.breaches,
        "volume": poll.measurement.volume if poll.measurement else None,
        "decision": poll.decision,
    }
