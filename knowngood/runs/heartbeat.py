"""Holding leases while steps execute, from one thread per process.

A frozen process (SIGSTOP, a long swap) freezes its heart too: its lease runs out and another
executor takes the run over under a newer fencing token. A step that hangs ends its process, for a
thread cannot be ended by itself: what else that process did is taken over as well.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from knowngood.errors import LeaseLost, Unreachable
from knowngood.runs.store import Claim, RunStore

log = logging.getLogger(__name__)

STEP_LIMIT: Final = 180.0
"""Seconds that one attempt of a step may take: it is a few HTTP calls, each with a time-out."""
_SOFTWARE_FAULT: Final = 70


def end_process() -> NoReturn:
    """End this process at once, as a crash would; whatever supervises it starts it again."""
    logging.shutdown()
    os._exit(_SOFTWARE_FAULT)


class Heart:
    """Renews every claim that beats in this process, three times in a lease's life.

    `end` is called when a step has executed for more than `limit` seconds.
    """

    def __init__(
        self,
        store: RunStore,
        *,
        limit: float = STEP_LIMIT,
        end: Callable[[], object] = end_process,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._limit = limit
        self._end = end
        self._clock = clock
        self._claims: dict[Claim, float] = {}
        self._starting = threading.Lock()
        self._pid = 0

    @contextmanager
    def beating(self, claim: Claim) -> Iterator[None]:
        """Hold a claim for as long as the block executes."""
        if self._pid != os.getpid():
            self._start()
        self._claims[claim] = self._clock()
        try:
            yield
        finally:
            self._claims.pop(claim, None)

    def beat(self) -> None:
        """Renew each claim once."""
        for claim, began in tuple(self._claims.items()):
            if self._clock() - began > self._limit:
                log.error("run %s: a step hung for %g s", claim.run_id, self._limit)
                self._end()
            try:
                self._store.renew(claim)
            except LeaseLost:
                # Its step goes on until it notices; that one too must not hang for ever.
                continue
            except Unreachable as error:
                log.warning("lease of run %s not renewed: %s", claim.run_id, error)

    def _start(self) -> None:
        with self._starting:
            if self._pid == os.getpid():
                return
            # Threads do not survive a fork: each pool process needs its own.
            self._claims = {}
            self._pid = os.getpid()
            threading.Thread(target=self._go_on, name="lease-heartbeat", daemon=True).start()

    def _go_on(self) -> None:
        while True:
            time.sleep(self._store.lease_ttl / 3)
            self.beat()
