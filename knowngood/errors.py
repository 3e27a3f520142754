"""The errors of knowngood; each class says what the caller does next.

```
KnowngoodError
├── Refused      bad input or settings: nothing was started; correct it and ask again
├── TryAgain     wait and repeat the step: ApiUnavailable, RateLimited, FlowLocked, FlowConflict
├── FallBack     take the next target: VersionGone
├── NeedsPerson  stop and alert a person: NoTarget, DependencyBroken, FlowGone, AccessDenied, …
└── LeaseLost    another executor holds the run: stop without a trace
```

Messages are shown to people and written to the journal: they never hold a secret.
"""

from enum import StrEnum


class Waiting(StrEnum):
    """What a waiting run waits for; the journal and the CLI show it beside the state."""

    LOCK = "lock"
    CONFLICT = "conflict"
    RATE = "rate"
    API = "api"


class Team(StrEnum):
    """Who is alerted: operations, or the team that owns the outside endpoints."""

    OPERATIONS = "operations"
    INTEGRATION = "integration"


class KnowngoodError(Exception):
    """Base of every error that knowngood raises on purpose."""

    def __init__(self, message: str, *, correlation_id: str | None = None) -> None:
        self.message = message
        self.correlation_id = correlation_id
        suffix = f" (correlation id {correlation_id})" if correlation_id else ""
        super().__init__(message + suffix)


class Refused(KnowngoodError):
    """The input is wrong; nothing was enqueued. Names the field, the value and what is right."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        self.field = field
        self.value = value
        self.expected = expected
        super().__init__(f"{field}={value!r}: {expected}")


class Unreachable(KnowngoodError):
    """A part that knowngood itself needs (broker, journal, artifact store) does not answer."""


class TryAgain(KnowngoodError):
    """Something that passes by itself: repeat the step after a countdown.

    `retry_after` is the other side's own word, in seconds, or None.
    """

    waiting = Waiting.API

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        correlation_id: str | None = None,
    ) -> None:
        self.retry_after = retry_after
        super().__init__(message, correlation_id=correlation_id)


class ApiUnavailable(TryAgain):
    """A 5xx, a time-out, a dropped connection or an unreadable answer.

    `ambiguous` is True when the request was a write that may have taken effect: read the flow
    before you repeat it.
    """

    def __init__(
        self,
        message: str,
        *,
        ambiguous: bool = False,
        retry_after: float | None = None,
        correlation_id: str | None = None,
    ) -> None:
        self.ambiguous = ambiguous
        super().__init__(message, retry_after=retry_after, correlation_id=correlation_id)


class RateLimited(TryAgain):
    """A 429, or our own shared limiter holding the call back; `retry_after` is in seconds."""

    waiting = Waiting.RATE


class FlowLocked(TryAgain):
    """Somebody else holds Genesys' edit lock on the flow (GUIDE rule 5). Never forced."""

    waiting = Waiting.LOCK

    def __init__(
        self, message: str, *, holder: str | None = None, correlation_id: str | None = None
    ) -> None:
        self.holder = holder
        super().__init__(message, correlation_id=correlation_id)


class FlowConflict(TryAgain):
    """A 409: a deployment or another operation is under way on the flow (GUIDE rule 2)."""

    waiting = Waiting.CONFLICT


class NotYet(TryAgain):
    """The awaited state was read and is not there yet; ask again at `retry_after` seconds."""

    waiting = Waiting.API


class FallBack(KnowngoodError):
    """The chosen target cannot be used: take the next one (GUIDE rule 7)."""

    def __init__(self, message: str, *, version_id: str, correlation_id: str | None = None) -> None:
        self.version_id = version_id
        super().__init__(message, correlation_id=correlation_id)


class VersionGone(FallBack):
    """A 404 on a version: it was deleted."""


class NeedsPerson(KnowngoodError):
    """A person must decide. `action` says what to do now, with the exact command where one fits."""

    team = Team.OPERATIONS

    def __init__(self, message: str, *, action: str, correlation_id: str | None = None) -> None:
        self.action = action
        super().__init__(message, correlation_id=correlation_id)


class GaveUp(NeedsPerson):
    """A passing fault did not pass within its retries or its deadline."""


class NoTarget(NeedsPerson):
    """No known-good version is left to roll back to."""


class KnownBad(NeedsPerson):
    """What is about to be deployed was rolled back before."""


class FlowGone(NeedsPerson):
    """The flow itself does not exist or was deleted."""


class FlowMoved(NeedsPerson):
    """Somebody published or activated another version while the run was under way."""


class AccessDenied(NeedsPerson):
    """Credentials or permissions are wrong (400/401 at the token endpoint, 403 anywhere).

    Any one of `permissions` would have sufficed, where it is known what the call takes.
    """

    def __init__(
        self,
        message: str,
        *,
        action: str,
        permissions: tuple[str, ...] = (),
        correlation_id: str | None = None,
    ) -> None:
        self.permissions = permissions
        super().__init__(message, action=action, correlation_id=correlation_id)


class BadAnswer(NeedsPerson):
    """The API refused a request that retrying cannot mend, or answered in an unknown shape."""


class DependencyBroken(NeedsPerson):
    """An outside endpoint, a queue or the smoke test that the target needs fails (GUIDE rule 6)."""

    team = Team.INTEGRATION


class RecordDamaged(NeedsPerson):
    """An artifact's digest does not match its content: it is never used."""


class LeaseLost(KnowngoodError):
    """Another executor took this run over: this one may write nothing any more."""
