"""OAuth clients, their tokens, permissions and request budgets."""

import secrets
from dataclasses import dataclass, field
from typing import Any

UNLIMITED = 1_000_000

PERMISSIONS = frozenset(
    {
        "architect:flow:view",
        "architect:flow:edit",
        "architect:flow:publish",
        "architect:flow:unlock",
        "architect:datatable:view",
        "architect:dependencyTracking:view",
        "architect:userPrompt:view",
        "analytics:flowAggregate:view",
        "analytics:flowObservation:view",
        "analytics:conversationAggregate:view",
        "routing:queue:view",
        "routing:schedule:view",
        "integrations:action:view",
        "integrations:action:execute",
    }
)


@dataclass(slots=True)
class Client:
    """An OAuth client of the org."""

    id: str
    secret: str
    name: str
    permissions: set[str] = field(default_factory=lambda: set(PERMISSIONS))
    enabled: bool = True


@dataclass(slots=True)
class Budget:
    """Requests counted in a window of a minute."""

    started: float = 0.0
    count: int = 0

    def spend(self, now: float) -> float:
        """Count one request; seconds until the window ends."""
        if not 0 <= now - self.started < 60:
            self.started = now
            self.count = 0
        self.count += 1
        return self.started + 60 - now


@dataclass(slots=True)
class Token:
    """A bearer token and what it has used."""

    value: str
    client: Client
    expires_at: float
    budget: Budget = field(default_factory=Budget)


@dataclass(slots=True)
class Spent:
    """What a request left of its budget, for the inin-ratelimit headers."""

    count: int
    allowed: int
    reset: int
    exceeded: str | None = None


class OAuth:
    """Issues tokens, knows who holds one and how many requests each may send."""

    def __init__(self, client_id: str, client_secret: str) -> None:
        self.clients: dict[str, Client] = {
            client_id: Client(client_id, client_secret, "knowngood simulator client")
        }
        self.tokens: dict[str, Token] = {}
        self.expires_in = 86400
        self.issued = 0
        self.allowed_per_token: int | None = None
        self.allowed_per_client: int | None = None
        self._client_budgets: dict[str, Budget] = {}

    def issue(self, client: Client, now: float) -> dict[str, Any]:
        """A token answer as the login host gives it; `expires_in` in seconds."""
        value = secrets.token_urlsafe(48)
        self.tokens[value] = Token(value, client, now + self.expires_in)
        self.issued += 1
        return {"access_token": value, "token_type": "bearer", "expires_in": self.expires_in}

    def client_of(self, client_id: str, secret: str) -> Client | None:
        """The client with these credentials, unless it is disabled."""
        client = self.clients.get(client_id)
        if client is None or not client.enabled:
            return None
        return client if secrets.compare_digest(client.secret, secret) else None

    def token(self, value: str, now: float) -> Token | None:
        """The token if it is known, unexpired and its client enabled."""
        token = self.tokens.get(value)
        if token is None or token.expires_at <= now or not token.client.enabled:
            return None
        return token

    def revoke_all(self) -> int:
        """Forget every token; how many there were."""
        count = len(self.tokens)
        self.tokens.clear()
        return count

    def limits(self) -> dict[str, int]:
        """The limits of the namespace platform.api, as enforced; requests a minute, bytes."""
        per_token = self.allowed_per_token or UNLIMITED
        return {
            "token.rate.per.minute": per_token,
            "client.credentials.token.rate.per.minute": per_token,
            "org.app.user.rate.per.minute": self.allowed_per_client or UNLIMITED,
            "request.bytes.max": 512_000,
        }

    def spend(self, token: Token, now: float) -> Spent:
        """Count one request against the token and its client."""
        reset = token.budget.spend(now)
        allowed = self.allowed_per_token or UNLIMITED
        spent = Spent(token.budget.count, allowed, max(1, round(reset)))
        if token.budget.count > allowed:
            spent.exceeded = "client.credentials.token.rate.per.minute"
        if self.allowed_per_client is not None:
            budget = self._client_budgets.setdefault(token.client.id, Budget())
            client_reset = budget.spend(now)
            if spent.exceeded is None and budget.count > self.allowed_per_client:
                spent.exceeded = "org.app.user.rate.per.minute"
                spent.reset = max(1, round(client_reset))
        return spent
