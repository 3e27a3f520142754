"""Logging of long-running processes: JSON lines, or plain ones in a terminal, without secrets.

Each line of a task carries the run it belongs to; an answer of Genesys Cloud, and an error made of
one, carries Genesys' correlation id, which its support asks for.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from knowngood import settings

Context = Mapping[str, str]

NO_CONTEXT: Final[Context] = MappingProxyType({})
about: Final[ContextVar[Context]] = ContextVar("about", default=NO_CONTEXT)
"""What the code under way works on: `run_id`, `step`, `flow`, `task`, `task_id`."""

_PLAIN: Final = "%(asctime)s %(levelname)s %(processName)s %(name)s: %(message)s"
_BEARER: Final = re.compile(r"(Bearer|Basic) [A-Za-z0-9._~+/=-]{8,}")
_NOISY: Final = ("httpx", "httpcore")
"""They log every request's URL at INFO; our own line about it has no query string."""


class Redaction:
    """Replaces every configured secret, whoever wrote it into a message or a trace."""

    def __init__(self, secrets: Sequence[str]) -> None:
        # An exception's text quotes what it is about, and so writes a backslash twice.
        forms = {form for secret in secrets for form in (secret, repr(secret)[1:-1])}
        # The longest first: one secret may hold another.
        self._secrets = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _BEARER.sub(r"\1 ***", text)


class PlainFormatter(logging.Formatter):
    """Lines for people."""

    def __init__(self, redact: Redaction) -> None:
        super().__init__(_PLAIN)
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with the run that it is about at its end."""
        run = about.get().get("run_id")
        line = self._redact(super().format(record))
        return f"{line} [run {run}]" if run and run not in line else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line; times are UTC."""

    def __init__(self, redact: Redaction) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Return the record with the context of the code that wrote it."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": f"{record.processName}:{record.process}",
            "message": record.getMessage(),
            **about.get(),
        }
        correlation_id = _correlation_id(record)
        if correlation_id:
            fields["correlation_id"] = correlation_id
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        # Each value before it is encoded: JSON would write a secret's quotes in another way.
        shown = {name: self._redact(str(value)) for name, value in fields.items()}
        return json.dumps(shown, ensure_ascii=False)


def _correlation_id(record: logging.LogRecord) -> str | None:
    error = record.exc_info[1] if record.exc_info else None
    return getattr(record, "correlation_id", None) or getattr(error, "correlation_id", None)


def configure_logging(level: int | str) -> None:
    """Send every log line of this process to stderr: JSON unless that is a terminal."""
    redact = Redaction(settings.load().secret_values())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter(redact) if sys.stderr.isatty() else JsonFormatter(redact))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
