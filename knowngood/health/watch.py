"""A watch and how each poll moves it on; time is handed in, nothing is looked up here."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from knowngood.health.baseline import Baseline
from knowngood.health.hysteresis import breaches_after
from knowngood.health.judgement import Judgement, Poll, Verdict
from knowngood.health.limits import Limits
from knowngood.health.measurement import Measurement
from knowngood.health.policies import policy_named
from knowngood.health.windows import Window, ended_since, latest_window, next_due, since

KEPT_POLLS: Final = 48
"""Polls that a watch remembers: four hours of five-minute windows."""

_HOUR: Final = 3_600.0

_COVERED: Final = 0.5
"""A version passes when at least this share of its windows was judged ok."""


_LATE: Final = 60.0
"""Seconds of windows that may go unmeasured because polls were late; more of them were missed."""


class Decision(StrEnum):
    """What a poll leads to."""

    CONTINUE = "continue"
    TRIP = "trip"
    PASS = "pass"  # noqa: S105 - a verdict, no secret
    INCONCLUSIVE = "end_inconclusive"


class Today(BaseModel):
    """How busy a flow was before a time, as a share of what is usual; None: nobody can say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    until: datetime
    share: float | None


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
    windows: int = 0
    """Windows that were to be measured since the deployment."""
    ok_windows: int = 0
    """Those that were judged ok, alone or pooled."""
    due: datetime
    polls: tuple[Poll, ...] = ()
    blind_since: datetime | None = None
    """Since when analytics tells nothing, though calls are to be expected."""
    today: Today | None = None
    """How busy the flow was before the deployment; None: not read yet."""
    held: str = ""
    """Why the last trip did not roll back."""
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


def hour_before(watch: Watch, window: Window) -> Window:
    """Return the hour that tells how busy today is: before the deployment.

    A standing watch, which has none, looks at the hour before the one that is measured.
    """
    hour = window.start.replace(minute=0, second=0, microsecond=0)
    until = hour if watch.standing else watch.started
    return latest_window(until, interval=watch.interval, length=_HOUR, delay=0)


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
    baseline = baseline.on(watch.today.share if watch.today else None)
    judgement = _judged(watch, measurement, baseline, source_error)
    breaches = breaches_after(watch.breaches, judgement.verdict)
    fresh = _is_news(watch, measurement) or bool(source_error)
    blind = _is_blind(watch, judgement, measurement, baseline)
    moved = watch.model_copy(
        update={
            "number": watch.number + 1,
            "breaches": breaches,
            "windows": _windows(watch, now, fresh=fresh),
            "ok_windows": watch.ok_windows
            + (judgement.windows if judgement.verdict is Verdict.OK else 0),
            "due": next_due(now, interval=watch.interval, delay=watch.delay),
            "held": "" if judgement.verdict is Verdict.OK else watch.held,
            "blind_since": (watch.blind_since or now) if blind else None,
        }
    )
    decision = _decide(moved, judgement.verdict, now)
    poll = Poll(
        number=moved.number,
        at=now,
        measurement=measurement,
        judgement=judgement,
        breaches=breaches,
        decision=decision,
    )
    return moved.model_copy(update={"polls": (*watch.polls, poll)[-KEPT_POLLS:]}), decision


def explained(watch: Watch, why: str, decision: Decision) -> Watch:
    """Let the last poll of a tripped watch say what was made of the trip, and why."""
    last = watch.polls[-1]
    judgement = last.judgement.model_copy(update={"why": f"{last.judgement.why}; {why}"})
    told = last.model_copy(update={"judgement": judgement, "decision": decision})
    return watch.model_copy(update={"polls": (*watch.polls[:-1], told)})


def doubted(watch: Watch, why: str, decision: Decision) -> Watch:
    """Let the last poll's breach be inconclusive instead: it neither counts nor clears."""
    told = explained(watch, why, decision)
    last, breaches = told.polls[-1], watch.breaches - 1
    judgement = last.judgement.model_copy(update={"verdict": Verdict.INCONCLUSIVE})
    poll = last.model_copy(update={"judgement": judgement, "breaches": breaches})
    return told.model_copy(update={"polls": (*told.polls[:-1], poll), "breaches": breaches})


def _judged(
    watch: Watch, measurement: Measurement | None, baseline: Baseline, source_error: str
) -> Judgement:
    if source_error:
        return Judgement(verdict=Verdict.SOURCE_ERROR, why=source_error)
    if measurement is None:
        return Judgement(
            verdict=Verdict.INCONCLUSIVE, why="no window lies after the deployment yet"
        )
    if not _is_news(watch, measurement):
        return Judgement(verdict=Verdict.INCONCLUSIVE, why="the window was judged already")
    return policy_named(watch.policy).judge(measurement, watch.polls, baseline, watch.limits)


def _is_news(watch: Watch, measurement: Measurement | None) -> bool:
    """Say whether a measurement's window ends later than all that were judged."""
    former = (poll.measurement for poll in reversed(watch.polls) if poll.measurement)
    last = next(former, None)
    return measurement is not None and (last is None or last.window.end < measurement.window.end)


def _windows(watch: Watch, now: datetime, *, fresh: bool) -> int:
    """Count the windows that were to be measured, those too that nobody polled in time."""
    counted = watch.windows + fresh
    passed = ended_since(watch.started, now, interval=watch.interval, delay=watch.delay)
    return passed if (passed - counted) * watch.interval > _LATE else counted


def _decide(watch: Watch, verdict: Verdict, now: datetime) -> Decision:
    if verdict is Verdict.BREACH and watch.breaches >= watch.limits.consecutive_breaches:
        return Decision.TRIP
    if watch.bake_until is None or now < watch.bake_until:
        return Decision.CONTINUE
    if watch.breaches and now < last_word(watch):
        # A breach in the last window is not passed over: one more tells.
        return Decision.CONTINUE
    covered = watch.ok_windows > 0 and watch.ok_windows >= _COVERED * watch.windows
    return Decision.PASS if covered and not watch.breaches else Decision.INCONCLUSIVE


def last_word(watch: Watch) -> datetime:
    """Return until when an open question may prolong a watch: three intervals past its bake time.

    A standing watch has no such time.
    """
    ends = watch.bake_until or datetime.max.replace(tzinfo=UTC)
    return ends + timedelta(seconds=3 * watch.interval) if watch.bake_until else ends


def _is_blind(
    watch: Watch, judgement: Judgement, measurement: Measurement | None, baseline: Baseline
) -> bool:
    if judgement.verdict is Verdict.SOURCE_ERROR:
        return True
    if measurement is None or measurement.volume is not None:
        return False
    # Some sources leave rows of zeros out: no data is only odd where calls are usual.
    expected = baseline.expected_calls(measurement.window)
    return expected is not None and expected > 0 and expected >= watch.limits.min_calls
