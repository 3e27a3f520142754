"""Faults on demand: which requests they hit and what then happens to these."""

import asyncio
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any, Literal

Side = Literal["before", "after"]

_MATCH = {"method", "path", "job", "flow"}
_EFFECT = {
    "status",
    "body",
    "headers",
    "latency",
    "drop",
    "malformed",
    "wrong_shape",
    "hang",
    "pause",
    "on_disconnect",
    "apply",
}


@dataclass(slots=True, frozen=True)
class Effect:
    """What a fault does; `latency` in seconds.

    `status` answers in the handler's stead, unless `apply` lets the handler run first, so that a
    write takes effect and its answer lies.
    """

    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    latency: float = 0.0
    drop: Side | None = None
    malformed: bool = False
    wrong_shape: bool = False
    hang: Side | None = None
    pause: Side | None = None
    on_disconnect: str | None = None
    apply: bool = False

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Effect":
        """An effect from JSON; unknown names and sides are refused."""
        if unknown := sorted(set(values) - _EFFECT):
            raise ValueError(f"unknown effect {unknown[0]!r}; known: {', '.join(sorted(_EFFECT))}")
        given = dict(values)
        if given.get("hang") is True:
            given["hang"] = "before"
        for name in ("drop", "hang", "pause"):
            if given.get(name) not in (None, False, "before", "after"):
                raise ValueError(f"{name} is 'before' or 'after'")
            given[name] = given.get(name) or None
        if given.get("on_disconnect") not in (None, "apply"):
            raise ValueError("on_disconnect is 'apply' or absent")
        given["headers"] = {k: str(v) for k, v in (given.get("headers") or {}).items()}
        return cls(**given)


@dataclass(slots=True)
class Rule:
    """A fault with its aim: skips the first `after` matches, then fires `times` times."""

    id: str
    effect: Effect
    match: dict[str, str]
    path: re.Pattern[str] | None
    times: int = 1
    after: int = 0
    matched: int = 0
    fired: int = 0
    waiting: set[asyncio.Event] = field(default_factory=set)
    discarded: bool = False

    def aims_at(self, *, method: str, path: str, job: str, flows: Collection[str | None]) -> bool:
        """True when a request is of the kind that this rule looks for."""
        match = self.match
        return (
            match.get("job") in (None, job)
            and ("flow" not in match or match["flow"] in flows)
            and match.get("method") in (None, method)
            and (self.path is None or self.path.search(path) is not None)
        )

    def as_json(self) -> dict[str, Any]:
        """The rule for the control API; `holding` counts the requests held right now."""
        return {
            "id": self.id,
            "match": self.match,
            "effect": asdict(self.effect),
            "times": self.times,
            "after": self.after,
            "matched": self.matched,
            "fired": self.fired,
            "holding": len(self.waiting),
        }

    def release(self) -> int:
        """Let go of all requests that are held; how many they were."""
        held = len(self.waiting)
        for event in self.waiting:
            event.set()
        return held


class Faults:
    """The rules in force, asked in the order they were added."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self._numbers = count(1)

    def add(self, definition: dict[str, Any]) -> Rule:
        """A rule from JSON `{match, effect, times, after}`."""
        match = {k: str(v) for k, v in (definition.get("match") or {}).items() if v is not None}
        if unknown := sorted(set(match) - _MATCH):
            raise ValueError(f"unknown match {unknown[0]!r}; known: {', '.join(sorted(_MATCH))}")
        if "method" in match:
            match["method"] = match["method"].upper()
        rule = Rule(
            id=f"fault-{next(self._numbers)}",
            effect=Effect.of(definition.get("effect") or {}),
            match=match,
            path=re.compile(match["path"]) if "path" in match else None,
            times=int(definition.get("times", 1)),
            after=int(definition.get("after", 0)),
        )
        self.rules[rule.id] = rule
        return rule

    def pick(
        self, *, method: str, path: str, job: str, flows: Collection[str | None]
    ) -> Rule | None:
        """The first rule that hits this request, counted as fired."""
        for rule in self.rules.values():
            if not rule.aims_at(method=method, path=path, job=job, flows=flows):
                continue
            rule.matched += 1
            if rule.matched <= rule.after or rule.fired == rule.times:
                continue
            rule.fired += 1
            return rule
        return None

    def remove(self, rule_id: str) -> bool:
        """Drop a rule and let go of what it holds."""
        rule = self.rules.pop(rule_id, None)
        if rule is None:
            return False
        rule.release()
        return True

    def clear(self, *, discard: bool = False) -> None:
        """Drop all rules; `discard` cuts off what they hold instead of letting it go on."""
        for rule_id, rule in list(self.rules.items()):
            rule.discarded = discard
            self.remove(rule_id)
