"""What worker processes do when they start, fork and stop."""

import logging
from typing import Any

from celery.signals import setup_logging, worker_process_init

from knowngood import parts
from workers.log import configure_logging


@setup_logging.connect
def _logging(loglevel: int | str | None = None, **_: Any) -> None:
    configure_logging(loglevel or logging.INFO)


@worker_process_init.connect
def _own_parts(**_: Any) -> None:
    # Sockets that were opened before the fork belong to the parent.
    parts.forget()
