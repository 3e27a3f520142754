"""What a flow needs from outside: queues, endpoints of third parties and a test call."""

from typing import Any

from simulator.org import Org
from simulator.wire import Answer, Call, Refusal, Route


def read_queue(org: Org, call: Call) -> Answer:
    """GET a queue: 404 when it is gone."""
    queue_id = call.params["queue"]
    name = org.queues.get(queue_id)
    if name is None:
        raise Refusal(404, "not.found", f"Unable to find queue {queue_id}.")
    return Answer(
        200, {"id": queue_id, "name": name, "selfUri": f"/api/v2/routing/queues/{queue_id}"}
    )


def read_endpoint(org: Org, call: Call) -> Answer:
    """GET a third party's endpoint; one that nobody set is reachable."""
    setting = org.endpoints.get(call.params["name"], {})
    return Answer(int(setting.get("status", 200)), setting.get("body", {"ok": True}))


def test_call(org: Org, call: Call) -> Answer:
    """POST one test call through a version; flow and version by query or JSON body."""
    body = call.json()
    given: dict[str, Any] = {**(body if isinstance(body, dict) else {}), **call.query}
    flow_id = given.get("flow") or given.get("flowId")
    version_id = given.get("version") or given.get("versionId")
    org.executions.append({"kind": "testcall", "flow": flow_id, "version": version_id})
    rule = org.test_call
    hit = not rule.get("version") or rule["version"] == version_id
    hit = hit and (not rule.get("flow") or rule["flow"] == flow_id)
    if rule and hit:
        status = int(rule.get("status", 200))
        return Answer(status, rule.get("body", {"ok": False, "error": "test call failed"}))
    return Answer(200, {"ok": True, "flow": flow_id, "version": version_id})


ROUTES = [
    Route(
        "GET",
        "/api/v2/routing/queues/{queue}",
        "dependency",
        read_queue,
        ("routing:queue:view",),
        "both",
    ),
    Route(
        "GET",
        "/outside/{name}",
        "dependency",
        read_endpoint,
        dialect="outside",
        authenticated=False,
    ),
    Route(
        "HEAD",
        "/outside/{name}",
        "dependency",
        read_endpoint,
        dialect="outside",
        authenticated=False,
    ),
    Route("POST", "/outside/testcall", "smoke", test_call, dialect="outside", authenticated=False),
]
