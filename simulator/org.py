"""The org's state: flows, versions, locks, publications and what was live when."""

import hashlib
import json
import math
import re
import uuid
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulator.clock import Clock
from simulator.traffic import Quality, Traffic

_TAG = re.compile(r"\bv_[a-z][a-z0-9_]*\b")
_MANIFEST = {
    "DATAACTION": "dataAction",
    "USERPROMPT": "userPrompt",
    "INBOUNDCALLFLOW": "inboundCallFlow",
    "COMMONMODULEFLOW": "commonModuleFlow",
}
_NUMBERED = re.compile(r"^(\d+)(?:\.\d+)?$")


@dataclass(slots=True, frozen=True)
class Actor:
    """Who does something: kind is `user`, `client` or `deployment`."""

    id: str
    name: str
    kind: str = "user"


@dataclass(slots=True, frozen=True)
class Dependency:
    """Something outside the flow that a version needs."""

    type: str
    id: str
    name: str
    url: str | None = None

    def entry(self) -> dict[str, Any]:
        """The dependency as JSON; an absent URL is omitted."""
        entry = {"type": self.type, "id": self.id, "name": self.name}
        return entry if self.url is None else {**entry, "url": self.url}


@dataclass(slots=True)
class Version:
    """One immutable version of a flow; `quality` is what its callers meet."""

    id: str
    status: str
    created_at: float
    created_by: Actor
    description: str = ""
    tags: list[str] = field(default_factory=list)
    dependencies: list[Dependency] = field(default_factory=list)
    configuration: dict[str, Any] = field(default_factory=dict)
    quality: Quality = field(default_factory=Quality)
    kind: str = "CHECKIN"
    show_created_at: bool = True
    deleted: bool = False
    snapshot: bool = False
    published_at: float | None = None
    published_end: float | None = None
    digest: str = ""

    def fingerprint(self) -> str:
        """SHA-256 of what may never change after the version was made."""
        content = json.dumps(
            [self.id, self.description, self.created_at, self.configuration], sort_keys=True
        )
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(slots=True, frozen=True)
class Lock:
    """An edit lock; `until` is when its holder lets go, None for never."""

    holder: Actor
    since: float
    until: float | None = None


@dataclass(slots=True)
class Operation:
    """An asynchronous operation, as `currentOperation` shows it."""

    id: str
    action: str
    actor: Actor
    started: float
    done_at: float
    error_code: str | None = None
    error_message: str | None = None

    def status(self, now: float) -> str:
        """The actionStatus at this moment."""
        if now >= self.done_at:
            return "FAILURE" if self.error_code else "SUCCESS"
        share = (now - self.started) / (self.done_at - self.started)
        if share < 0.2:
            return "STARTED"
        return "PENDING_GENERATION" if share < 0.6 else "PENDING_BACKEND_NOTIFICATION"


@dataclass(slots=True)
class Publication:
    """A version on its way to being live."""

    version_id: str
    operation: Operation
    activated: tuple[str, float] | None


@dataclass(slots=True)
class PublishFailure:
    """A publication that is to fail, `times` more times (-1: always)."""

    code: str
    message: str
    times: int = 1
    flow: str | None = None


@dataclass(slots=True)
class Invariants:
    """Counters of what must never happen, with the latest evidence."""

    publishes_over_anothers_lock: int = 0
    publishes_refused_by_lock: int = 0
    publishes_not_activated: int = 0
    publishes_of_unknown_version: int = 0
    repeated_publishes: int = 0
    repeated_activations: int = 0
    activations_over_anothers_lock: int = 0
    forced_unlocks: int = 0
    evidence: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=1000))

    def count(self, counter: str, *, flow: str, version: str | None, time: float) -> None:
        """Add one to a counter and keep when and where."""
        setattr(self, counter, getattr(self, counter) + 1)
        self.evidence.append({"counter": counter, "flow": flow, "version": version, "time": time})


class Flow:
    """One Architect flow with all its versions, oldest first."""

    def __init__(self, flow_id: str, name: str, flow_type: str, seed: int) -> None:
        self.id = flow_id
        self.name = name
        self.type = flow_type
        self.description = ""
        self.seed = seed
        self.versions: dict[str, Version] = {}
        self.live: str | None = None
        self.deleted = False
        self.published_by: Actor | None = None
        self.activated: tuple[str, float] | None = None
        self.publication: Publication | None = None
        self.operation: Operation | None = None
        self.lock: Lock | None = None
        self.queues: list[str] = []
        self.dnis = f"+1555{seed % 10_000_000:07d}"
        self.histories: set[str] = set()
        self.rates: list[tuple[float, float]] = []
        self.actions: list[dict[str, Any]] = []
        self.outages: list[tuple[float, float]] = []
        self._live_times: list[float] = []
        self._live_versions: list[str | None] = []

    @property
    def history(self) -> list[tuple[float, str | None]]:
        """(epoch seconds, version) for each change of what is live, oldest first."""
        return list(zip(self._live_times, self._live_versions, strict=True))

    @property
    def active(self) -> bool:
        """False from a deactivation to the next publication."""
        return not self.outages or self.outages[-1][1] != math.inf

    def set_active(self, moment: float, *, active: bool) -> None:
        """Switch the flow on or off from this moment on."""
        if self.active and not active:
            self.outages.append((moment, math.inf))
        elif active and not self.active:
            self.outages[-1] = (self.outages[-1][0], moment)

    def out_at(self, moment: float) -> bool:
        """True while the flow is switched off."""
        return any(start <= moment < end for start, end in self.outages)

    def live_at(self, moment: float) -> str | None:
        """The version that callers met at this moment."""
        position = bisect_right(self._live_times, moment)
        return self._live_versions[position - 1] if position else None

    def existed_at(self, moment: float) -> bool:
        """True from the flow's first publication on."""
        return bool(self._live_times) and self._live_times[0] <= moment

    def steady_between(self, start: float, end: float) -> bool:
        """True when nothing went live after `start` and up to `end`."""
        return bisect_right(self._live_times, start) == bisect_right(self._live_times, end)

    def record_live(self, version_id: str | None, moment: float, actor: Actor) -> None:
        """Make a version what callers meet from this moment on."""
        previous = self.versions.get(self.live or "")
        if previous is not None and self.live != version_id:
            previous.published_end = moment
        self.live = version_id
        self._live_times.append(moment)
        self._live_versions.append(version_id)
        version = self.versions.get(version_id or "")
        if version is not None:
            version.status = "PUBLISHED"
            version.kind = "PUBLISH"
            version.published_at = moment
            version.published_end = None
            self.set_active(moment, active=True)
            self.published_by = actor
            self.note("publish", actor, moment, version_id)

    def note(self, action: str, actor: Actor, moment: float, version: str | None = None) -> None:
        """Append to the flow's own history of actions."""
        self.actions.append({"action": action, "actor": actor, "time": moment, "version": version})

    def settle(self, now: float) -> None:
        """Let time take effect: locks that end, publications that finish."""
        if self.lock is not None and self.lock.until is not None and now >= self.lock.until:
            self.lock = None
        publication = self.publication
        if publication is not None and now >= publication.operation.done_at:
            self.publication = None
            if publication.operation.error_code is None:
                self.record_live(
                    publication.version_id,
                    publication.operation.done_at,
                    publication.operation.actor,
                )
            else:
                self.activated = publication.activated

    def version(self, version_id: str) -> Version | None:
        """A version that still exists."""
        found = self.versions.get(version_id)
        return None if found is None or found.deleted else found

    def next_version_id(self) -> str:
        """The next whole number, as "4.0"."""
        numbers = [int(found[1]) for v in self.versions if (found := _NUMBERED.match(v))]
        return f"{max(numbers, default=0) + 1}.0"

    def locked_against(self, actor_id: str | None) -> bool:
        """True when somebody else holds the edit lock."""
        return self.lock is not None and self.lock.holder.id != actor_id

    def add_version(
        self,
        *,
        status: str,
        created_at: float,
        created_by: Actor,
        version_id: str | None = None,
        description: str = "",
        tags: list[str] | None = None,
        dependencies: list[Dependency] | None = None,
        configuration: dict[str, Any] | None = None,
        quality: Quality | None = None,
        show_created_at: bool = True,
        snapshot: bool = False,
    ) -> Version:
        """Append a version; a tag may also be named inside the description."""
        needs = dependencies or []
        version = Version(
            id=version_id or self.next_version_id(),
            status=status,
            created_at=created_at,
            created_by=created_by,
            description=description,
            tags=list(dict.fromkeys([*(tags or []), *_TAG.findall(description)])),
            dependencies=needs,
            configuration=configuration or {"name": self.name, "manifest": manifest(needs)},
            quality=quality or Quality(),
            show_created_at=show_created_at,
            snapshot=snapshot,
        )
        version.digest = version.fingerprint()
        self.versions[version.id] = version
        return version


@dataclass(slots=True)
class Settings:
    """What the control API may set for the whole org; durations in seconds."""

    publishing_seconds: float = 0.0
    publish_status: int = 202
    enforce_locks: bool = True
    show_created_at: bool = True
    dependency_tracking_rebuilding: bool = False
    max_predicates: int | None = None


class Org:
    """Everything both dialects read and write."""

    def __init__(self, *, seed: int = 1, clock: Clock | None = None) -> None:
        self.seed = seed
        self.clock = clock or Clock()
        self.settings = Settings()
        self.flows: dict[str, Flow] = {}
        self.invariants = Invariants()
        self.traffic = Traffic(seed)
        self.queues: dict[str, str] = {}
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.actions: dict[str, dict[str, Any]] = {}
        self.resources: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self.test_call: dict[str, Any] = {}
        self.failures: list[PublishFailure] = []
        self.executions: list[dict[str, Any]] = []
        self.limits: Callable[[], dict[str, int]] = dict

    def demo_id(self, number: int) -> str:
        """The UUID of the n-th seeded flow, from 1; the same for the same seed."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"simulator/flow/{self.seed}/{number}"))

    def flow(self, flow_id: str) -> Flow | None:
        """A flow with everything that is due by now already done, deleted ones included."""
        flow = self.flows.get(flow_id)
        if flow is not None:
            flow.settle(self.clock.now())
        return flow

    def add_flow(self, flow_id: str, name: str, flow_type: str = "INBOUNDCALL") -> Flow:
        """A new flow without versions."""
        digest = hashlib.sha256(f"{self.seed}/{flow_id}".encode()).digest()
        flow = Flow(flow_id, name, flow_type, int.from_bytes(digest[:8], "big"))
        self.flows[flow_id] = flow
        return flow

    def snapshot(self, flow: Flow, description: str, tags: list[str], actor: Actor) -> Version:
        """A DRAFT that copies what is live."""
        live = flow.versions.get(flow.live or "")
        now = self.clock.now()
        version = flow.add_version(
            status="DRAFT",
            created_at=now,
            created_by=actor,
            description=description,
            tags=tags,
            dependencies=list(live.dependencies) if live else None,
            configuration=live.configuration if live else None,
            quality=live.quality if live else None,
            show_created_at=self.settings.show_created_at,
            snapshot=True,
        )
        flow.note("save", actor, now, version.id)
        return version

    def activate(self, flow: Flow, version_id: str, actor: Actor) -> None:
        """Choose a version without changing what callers meet."""
        now = self.clock.now()
        if flow.locked_against(actor.id):
            self._count("activations_over_anothers_lock", flow, version_id)
        pending = flow.publication.version_id if flow.publication else None
        chosen = flow.activated[0] if flow.activated else pending or flow.live
        if chosen == version_id:
            self._count("repeated_activations", flow, version_id)
        if flow.activated is None or flow.activated[0] != version_id:
            flow.activated = (version_id, now)

    def publish(self, flow: Flow, version_id: str, actor: Actor) -> Operation:
        """Start making a version live; it takes the settable publishing time."""
        now = self.clock.now()
        if flow.locked_against(actor.id):
            self._count("publishes_over_anothers_lock", flow, version_id)
        pending = flow.publication
        if pending is not None and pending.version_id == version_id:
            self._count("repeated_publishes", flow, version_id)
            return pending.operation
        if flow.live == version_id:
            self._count("repeated_publishes", flow, version_id)
        failure = self._failure_for(flow.id)
        operation = Operation(
            id=str(uuid.uuid4()),
            action="PUBLISH",
            actor=actor,
            started=now,
            done_at=now + self.settings.publishing_seconds,
            error_code=failure.code if failure else None,
            error_message=failure.message if failure else None,
        )
        flow.operation = operation
        flow.publication = Publication(version_id, operation, flow.activated)
        flow.activated = None
        flow.settle(now)
        return operation

    def deploy(
        self, flow: Flow, actor: Actor, *, at: float | None = None, **content: Any
    ) -> Version:
        """A pipeline's deployment: a new version, live at once."""
        moment = self.clock.now() if at is None else at
        flow.publication = None
        version = flow.add_version(
            status="PUBLISHED", created_at=moment, created_by=actor, **content
        )
        flow.activated = None
        flow.record_live(version.id, moment, actor)
        flow.operation = Operation(str(uuid.uuid4()), "PUBLISH", actor, moment, moment)
        return version

    def operate(self, flow: Flow, action: str, actor: Actor) -> Operation:
        """An operation that is done at once, as the flow's current one."""
        now = self.clock.now()
        flow.operation = Operation(str(uuid.uuid4()), action, actor, now, now)
        return flow.operation

    def lock(self, flow: Flow, actor: Actor, seconds: float | None = None) -> None:
        """Give the edit lock to somebody, for ever or for some seconds."""
        now = self.clock.now()
        flow.lock = Lock(actor, now, None if seconds is None else now + seconds)
        flow.note("checkout", actor, now)

    def save_draft(self, flow: Flow, configuration: dict[str, Any], actor: Actor) -> Version:
        """Keep what an editor has so far; it replaces the draft before it."""
        self._drop_drafts(flow)
        now = self.clock.now()
        version = flow.add_version(
            status="DRAFT",
            created_at=now,
            created_by=actor,
            version_id=f"saved_version_{uuid.uuid4()}",
            configuration=configuration,
        )
        version.kind = "SAVE"
        flow.note("save", actor, now, version.id)
        return version

    def check_in(self, flow: Flow, actor: Actor) -> None:
        """Turn the saved draft, if any, into a numbered version and let go of the lock."""
        draft = next((v for v in flow.versions.values() if v.kind == "SAVE"), None)
        now = self.clock.now()
        if draft is not None:
            self._drop_drafts(flow)
            made = flow.add_version(
                status="DRAFT",
                created_at=now,
                created_by=actor,
                configuration=draft.configuration,
            )
            flow.note("checkin", actor, now, made.id)
        flow.lock = None

    def revert(self, flow: Flow, actor: Actor) -> None:
        """Drop the saved draft and let go of the lock."""
        self._drop_drafts(flow)
        flow.lock = None
        flow.note("revert", actor, self.clock.now())

    def unlock(self, flow: Flow, actor: Actor) -> None:
        """End anybody's lock, counted when it was another's; drafts are checked in."""
        if flow.locked_against(actor.id):
            self._count("forced_unlocks", flow, None)
        self.check_in(flow, actor)

    def deactivate(self, flow: Flow, actor: Actor) -> None:
        """Switch a flow off; a publication switches it on again."""
        now = self.clock.now()
        flow.set_active(now, active=False)
        flow.note("deactivate", actor, now)

    def _drop_drafts(self, flow: Flow) -> None:
        for version_id in [v.id for v in flow.versions.values() if v.kind == "SAVE"]:
            del flow.versions[version_id]

    def refuse_locked(self, flow: Flow, version_id: str) -> None:
        """Count a publication that another's lock kept from happening."""
        self._count("publishes_refused_by_lock", flow, version_id)

    def breach(self, counter: str, flow: Flow, version_id: str | None) -> None:
        """Count one breach of an invariant."""
        self._count(counter, flow, version_id)

    def _count(self, counter: str, flow: Flow, version_id: str | None) -> None:
        self.invariants.count(counter, flow=flow.id, version=version_id, time=self.clock.now())

    def _failure_for(self, flow_id: str) -> PublishFailure | None:
        for failure in self.failures:
            if failure.times != 0 and failure.flow in (None, flow_id):
                failure.times -= failure.times > 0
                return failure
        return None


def manifest(dependencies: list[Dependency]) -> dict[str, list[dict[str, Any]]]:
    """The `manifest` of an exported configuration: used entities by kind."""
    listing: dict[str, list[dict[str, Any]]] = {}
    for dependency in dependencies:
        entry = dependency.entry()
        entry.pop("type")
        kind = _MANIFEST.get(dependency.type, dependency.type.lower())
        listing.setdefault(kind, []).append(entry)
    return listing
