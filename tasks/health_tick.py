"""`health.tick`: hand out the watches that are due, in batches."""

from itertools import islice
from typing import Final

from knowngood import parts
from workers.app import app

BATCH: Final = 100
_MOST: Final = 5_000
"""Watches that one tick hands out at most; the next tick takes the rest."""


@app.task(name="health.tick")
def tick() -> int:
    """Enqueue a poll for each batch of due watches; return how many watches were due.

    Any number of ticks may run at once: a watch is handed out to one of them.
    """
    settings, watches, store = parts.settings(), parts.watches(), parts.run_store()
    for flow_id in settings.standing_watches:
        if watches.of_flow(flow_id) is None and watches.may_start_standing(flow_id):
            app.send_task("deployment.watch", kwargs={"flow_id": flow_id, "standing": True})
    due = iter(watches.claim(store.time(), _MOST))
    total = 0
    while batch := list(islice(due, BATCH)):
        app.send_task("health.poll", kwargs={"watch_ids": batch})
        total += len(batch)
    return total
