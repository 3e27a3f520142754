"""The public Platform API's dialect over the same org: flows, versions and their operations.

Paths, member names and enums are those of the official SDK; members without a value are omitted.
"""

import uuid
from typing import Any

from simulator import analytics, dependencies
from simulator.clock import to_iso
from simulator.guide import actor_of
from simulator.listing import listing
from simulator.org import Actor, Flow, Operation, Org, Version
from simulator.wire import Answer, Call, Refusal, Route

_CONFLICT = "The request conflicts with the current state of the target resource."
_ORGANIZATION = {"id": "d1f4a5b0-6c0e-4a7b-9d53-2e8f3b0c7a11", "name": "Simulated org"}
_DIVISION = {
    "id": "c7e3b2a9-1f64-4d0b-8a8e-5b9d6e0f4c22",
    "name": "Home",
    "selfUri": "/api/v2/authorization/divisions/c7e3b2a9-1f64-4d0b-8a8e-5b9d6e0f4c22",
}


def flow_json(flow: Flow, now: float) -> dict[str, Any]:
    """A flow as `GET /api/v2/flows/{flowId}` shows it."""
    body: dict[str, Any] = {
        "id": flow.id,
        "name": flow.name,
        "division": _DIVISION,
        "type": flow.type,
        "active": flow.active,
        "system": False,
        "deleted": flow.deleted,
        "selfUri": f"/api/v2/flows/{flow.id}",
    }
    if flow.description:
        body["description"] = flow.description
    if flow.lock is not None:
        holder = flow.lock.holder
        body["lockedUser" if holder.kind == "user" else "lockedClient"] = actor_json(holder)
    existing = [v for v in flow.versions.values() if not v.deleted]
    saved = next((v for v in reversed(existing) if v.kind == "SAVE"), None)
    checked_in = next((v for v in reversed(existing) if v.kind != "SAVE"), None)
    live = flow.versions.get(flow.live or "")
    for name, version in (
        ("publishedVersion", live),
        ("savedVersion", saved or checked_in),
        ("checkedInVersion", checked_in),
    ):
        if version is not None:
            body[name] = version_json(flow, version)
    if flow.published_by is not None and flow.published_by.kind == "user":
        body["publishedBy"] = actor_json(flow.published_by)
    if flow.operation is not None:
        body["currentOperation"] = operation_json(flow.operation, now)
    return body


def version_json(flow: Flow, version: Version) -> dict[str, Any]:
    """A version; dateCreated and its like in epoch milliseconds, datePublished in ISO 8601."""
    uri = f"/api/v2/flows/{flow.id}/versions/{version.id}"
    created = int(version.created_at * 1000)
    body: dict[str, Any] = {
        "id": version.id,
        "name": version.id,
        "type": version.kind,
        "secure": False,
        "debug": False,
        "configurationUri": f"{uri}/configuration",
        "dateCreated": created,
        "dateSaved": created,
        "selfUri": uri,
    }
    if version.kind != "SAVE":
        body["commitVersion"] = body["configurationVersion"] = version.id
        body["dateCheckedIn"] = created
    by = "createdBy" if version.created_by.kind == "user" else "createdByClient"
    body[by] = actor_json(version.created_by)
    if version.published_at is not None:
        body["datePublished"] = to_iso(version.published_at)
    if version.published_end is not None:
        body["datePublishedEnd"] = to_iso(version.published_end)
    return body


def operation_json(
    operation: Operation, now: float, *, just_started: bool = False
) -> dict[str, Any]:
    """An asynchronous operation; a failed one has a code and a message, and no details."""
    status = "STARTED" if just_started else operation.status(now)
    complete = status in {"SUCCESS", "FAILURE"}
    body: dict[str, Any] = {
        "id": operation.id,
        "complete": complete,
        "actionName": operation.action,
        "actionStatus": status,
        "errorDetails": [],
    }
    body["user" if operation.actor.kind == "user" else "client"] = actor_json(operation.actor)
    if status == "FAILURE":
        body["errorCode"] = operation.error_code
        body["errorMessage"] = operation.error_message
    return body


def actor_json(actor: Actor) -> dict[str, Any]:
    """A user or an OAuth client."""
    kind = "users" if actor.kind == "user" else "oauth/clients"
    return {"id": actor.id, "name": actor.name, "selfUri": f"/api/v2/{kind}/{actor.id}"}


def read_flow(org: Org, call: Call) -> Answer:
    """GET one flow; a deleted one answers 410 unless `deleted=true`."""
    wanted = call.query.get("deleted") == "true"
    return Answer(200, flow_json(_flow(org, call.params["flow"], deleted=wanted), call.now))


def look_up(org: Org, call: Call) -> Answer:
    """GET flows by id; ids repeated or comma-joined; unknown ones are left out."""
    found = [f for flow_id in call.required("id").split(",") if (f := org.flow(flow_id))]
    return Answer(200, _flows(call, [f for f in found if not f.deleted]))


def list_flows(org: Org, call: Call) -> Answer:
    """GET all flows, by id, filtered by type, name, lockedBy or lockedByClientId."""
    wanted = call.query.get("deleted") == "true"
    flow_type = call.query.get("type", "").upper()
    name = call.query.get("name", "").lower()
    found = []
    for flow in map(org.flow, sorted(org.flows)):
        if flow is None or flow.deleted != wanted:
            continue
        if flow_type and flow.type not in flow_type.split(","):
            continue
        if name and name.strip("*") not in flow.name.lower():
            continue
        holder = flow.lock.holder if flow.lock else None
        if any(
            call.query.get(key) and (holder is None or holder.id != call.query[key])
            for key in ("lockedBy", "lockedByClientId")
        ):
            continue
        found.append(flow)
    return Answer(200, _flows(call, found))


def list_versions(org: Org, call: Call) -> Answer:
    """GET a page of versions, newest first, saved drafts included."""
    flow = _flow(org, call.params["flow"])
    found = [v for v in reversed(flow.versions.values()) if not v.deleted]
    return Answer(200, listing(call, found, lambda v: version_json(flow, v)))


def read_version(org: Org, call: Call) -> Answer:
    """GET one version."""
    flow = _flow(org, call.params["flow"])
    return Answer(200, version_json(flow, _version(flow, call.params["version"])))


def read_configuration(org: Org, call: Call) -> Answer:
    """GET a version's configuration, with the manifest of what it uses."""
    flow = _flow(org, call.params["flow"])
    return Answer(200, _version(flow, call.params["version"]).configuration)


def latest_configuration(org: Org, call: Call) -> Answer:
    """GET the newest saved configuration, which may be a draft's."""
    flow = _flow(org, call.params["flow"])
    newest = next((v for v in reversed(flow.versions.values()) if not v.deleted), None)
    return Answer(200, newest.configuration if newest else {})


def publish(org: Org, call: Call) -> Answer:
    """POST a version live: an operation, and silence about a version that does not exist."""
    flow = _flow(org, call.required("flow"))
    actor = actor_of(call)
    version_id = call.query.get("version") or next(
        (v.id for v in reversed(flow.versions.values()) if v.kind != "SAVE" and not v.deleted), ""
    )
    if org.settings.enforce_locks and flow.locked_against(actor.id):
        org.refuse_locked(flow, version_id)
        raise Refusal(409, "conflict", _CONFLICT)
    version = flow.version(version_id)
    if version is None or version.kind == "SAVE":
        org.breach("publishes_of_unknown_version", flow, version_id)
        nothing = Operation(str(uuid.uuid4()), "PUBLISH", actor, call.now, call.now)
        return Answer(200, operation_json(nothing, call.now), version=version_id)
    if flow.publication is not None:
        if flow.publication.version_id == version.id:
            org.breach("repeated_publishes", flow, version.id)
        raise Refusal(409, "conflict", _CONFLICT)
    if flow.operation is not None and call.now < flow.operation.done_at:
        raise Refusal(409, "conflict", _CONFLICT)
    operation = org.publish(flow, version.id, actor)
    body = operation_json(operation, call.now, just_started=True)
    return Answer(org.settings.publish_status, body, effect=True, version=version.id)


def check_out(org: Org, call: Call) -> Answer:
    """POST to take the edit lock; 409 if anybody has it, even the caller."""
    flow = _flow(org, call.required("flow"))
    if flow.lock is not None:
        raise Refusal(409, "conflict", _CONFLICT)
    org.lock(flow, actor_of(call))
    return Answer(200, flow_json(flow, call.now), effect=True)


def check_in(org: Org, call: Call) -> Answer:
    """POST to turn the saved draft into a numbered version and let go of the lock."""
    flow = _own(org, call)
    org.check_in(flow, actor_of(call))
    operation = org.operate(flow, "CHECKIN", actor_of(call))
    body = operation_json(operation, call.now, just_started=True)
    return Answer(200, body, effect=True)


def revert(org: Org, call: Call) -> Answer:
    """POST to drop the saved draft and let go of the own lock."""
    flow = _own(org, call)
    org.revert(flow, actor_of(call))
    return Answer(200, flow_json(flow, call.now), effect=True)


def unlock(org: Org, call: Call) -> Answer:
    """POST to end anybody's lock; what was saved is checked in as a new version."""
    flow = _flow(org, call.required("flow"))
    org.unlock(flow, actor_of(call))
    return Answer(200, flow_json(flow, call.now), effect=True)


def deactivate(org: Org, call: Call) -> Answer:
    """POST to switch a flow off: its callers meet an error."""
    flow = _flow(org, call.required("flow"))
    org.deactivate(flow, actor_of(call))
    return Answer(200, flow_json(flow, call.now), effect=True)


def save_draft(org: Org, call: Call) -> Answer:
    """POST a configuration as a saved draft; needs the own lock."""
    flow = _own(org, call)
    version = org.save_draft(flow, call.json_object(), actor_of(call))
    return Answer(200, version_json(flow, version), effect=True, version=version.id)


def update_metadata(org: Org, call: Call) -> Answer:
    """PUT a flow's name and description; versions and callers stay as they are."""
    flow = _flow(org, call.params["flow"])
    body = call.json_object()
    if not isinstance(body.get("name"), str) or not body["name"]:
        raise Refusal(400, "bad.request", "name is required.")
    if flow.locked_against(actor_of(call).id):
        raise Refusal(409, "conflict", _CONFLICT)
    flow.name = body["name"]
    flow.description = str(body.get("description", flow.description))
    return Answer(200, flow_json(flow, call.now), effect=True)


def ask_history(org: Org, call: Call) -> Answer:
    """POST to prepare the history of a flow; the operation's id is the history's."""
    flow = _flow(org, call.params["flow"])
    history = Operation(str(uuid.uuid4()), "HISTORY", actor_of(call), call.now, call.now)
    flow.histories.add(history.id)
    return Answer(200, operation_json(history, call.now, just_started=True))


def read_history(org: Org, call: Call) -> Answer:
    """GET who did what to a flow, newest first."""
    flow = _flow(org, call.params["flow"])
    if call.params["history"] not in flow.histories:
        raise Refusal(404, "not.found", "Could not find the history.")
    wanted = set(filter(None, call.query.get("action", "").split(",")))
    entries = [a for a in reversed(flow.actions) if not wanted or a["action"] in wanted]

    def entry(action: dict[str, Any]) -> dict[str, Any]:
        by: Actor = action["actor"]
        body = {
            "action": action["action"],
            "timestamp": to_iso(action["time"]),
            "user" if by.kind == "user" else "client": actor_json(by),
        }
        return body if action["version"] is None else {**body, "version": action["version"]}

    page = listing(call, entries, entry)
    return Answer(
        200,
        {
            "id": call.params["history"],
            "complete": True,
            "actionName": "HISTORY",
            "actionStatus": "SUCCESS",
            "name": flow.name,
            **page,
        },
    )


def limits(org: Org, call: Call) -> Answer:
    """GET the limits of a namespace; those of the API are what the simulator enforces."""
    namespace = call.params["namespace"]
    entries = [
        {"key": key, "namespace": namespace, "value": value}
        for key, value in org.limits().items()
        if namespace == "platform.api"
    ]
    return Answer(200, {"entities": entries, "total": len(entries), "pageNumber": 1})


def who_am_i(_: Org, call: Call) -> Answer:
    """GET what the token is: its OAuth client and organization."""
    actor = actor_of(call)
    return Answer(
        200,
        {
            "organization": _ORGANIZATION,
            "homeOrganization": _ORGANIZATION,
            "authorizedScope": [],
            "OAuthClient": {"id": actor.id, "name": actor.name},
        },
    )


def read_grants(_: Org, call: Call) -> Answer:
    """GET what was granted to the token's holder; policies only with `includeFullRoles`."""
    role: dict[str, Any] = {"id": "role-1", "name": "Simulated role"}
    if call.query.get("includeFullRoles") == "true" and call.client is not None:
        parts = [permission.split(":") for permission in sorted(call.client.permissions)]
        role["policies"] = [
            {"domain": domain, "entityName": entity, "actions": [action]}
            for domain, entity, action in parts
        ]
    actor = actor_of(call)
    grant = {"subjectId": actor.id, "division": _DIVISION, "role": role}
    return Answer(200, {"id": actor.id, "name": actor.name, "grants": [grant]})


def read_organization(_: Org, __: Call) -> Answer:
    """GET the organization."""
    return Answer(200, _ORGANIZATION)


def _flow(org: Org, flow_id: str, *, deleted: bool = False) -> Flow:
    flow = org.flow(flow_id)
    if flow is None:
        raise Refusal(404, "architect.flow.not.found", "Could not find flow with specified ID.")
    if flow.deleted and not deleted:
        raise Refusal(410, "architect.flow.deleted", "Flow has been deleted.")
    return flow


def _own(org: Org, call: Call) -> Flow:
    flow = _flow(org, call.params.get("flow") or call.required("flow"))
    if flow.lock is None or flow.locked_against(actor_of(call).id):
        raise Refusal(409, "conflict", _CONFLICT)
    return flow


def _version(flow: Flow, version_id: str) -> Version:
    version = flow.version(version_id)
    if version is None:
        raise Refusal(
            404,
            "architect.flow.version.not.found",
            f"Could not find version {version_id} of the flow.",
        )
    return version


def _flows(call: Call, flows: list[Flow]) -> dict[str, Any]:
    return listing(call, flows, lambda flow: flow_json(flow, call.now))


_FLOW = "/api/v2/flows/{flow}"
_ACTIONS = "/api/v2/flows/actions/"
_VIEW, _EDIT = ("architect:flow:view",), ("architect:flow:edit",)
_UNLOCK = ("architect:flow:unlock",)
_PUBLISH = ("architect:flow:publish",)

ROUTES: list[Route] = [
    Route("GET", "/api/v2/flows/lookup", "look_up", look_up, _VIEW),
    Route("GET", _FLOW, "read_flow", read_flow, _VIEW),
    Route("POST", _ACTIONS + "publish", "publish", publish, _PUBLISH + _UNLOCK),
    Route("GET", "/api/v2/flows", "list_flows", list_flows, _VIEW),
    Route("GET", _FLOW + "/versions", "list_versions", list_versions, _VIEW),
    Route("GET", _FLOW + "/versions/{version}", "read_version", read_version, _VIEW),
    Route(
        "GET",
        _FLOW + "/versions/{version}/configuration",
        "read_configuration",
        read_configuration,
        _VIEW,
    ),
    Route("GET", _FLOW + "/latestconfiguration", "read_configuration", latest_configuration, _VIEW),
    Route("POST", _ACTIONS + "checkout", "checkout", check_out, _EDIT),
    Route("POST", _ACTIONS + "checkin", "checkin", check_in, _EDIT + _UNLOCK),
    Route("POST", _ACTIONS + "revert", "revert", revert, _EDIT),
    Route("POST", _ACTIONS + "unlock", "unlock", unlock, _UNLOCK),
    Route("POST", _ACTIONS + "deactivate", "deactivate", deactivate, _PUBLISH),
    Route("POST", _FLOW + "/versions", "save", save_draft, _EDIT),
    Route("PUT", _FLOW, "update_metadata", update_metadata, _EDIT),
    Route("POST", _FLOW + "/history", "operation", ask_history, _VIEW),
    Route("GET", _FLOW + "/history/{history}", "operation", read_history, _VIEW),
    Route("GET", "/api/v2/organizations/limits/namespaces/{namespace}", "limits", limits),
    Route("GET", "/api/v2/organizations/limits/namespaces/{namespace}/defaults", "limits", limits),
    Route("GET", "/api/v2/organizations/me", "identity", read_organization),
    Route("GET", "/api/v2/tokens/me", "identity", who_am_i),
    Route("GET", "/api/v2/authorization/subjects/me", "identity", read_grants),
    *analytics.ROUTES,
    *dependencies.ROUTES,
]
