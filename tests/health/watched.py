"""Lets a watch go on as the workers do, but for their processes."""

from collections.abc import Callable

from knowngood.health.baseline import Baseline
from knowngood.health.confirming import confirmed, windows_to_confirm
from knowngood.health.measurement import Measurement
from knowngood.health.watch import Decision, Watch, advance, window_for
from knowngood.health.windows import Window


def watched(
    on: Watch, measure: Callable[[Window], Measurement], known: Baseline, polls: int = 30
) -> tuple[Watch, Decision]:
    """Poll a watch until it ends; a trip is confirmed by reading its evidence again."""
    now = on.due
    for _ in range(polls):
        over = window_for(on, now)
        on, decision = advance(on, measure(over) if over else None, known, now)
        if decision is Decision.TRIP:
            again = [measure(part) for part in windows_to_confirm(on)]
            on, decision = confirmed(on, again, known, now)
        if decision is not Decision.CONTINUE:
            return on, decision
        now = on.due
    return on, Decision.CONTINUE
