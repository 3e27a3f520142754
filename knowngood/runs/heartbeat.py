"""Holding leases while steps execute, from one thread per process.

A frozen process (SIGSTOP, a long swap) freezes its heart too: its lease runs out and another
executor takes the run over under a newer fencing token.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from knowngood.errors import LeaseLost, Unreachable
from knowngood.runs.store import Claim, RunStore

log = logging.getLogger(__name__)


class Heart:
    """Renews every claim that beats in this process, three times in a lease's life."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._claims: set[Claim] = set()
        self._wake = threading.Event()
        self._pid = 0

    @contextmanager
    def beating(self, claim: Claim) -> Iterator[None]:
        """Hold a claim for as long as the block executes."""
        if self._pid != os.getpid():
            # Threads do not survive a fork: each pool process needs its own.
            self._pid = os.getpid()
            self._claims = set()
            self._wake = threading.Event()
            threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True).start()
        self._claims.add(claim)
        try:
            yield
        finally:
            self._claims.discard(claim)

    def _beat(self) -> None:
        while True:
            self._wake.wait(self._store.lease_ttl / 3)
            for claim in tuple(self._claims):
                try:
                    self._store.renew(claim)
                except LeaseLost:
                    self._claims.discard(claim)
                except Unreachable as error:
                    log.warning("lease of run %s not renewed: %s", claim.run_id, error)
