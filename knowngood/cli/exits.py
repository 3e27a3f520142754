"""What the exit code of a command says."""

from enum import IntEnum

from knowngood.errors import KnowngoodError


class Exit(IntEnum):
    """The exit codes; INTERRUPTED is the shell's own for Ctrl-C."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NEEDS_PERSON = 3
    STILL_RUNNING = 4
    INTERRUPTED = 130


class Interrupted(KnowngoodError):
    """Ctrl-C while waiting: what was waited for goes on."""
