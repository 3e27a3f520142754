"""A watch and how each poll moves it on; time is handed in, nothing is looked up here."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from knowngood.health.baseline import Baseline
from knowngood.health.hysteresis import breaches_after
from knowngood.health.judgement import Judgement, Poll, Verdict
from knowngood.health.limits import Limits
from knowngood.health.measurement import Measurement
from knowngood.health.policies import policy_named
from knowngood.health.windows import Window, latest_window, next_due, since

KEPT_POLLS: Final = 48
"""Polls that a watch remembers: four hours of five-minute windows."""

_LEAST_OK: Final = 1


class Decision(StrEnum):
    """What a poll leads to."""

    CONTINUE = "continue"
    TRIP = "trip"
    PASS = "pass"  # noqa: S105 - a verdict, no secret
    INCONCLUSIVE = "end_inconclusive"


class Watch(BaseModel):
    """Health checks of one flow after a deployment. Its id is its run's id; times are UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    watch_id: str
    flow_id: str
    flow_name: str
    version_id: str | None
    policy: str
    limits: Limits
    interval: float
    window: float
    delay: float
    started: datetime
    bake_until: datetime | None
    """None: a standing watch, which never ends by itself."""
    dry_run: bool
    number: int = 0
    breaches: int = 0
    ok_polls: int = 0
    due: datetime
    polls: tuple[Poll, ...] = ()
    failing_since: datetime | None = None
    outage_told: bool = False
    held: str = ""
    """Why a trip did not roll back, once that was told."""
    rollback_id: str | None = None

    @property
    def standing(self) -> bool:
        """Say whether it goes on for ever."""
        return self.bake_until is None


def window_for(watch: Watch, now: datetime) -> Window | None:
    """Return the newest window that lies after the deployment, or None before there is one."""
    window = latest_window(now, interval=watch.interval, length=watch.window, delay=watch.delay)
    if window.end <= watch.started:
        return None
    return since(window, watch.started)


def advance(
    watch: Watch,
    measurement: Measurement | None,
    baseline: Baseline,
    now: datetime,
    *,
    source_error: str = "",
) -> tuple[Watch, Decision]:
    """Take in one poll; return the watch as it is then, and what follows.

    `source_error` says that analytics did not answer: that is never a breach. A missing
    measurement without it is inconclusive, and so is a window that has no data.
    """
    judgement = _judged(watch, measurement, baseline, source_error)
    breaches = breaches_after(watch.breaches, judgement.verdict)
    ok_polls = watch.ok_polls + (judgement.verdict is Verdict.OK)
    decision = _decide(watch, breaches, ok_polls, judgement.verdict, now)
    poll = Poll(
        number=watch.number + 1,
        at=now,
        measurement=measurement,
        judgement=judgement,
        breaches=breaches,
        decision=decision,
    )
    failing = judgement.verdict is Verdict.SOURCE_ERROR
    moved = watch.model_copy(
        update={
            "number": poll.number,
            "breaches": breaches,
            "ok_polls": ok_polls,
            "polls": (*watch.polls, poll)[-KEPT_POLLS:],
            "due": next_due(now, interval=watch.interval, delay=watch.delay),
            "failing_since": (watch.failing_since or now) if failing else None,
        }
    )
    return moved, decision


def _judged(
    watch: Watch, measurement: Measurement | None, baseline: Baseline, source_error: str
) -> Judgement:
    if source_error:
        return Judgement(verdict=Verdict.SOURCE_ERROR, why=source_error)
    if measurement is None:
        return Judgement(
            verdict=Verdict.INCONCLUSIVE, why="no window lies after the deployment yet"
        )
    return policy_named(watch.policy).judge(measurement, watch.polls, baseline, watch.limits)


def _decide(
    watch: Watch, breaches: int, ok_polls: int, verdict: Verdict, now: datetime
) -> Decision:
    if verdict is Verdict.BREACH and breaches >= watch.limits.consecutive_breaches:
        return Decision.TRIP
    if watch.bake_until is None or now < watch.bake_until:
        return Decision.CONTINUE
    if breaches and now < watch.bake_until + timedelta(seconds=2 * watch.interval):
        # A breach in the last window is not passed over: one more tells.
        return Decision.CONTINUE
    return Decision.PASS if ok_polls >= _LEAST_OK and not breaches else Decision.INCONCLUSIVE


def outage_of(watch: Watch, now: datetime, after: float) -> str:
    """Say `began` or `ended` when an outage of analytics is to be told now, else nothing."""
    if watch.failing_since is None:
        return "ended" if watch.outage_told else ""
    lasts = (now - watch.failing_since).total_seconds()
    return "began" if lasts >= after and not watch.outage_told else ""
