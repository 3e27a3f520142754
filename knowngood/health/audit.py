"""Finds watches that went astray: nobody polls them, or their run has ended.

A watch's due time, its record and its run are three things in Redis; each can be lost alone.
"""

from dataclasses import dataclass
from typing import Final

from knowngood.health.ending import Endings
from knowngood.health.watches import WatchStore, utc
from knowngood.runs.store import RunStore

_EVERY: Final = 30.0
"""Seconds between two looks; any number of processes may ask for one."""


@dataclass(frozen=True)
class Audit:
    """Puts right what can be put right, and ends the rest."""

    store: RunStore
    watches: WatchStore
    endings: Endings

    def look(self) -> None:
        """Look at all watches, unless somebody did so lately."""
        astray = self.watches.astray(_EVERY)
        if astray is None:
            return
        now = self.store.time()
        runs = self.store.many([*astray.unpolled, *astray.ended])
        watches = {each.watch_id: each for each in self.watches.get(list(runs))}
        for watch_id in astray.unpolled:
            run, watch = runs.get(watch_id), watches.get(watch_id)
            if run is not None and (run.state.terminal or run.position == 0):
                # It has just ended, or it was not put on yet.
                continue
            if run is not None and watch is not None:
                self.watches.take_up(watch, now)
            else:
                self.endings.lost(watch_id, run, watch, utc(now))
        for watch_id in astray.ended:
            run, watch = runs.get(watch_id), watches.get(watch_id)
            if run is not None and not run.state.terminal:
                # It was put on between the look and now.
                continue
            if run is not None and watch is not None:
                self.watches.end(watch)
            else:
                self.endings.lost(watch_id, run, watch, utc(now))
