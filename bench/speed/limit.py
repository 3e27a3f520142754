"""Many rollbacks under Genesys' real limit: 300 calls a minute for one OAuth token."""

import time
from dataclasses import dataclass

from bench.speed.installation import Installation

ALLOWED = 300
"""Calls a minute of one token, as Genesys Cloud's documentation gives it."""
SILENCE = 9.0
"""Seconds after which the limiter takes a run for one that calls no more."""
UNCOUNTED = frozenset({"token", "smoke"})
"""Calls that go elsewhere than to the limited API."""


@dataclass(frozen=True)
class Limited:
    """One batch: the calls that count, and the seconds that the limit asks for and that passed."""

    flows: int
    calls: int
    permitted: float
    last_ended: float
    refused: int


def measure(size: int) -> Limited:
    with Installation(latency=0.05) as stack:
        stack.rollback_workers()
        stack.others()
        stack.sim.oauth(allowed_per_token=ALLOWED)
        # From a former rollback the limiter knows how many calls one makes.
        stack.restore(stack.flows(1))
        time.sleep(SILENCE)
        flows, before = stack.flows(size), stack.sim.counts()
        ended = max(stack.restore(flows).ended)
        made = {job: n - before.get(job, 0) for job, n in stack.sim.counts().items()}
        calls = sum(n for job, n in made.items() if job not in UNCOUNTED)
        refused = sum(1 for each in stack.sim.requests() if each["status"] == 429)
    # The first minute's calls may all be made at its beginning, and so may each next one's.
    return Limited(size, calls, 60.0 * ((calls - 1) // ALLOWED), ended, refused)
