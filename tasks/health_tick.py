"""`health.tick`: hand out the watches that are due, in batches."""

from itertools import islice
from typing import Final

from knowngood import parts
from knowngood.health.starting import BY_SETTINGS
from workers.app import app

BATCH: Final = 100
"""Watches that one poll takes at most."""
_QUERIES: Final = 10
"""Calls to analytics that one poll makes at most, so that it ends long before its claim does."""
_OUT: Final = 10
"""Batches that are out at most; the rest waits in Redis, where it costs nobody anything."""
_STARTS: Final = 100
"""Standing watches that one tick puts on at most."""


@app.task(name="health.tick")
def tick() -> int:
    """Enqueue a poll for each batch of due watches; return how many watches were due.

    Any number of ticks may run at once: a watch is handed out to one of them.
    """
    start_standing()
    parts.audit().look()
    size = min(BATCH, _QUERIES * parts.gateway().flows_per_count)
    due = iter(parts.watches().claim(parts.run_store().time(), _OUT * size))
    total = 0
    with app.producer_or_acquire() as producer:
        while batch := list(islice(due, size)):
            app.send_task("health.poll", kwargs={"watch_ids": batch}, producer=producer)
            total += len(batch)
    return total


def start_standing() -> None:
    """Put on the standing watches that the settings ask for and that no other watch stands for."""
    settings, watches = parts.settings(), parts.watches()
    flows = settings.standing_watches
    on = watches.of_flows(flows, dry_run=settings.dry_run)
    free = [flow for flow, watch in zip(flows, on, strict=True) if watch is None]
    for flow_id in watches.may_start_standing(free, _STARTS, dry_run=settings.dry_run):
        asked = {"flow_id": flow_id, "standing": True, "requested_by": BY_SETTINGS}
        app.send_task("deployment.watch", kwargs=asked)
