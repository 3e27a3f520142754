"""What a version uses inside Genesys Cloud: dependency tracking and data actions."""

from typing import Any

from simulator.listing import listing
from simulator.org import Dependency, Org
from simulator.wire import Answer, Call, Refusal, Route

_KINDS = {"USERPROMPT": "prompts", "SCHEDULE": "schedules", "DATATABLE": "datatables"}


def consumed_resources(org: Org, call: Call) -> Answer:
    """GET what a version uses; 206 and incomplete while tracking is being rebuilt."""
    flow = org.flow(call.required("id"))
    version_id = call.required("version")
    call.required("objectType")
    if flow is not None and flow.deleted:
        raise Refusal(410, "architect.flow.deleted", "Flow has been deleted.")
    version = flow.version(version_id) if flow else None
    if version is None:
        raise Refusal(404, "not.found", "Could not find the object with this id and version.")
    if org.settings.dependency_tracking_rebuilding:
        return Answer(206, listing(call, [], dict))
    wanted = set(filter(None, call.query.get("resourceType", "").split(",")))
    used = [
        d for d in version.dependencies if d.type != "ENDPOINT" and (not wanted or d.type in wanted)
    ]

    def entity(dependency: Dependency) -> dict[str, Any]:
        return {
            "id": dependency.id,
            "name": dependency.name,
            "type": dependency.type,
            "deleted": not _exists(org, dependency),
            "updated": False,
            "stateUnknown": False,
        }

    return Answer(200, listing(call, used, entity))


def _exists(org: Org, dependency: Dependency) -> bool:
    if dependency.type.endswith("FLOW"):
        flow = org.flow(dependency.id)
        return flow is not None and not flow.deleted
    if dependency.type == "QUEUE":
        return dependency.id in org.queues
    if dependency.type == "DATAACTION":
        return dependency.id in org.actions
    return dependency.id in org.resources[_KINDS.get(dependency.type, "others")]


def build_status(org: Org, _: Call) -> Answer:
    """GET whether dependency tracking is complete."""
    rebuilding = org.settings.dependency_tracking_rebuilding
    return Answer(200, {"status": "BUILDINPROGRESS" if rebuilding else "OPERATIONAL"})


def read_resource(org: Org, call: Call) -> Answer:
    """GET a prompt, a schedule or a datatable."""
    kind, resource_id = call.path.split("/")[-2:]
    name = org.resources[kind].get(resource_id)
    if name is None:
        raise Refusal(404, "not.found", f"Unable to find {resource_id} among the {kind}.")
    return Answer(200, {"id": resource_id, "name": name, "selfUri": call.path})


def read_action(org: Org, call: Call) -> Answer:
    """GET a data action."""
    action_id = call.params["action"]
    return Answer(
        200,
        {
            "id": action_id,
            "name": _action(org, action_id).get("name", action_id),
            "category": "Simulated",
            "secure": False,
            "selfUri": f"/api/v2/integrations/actions/{action_id}",
        },
    )


def test_action(org: Org, call: Call) -> Answer:
    """POST a test, which really executes the action."""
    action_id = call.params["action"]
    action = _action(org, action_id)
    org.executions.append({"kind": "action", "action": action_id, "input": call.json()})
    if action.get("success", True):
        step = {"step": 1, "name": "Execute", "success": True}
        result = action.get("result", {})
        body = {"operations": [step], "finalResult": result, "success": True}
        return Answer(200, body, effect=True)
    message = str(action.get("error", "The remote system did not answer."))
    error = {"message": message, "code": "bad.gateway", "status": 502}
    step = {"step": 1, "name": "Execute", "success": False, "error": error}
    return Answer(200, {"operations": [step], "error": error, "success": False}, effect=True)


def _action(org: Org, action_id: str) -> dict[str, Any]:
    action = org.actions.get(action_id)
    if action is None:
        raise Refusal(404, "not.found", f"Unable to find action {action_id}.")
    return action


_TRACKING = "/api/v2/architect/dependencytracking"

ROUTES = [
    Route(
        "GET",
        _TRACKING + "/consumedresources",
        "dependency",
        consumed_resources,
        ("architect:dependencyTracking:view",),
    ),
    Route(
        "GET",
        _TRACKING + "/build",
        "dependency",
        build_status,
        ("architect:dependencyTracking:view",),
    ),
    Route(
        "GET",
        "/api/v2/architect/prompts/{resource}",
        "dependency",
        read_resource,
        ("architect:userPrompt:view",),
    ),
    Route(
        "GET",
        "/api/v2/architect/schedules/{resource}",
        "dependency",
        read_resource,
        ("routing:schedule:view",),
    ),
    Route(
        "GET",
        "/api/v2/flows/datatables/{resource}",
        "dependency",
        read_resource,
        ("architect:datatable:view",),
    ),
    Route(
        "GET",
        "/api/v2/integrations/actions/{action}",
        "dependency",
        read_action,
        ("integrations:action:view",),
    ),
    Route(
        "POST",
        "/api/v2/integrations/actions/{action}/test",
        "smoke",
        test_action,
        ("integrations:action:execute",),
    ),
]
