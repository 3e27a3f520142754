"""How long a step waits before it is repeated, and when it is handed to a person instead."""

import random
from dataclasses import dataclass

from knowngood.errors import (
    ApiUnavailable,
    FlowConflict,
    FlowLocked,
    GaveUp,
    NotYet,
    RateLimited,
    TryAgain,
    Waiting,
)
from knowngood.runs.model import Counters, Run, RunKind
from knowngood.settings import Settings


@dataclass(frozen=True)
class Pause:
    """Wait `seconds`, then repeat the step; `counters` remember what was waited for."""

    seconds: float
    waiting_on: Waiting
    counters: Counters


def _doubling(first: float, times: int, ceiling: float) -> float:
    return float(min(first * 2 ** min(times, 30), ceiling))


def _again(run: Run) -> str:
    reason = "" if run.kind is RunKind.SNAPSHOT else " --reason '…'"
    return f"knowngood {run.kind} {run.flow_id}{reason}"


def next_pause(error: TryAgain, run: Run, settings: Settings, now: float) -> Pause:
    """Decide the countdown after a passing fault; `now` is in seconds since 1970.

    Lock: `lock_retry_delay`, `lock_attempts` tries in all (GUIDE rule 5). Snapshot on 409:
    `snapshot_retry_delay` doubling, `snapshot_retries` retries (GUIDE rule 2). The rate limit: as
    Retry-After or our own limiter says, for `rate_limit_timeout` at most; it is no fault. 5xx and
    time-outs: doubling with jitter, for `api_retry_timeout` at most. Poll: doubling from
    `poll_interval`, for `poll_timeout` at most (GUIDE rule 3).

    Raises:
        GaveUp: the tries or the time are used up.
    """
    counters = run.counters
    match error:
        case FlowLocked():
            return _after_lock(error, run, counters, settings)
        case FlowConflict() if run.kind is RunKind.SNAPSHOT:
            return _after_conflict(error, run, counters, settings)
        case NotYet():
            return _after_poll(error, run, counters, settings, now)
        case RateLimited():
            return _after_limit(error, run, counters, settings, now)
        case _:
            return _after_fault(error, run, counters, settings, now)


def _after_lock(error: FlowLocked, run: Run, counters: Counters, settings: Settings) -> Pause:
    tries = counters.lock + 1
    if tries >= settings.lock_attempts:
        raise GaveUp(
            f"{error.message}; tried {tries} times, {settings.lock_retry_delay:g} s apart",
            action=(
                f"ask {error.holder or 'whoever edits the flow'} to save and close it in "
                f"Architect (a forced publish would destroy that work), then run: {_again(run)}"
            ),
            correlation_id=error.correlation_id,
        )
    return Pause(
        settings.lock_retry_delay, Waiting.LOCK, counters.model_copy(update={"lock": tries})
    )


def _after_conflict(error: TryAgain, run: Run, counters: Counters, settings: Settings) -> Pause:
    if counters.conflict >= settings.snapshot_retries:
        raise GaveUp(
            f"{error.message}; retried {counters.conflict} times",
            action=(
                "wait until the deployment or edit that holds the flow has ended, then run: "
                f"knowngood snapshot {run.flow_id}"
            ),
            correlation_id=error.correlation_id,
        )
    seconds = settings.snapshot_retry_delay * 2**counters.conflict
    more = counters.model_copy(update={"conflict": counters.conflict + 1})
    return Pause(seconds, Waiting.CONFLICT, more)


def _after_poll(
    error: TryAgain, run: Run, counters: Counters, settings: Settings, now: float
) -> Pause:
    since = run.step_started.timestamp() if run.step_started else now
    if now - since >= settings.poll_timeout:
        raise GaveUp(
            f"{error.message} after {now - since:.0f} s",
            action=(
                f"open the flow in Architect and look at its last publish, then run: "
                f"knowngood versions {run.flow_id}"
            ),
            correlation_id=error.correlation_id,
        )
    seconds = error.retry_after or _doubling(
        settings.poll_interval, counters.polls, settings.poll_interval_max
    )
    return Pause(seconds, error.waiting, counters.model_copy(update={"polls": counters.polls + 1}))


def _after_limit(
    error: RateLimited, run: Run, counters: Counters, settings: Settings, now: float
) -> Pause:
    since = counters.limited_since or now
    if now - since >= settings.rate_limit_timeout:
        raise GaveUp(
            f"{error.message}; waited for {now - since:.0f} s",
            action=(
                "give knowngood an OAuth client of its own, or ask Genesys for a higher limit, "
                f"then run: {_again(run)}"
            ),
            correlation_id=error.correlation_id,
        )
    more = counters.model_copy(update={"rate": counters.rate + 1, "limited_since": since})
    return Pause(1.0 if error.retry_after is None else error.retry_after, error.waiting, more)


def _after_fault(
    error: TryAgain, run: Run, counters: Counters, settings: Settings, now: float
) -> Pause:
    since = counters.failing_since or now
    if now - since >= settings.api_retry_timeout:
        raise GaveUp(
            f"{error.message}; for {now - since:.0f} s",
            action=(
                f"see that Genesys Cloud answers (`knowngood doctor`), then run: {_again(run)}"
            ),
            correlation_id=error.correlation_id,
        )
    seconds = error.retry_after
    if seconds is None:
        ceiling = _doubling(settings.api_retry_delay, counters.api, settings.api_retry_delay_max)
        # Full jitter spreads many runs that failed together; S311: not for secrets.
        seconds = random.uniform(ceiling / 2, ceiling)  # noqa: S311
    field = "conflict" if error.waiting is Waiting.CONFLICT else "api"
    more = counters.model_copy(update={field: getattr(counters, field) + 1, "failing_since": since})
    return Pause(seconds, error.waiting, more)


def unavailable(error: Exception) -> ApiUnavailable:
    """Read a missing part of our own (the artifact store) as a fault that passes."""
    return ApiUnavailable(str(error))
