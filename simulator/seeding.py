"""How flows come into the org: the seeded ones and those that the control API describes."""

import uuid
from typing import Any

from simulator.clock import from_iso
from simulator.org import Actor, Dependency, Flow, Org, Version
from simulator.traffic import Quality, Volume

PIPELINE = Actor("8f1c0b52-9d3e-4a53-8a5e-6d2d3c1f0a10", "Release pipeline", "deployment")
DEMO_QUEUE = "3b0d5c1e-52a4-4c39-9f51-0d8c1f7e2a01"
DEMO_ACTION = "custom_-_5d9a1f0c-3f2b-4f2a-8b61-2f5f7c9f1d02"


def seed_flows(org: Org, flows: int, calls_per_minute: float) -> None:
    """Fill the org with `flows` alike flows: 1.0 live for 20 h, then 2.0 for 2 h."""
    org.traffic.set_volume(Volume(calls_per_minute=calls_per_minute), None)
    org.queues[DEMO_QUEUE] = "Customer care"
    org.actions[DEMO_ACTION] = {"name": "Look up customer"}
    needs = [{"type": "QUEUE", "id": DEMO_QUEUE, "name": "Customer care"}]
    for number in range(1, flows + 1):
        create_flow(
            org,
            {
                "id": org.demo_id(number),
                "name": "Main line" if number == 1 else f"Main line {number}",
                "queues": [DEMO_QUEUE],
                "versions": [
                    {"age_seconds": 20 * 3600, "dependencies": needs},
                    {"age_seconds": 2 * 3600, "dependencies": needs},
                ],
            },
        )


def create_flow(org: Org, definition: dict[str, Any]) -> Flow:
    """A flow from JSON; versions come oldest first, ages are in seconds."""
    flow_id = str(definition.get("id") or uuid.uuid4())
    flow = org.add_flow(
        flow_id,
        str(definition.get("name") or f"Flow {flow_id[:8]}"),
        str(definition.get("type") or "INBOUNDCALL"),
    )
    flow.queues = [str(queue) for queue in definition.get("queues") or []]
    for queue in flow.queues:
        org.queues.setdefault(queue, f"Queue {queue[:8]}")
    if "calls_per_minute" in definition:
        flow.rates = [(0.0, float(definition["calls_per_minute"]))]
    made = [add_version(org, flow, each) for each in definition.get("versions") or [{}]]
    published = [v for v in made if v.status == "PUBLISHED" and not v.deleted]
    for version in sorted(published, key=lambda v: v.created_at):
        flow.record_live(version.id, version.created_at, version.created_by)
    live = definition.get("live")
    if live is not None and live != flow.live:
        if live not in flow.versions:
            raise ValueError(f"live version {live!r} is not among the versions")
        flow.record_live(live, org.clock.now(), PIPELINE)
    return flow


def add_version(org: Org, flow: Flow, definition: dict[str, Any]) -> Version:
    """A version from JSON, without making it live."""
    now = org.clock.now()
    created = definition.get("created_at")
    if isinstance(created, str):
        moment = from_iso(created)
    elif created is not None:
        moment = float(created)
    else:
        moment = now - float(definition.get("age_seconds", 0))
    version = flow.add_version(
        status=str(definition.get("status", "PUBLISHED")),
        created_at=moment,
        created_by=actor(definition.get("created_by"), PIPELINE),
        version_id=definition.get("id"),
        show_created_at=bool(definition.get("show_created_at", org.settings.show_created_at)),
        **content(definition),
    )
    version.deleted = bool(definition.get("deleted"))
    return version


def content(definition: dict[str, Any]) -> dict[str, Any]:
    """What a version holds, from JSON."""
    return {
        "description": str(definition.get("description", "")),
        "tags": [str(tag) for tag in definition.get("tags") or []],
        "dependencies": [dependency(each) for each in definition.get("dependencies") or []],
        "configuration": definition.get("configuration"),
        "quality": Quality.of(definition.get("quality")),
    }


def dependency(definition: dict[str, Any]) -> Dependency:
    """A dependency from JSON: type QUEUE, DATAACTION or ENDPOINT, id, name, url."""
    kind = str(definition["type"]).upper()
    name = str(definition.get("name") or definition.get("id"))
    return Dependency(kind, str(definition.get("id") or name), name, definition.get("url"))


def actor(value: Any, default: Actor) -> Actor:
    """An actor from JSON: a name, or `{id, name, kind}`."""
    if value is None:
        return default
    if isinstance(value, str):
        return Actor(value, value, default.kind)
    found = str(value.get("id") or value.get("name") or default.id)
    return Actor(found, str(value.get("name") or found), str(value.get("kind", default.kind)))
