"""The guide's dialect: drafts as snapshots, PUT to activate, POST to publish, KPIs by GET."""

from typing import Any

from simulator.clock import from_iso, to_iso
from simulator.org import Actor, Flow, Org, Version
from simulator.traffic import Counts
from simulator.wire import Answer, Call, Refusal, Route


def actor_of(call: Call) -> Actor:
    """The OAuth client that sent a call."""
    if call.client is None:
        return Actor("outside", "outside", "client")
    return Actor(call.client.id, call.client.name, "client")


def read_flow(org: Org, call: Call) -> Answer:
    """GET a flow: `version` is what was last activated or published, not always what is live."""
    flow = _flow(org, call)
    body: dict[str, Any] = {"id": flow.id, "name": flow.name}
    shown = _shown(flow)
    if shown is not None:
        version, status = shown
        body["version"] = {"versionId": version.id, "status": status}
        if version.show_created_at:
            body["version"]["createdAt"] = to_iso(version.created_at)
    body["versions"] = [_entry(v) for v in reversed(flow.versions.values()) if not v.deleted]
    return Answer(200, body)


def snapshot(org: Org, call: Call) -> Answer:
    """POST a draft version that copies what is live."""
    flow = _flow(org, call)
    body = call.json_object()
    if body.get("status", "DRAFT") != "DRAFT":
        raise Refusal(400, "bad.request", "status must be DRAFT.")
    if flow.lock is not None and flow.locked_against(actor_of(call).id):
        holder = flow.lock.holder
        raise Refusal(409, "flow.locked", f"The flow is locked by {holder.kind} {holder.name}.")
    tags = body.get("tags") or []
    if not isinstance(tags, list) or not isinstance(body.get("description", ""), str):
        raise Refusal(400, "bad.request", "description must be a string, tags a list.")
    version = org.snapshot(
        flow, body.get("description", ""), [str(tag) for tag in tags], actor_of(call)
    )
    return Answer(200, {"flowId": flow.id, **_entry(version)}, effect=True, version=version.id)


def read_locks(org: Org, call: Call) -> Answer:
    """GET who holds the edit lock."""
    lock = _flow(org, call).lock
    if lock is None:
        return Answer(200, {"locked": False, "lockedBy": None, "lockedAt": None})
    holder = lock.holder
    kind = "user" if holder.kind == "user" else "deployment"
    return Answer(
        200,
        {
            "locked": True,
            "lockedBy": {"id": holder.id, "name": holder.name, "type": kind},
            "lockedAt": to_iso(lock.since),
        },
    )


def activate(org: Org, call: Call) -> Answer:
    """PUT the version to be published next; callers stay where they are."""
    flow = _flow(org, call)
    body = call.json_object()
    chosen = body.get("version")
    version_id = chosen.get("versionId") if isinstance(chosen, dict) else None
    if not isinstance(version_id, str) or body.get("status") != "PUBLISHED":
        raise Refusal(400, "bad.request", "version.versionId and status PUBLISHED are required.")
    version = _version(flow, version_id)
    if isinstance(body.get("name"), str) and body["name"]:
        flow.name = body["name"]
    org.activate(flow, version.id, actor_of(call))
    answer = {
        "id": flow.id,
        "name": flow.name,
        "version": {"versionId": version.id, "status": "ACTIVATED"},
    }
    return Answer(200, answer, effect=True, version=version.id)


def publish(org: Org, call: Call) -> Answer:
    """POST a version live; refused with 423 while somebody else edits the flow."""
    flow = _flow(org, call)
    actor = actor_of(call)
    version = _version(flow, call.params["version"])
    if flow.lock is not None and flow.locked_against(actor.id):
        forced = call.query.get("force") == "true"
        if org.settings.enforce_locks and not forced:
            org.refuse_locked(flow, version.id)
            raise Refusal(423, "flow.locked", f"{flow.lock.holder.name} is editing the flow.")
    pending = flow.publication
    if pending is not None and pending.version_id != version.id:
        raise Refusal(
            409, "flow.publish.in.progress", f"Version {pending.version_id} is being published."
        )
    chosen = flow.activated[0] if flow.activated else None
    if pending is None and version.id not in (chosen, flow.live):
        org.breach("publishes_not_activated", flow, version.id)
    org.publish(flow, version.id, actor)
    done = flow.publication is None and flow.live == version.id
    answer = {
        "flowId": flow.id,
        "versionId": version.id,
        "status": "PUBLISHED" if done else "PUBLISHING",
    }
    return Answer(200, answer, effect=True, version=version.id)


def kpis(org: Org, call: Call) -> Answer:
    """GET KPIs of an interval; averages in seconds, no row when analytics has nothing yet."""
    flow = _flow(org, call)
    start, end = (_moment(call, name) for name in ("startTime", "endTime"))
    if end <= start:
        raise Refusal(400, "invalid.date", "endTime must come after startTime.")
    if org.traffic.analytics_outage:
        raise Refusal(503, "service.unavailable", "Service Unavailable - analytics is down.")
    by_version = org.traffic.window(flow, start, end, call.now)
    if by_version is None:
        return Answer(200, {"data": []})
    total = Counts()
    for counts in by_version.values():
        total.add(counts)
    row = {
        "flowId": flow.id,
        "totalCalls": total.calls,
        "abandonedCalls": total.abandoned,
        "errorCount": total.errors,
        "averageDuration": round(total.duration_seconds / total.calls, 3) if total.calls else 0,
        "averageSpeedOfAnswer": round(total.wait_seconds / total.answered, 3)
        if total.answered
        else 0,
    }
    return Answer(200, {"data": [row]})


def _flow(org: Org, call: Call) -> Flow:
    flow = org.flow(call.params["flow"])
    if flow is None or flow.deleted:
        raise Refusal(404, "flow.not.found", "Could not find flow with specified ID.")
    return flow


def _version(flow: Flow, version_id: str) -> Version:
    version = flow.version(version_id)
    if version is None or version.kind == "SAVE":
        raise Refusal(
            404, "version.not.found", f"Could not find version {version_id} of flow {flow.id}."
        )
    return version


def _shown(flow: Flow) -> tuple[Version, str] | None:
    if flow.publication is not None:
        version_id, status = flow.publication.version_id, "PUBLISHING"
    elif flow.activated is not None:
        version_id, status = flow.activated[0], "ACTIVATED"
    elif flow.live is not None:
        version_id, status = flow.live, "PUBLISHED"
    else:
        return None
    return flow.versions[version_id], status


def _entry(version: Version) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "versionId": version.id,
        "status": version.status,
        "createdBy": {"id": version.created_by.id},
    }
    if version.show_created_at:
        entry["createdAt"] = to_iso(version.created_at)
    if version.tags:
        entry["tags"] = version.tags
    if version.description:
        entry["description"] = version.description
    if version.dependencies:
        entry["dependencies"] = [dependency.entry() for dependency in version.dependencies]
    return entry


def _moment(call: Call, name: str) -> float:
    try:
        return from_iso(call.required(name))
    except ValueError:
        raise Refusal(400, "invalid.date", f"{name} is not an ISO 8601 date.") from None


_FLOW = "/api/v2/architect/flows/{flow}"
_VIEW, _EDIT = ("architect:flow:view",), ("architect:flow:edit",)

ROUTES = [
    Route("GET", _FLOW, "read_flow", read_flow, _VIEW, "guide"),
    Route("GET", _FLOW + "/locks", "read_lock", read_locks, _VIEW, "guide"),
    Route("PUT", _FLOW, "activate", activate, _EDIT, "guide"),
    Route("POST", _FLOW + "/versions", "snapshot", snapshot, _EDIT, "guide"),
    Route(
        "POST",
        _FLOW + "/versions/{version}/publish",
        "publish",
        publish,
        ("architect:flow:publish",),
        "guide",
    ),
    Route(
        "GET",
        "/api/v2/analytics/flows/{flow}/summary",
        "kpis",
        kpis,
        ("analytics:flowAggregate:view",),
        "guide",
    ),
]
