"""Logging of worker processes: one line an event, without secrets."""

import logging
import sys

from knowngood import settings

_FORMAT = "%(asctime)s %(levelname)s %(processName)s %(name)s: %(message)s"


class _Redacted(logging.Formatter):
    """Replaces every configured secret, whoever wrote it into a message or a trace."""

    def __init__(self) -> None:
        super().__init__(_FORMAT)
        self._secrets = tuple(settings.load().secret_values())

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line


def configure_logging(level: int | str) -> None:
    """Send every log line of this process to stderr, redacted."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacted())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # httpx logs every request's URL at INFO; the journal already tells what was asked.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)
