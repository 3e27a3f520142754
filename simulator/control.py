"""The control API: set the org's state, traffic and faults, read its log and invariants."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator import seeding
from simulator.clock import from_iso, to_iso
from simulator.oauth import PERMISSIONS, Client
from simulator.org import Actor, Flow, Operation, PublishFailure
from simulator.traffic import Blip, Burst, Quality, Volume
from simulator.wire import encode, new_correlation_id

if TYPE_CHECKING:
    from simulator.app import Simulator

Json = dict[str, Any]
Control = Callable[["Simulator", "Ask"], Any]

ANOTHER_USER = Actor("6f0d8b1a-7c55-4f57-9a56-0b1f5f6f0c33", "Alex Editor", "user")
_LOCK_KINDS = ("user", "client", "deployment")


class Missing(LookupError):
    """What the control API was asked about does not exist."""


class Ask:
    """A control request: path parameters, query and JSON body."""

    def __init__(self, params: dict[str, str], query: dict[str, str], body: Json) -> None:
        self.params = params
        self.query = query
        self.body = body

    def number(self, name: str) -> float | None:
        """A number of the query; ISO 8601 dates read as epoch seconds."""
        value = self.query.get(name)
        if value is None:
            return None
        try:
            return float(value)
        except ValueError:
            return from_iso(value)


def control_app(simulator: "Simulator") -> Starlette:
    """The control API as a Starlette application under /control."""

    def endpoint(control: Control) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            raw = await request.body()
            try:
                body = json.loads(raw) if raw else {}
                if not isinstance(body, dict):
                    raise TypeError("the body must be a JSON object")  # noqa: TRY301
                ask = Ask(request.path_params, dict(request.query_params), body)
                found, status = control(simulator, ask), 200
            except Missing as missing:
                found, status = {"error": str(missing)}, 404
            except (KeyError, TypeError, ValueError) as wrong:
                found, status = {"error": f"{type(wrong).__name__}: {wrong}"}, 400
            return Response(encode(found), status, media_type="application/json")

        return answer

    table: list[tuple[str, str, Control]] = [
        ("GET", "/control/health", lambda s, _: {"ok": True, "seq": s.ledger.seq}),
        ("POST", "/control/reset", _reset),
        ("GET", "/control/flows", _list_flows),
        ("POST", "/control/flows", _create_flow),
        ("GET", "/control/flows/{flow}", lambda s, a: flow_state(s, _flow(s, a))),
        ("PATCH", "/control/flows/{flow}", _patch_flow),
        ("POST", "/control/flows/{flow}/deploy", _deploy),
        ("POST", "/control/flows/{flow}/versions", _add_version),
        ("PATCH", "/control/flows/{flow}/versions/{version}", _patch_version),
        ("DELETE", "/control/flows/{flow}/versions/{version}", _delete_version),
        ("PUT", "/control/flows/{flow}/lock", _lock),
        ("DELETE", "/control/flows/{flow}/lock", _unlock),
        ("POST", "/control/flows/{flow}/operation", _foreign_operation),
        ("POST", "/control/settings", _settings),
        ("GET", "/control/settings", _get_settings),
        ("POST", "/control/publish-failures", _publish_failure),
        ("POST", "/control/traffic", _traffic),
        ("GET", "/control/callers", _callers),
        ("PUT", "/control/queues/{id}", _put_queue),
        ("DELETE", "/control/queues/{id}", _delete_queue),
        ("PUT", "/control/actions/{id}", _put_action),
        ("DELETE", "/control/actions/{id}", _delete_action),
        ("PUT", "/control/resources/{kind}/{id}", _put_resource),
        ("DELETE", "/control/resources/{kind}/{id}", _delete_resource),
        ("PUT", "/control/endpoints/{id}", _put_endpoint),
        ("PUT", "/control/testcall", _put_test_call),
        ("GET", "/control/executions", lambda s, _: {"executions": s.org.executions}),
        ("POST", "/control/oauth", _oauth),
        ("POST", "/control/oauth/revoke", lambda s, _: {"revoked": s.oauth.revoke_all()}),
        ("POST", "/control/clock", _clock),
        ("GET", "/control/clock", _clock),
        ("POST", "/control/faults", lambda s, a: s.faults.add(a.body).as_json()),
        ("GET", "/control/faults", _list_faults),
        ("DELETE", "/control/faults", _clear_faults),
        ("GET", "/control/faults/{id}", _get_fault),
        ("DELETE", "/control/faults/{id}", _delete_fault),
        ("POST", "/control/faults/{id}/release", _release_fault),
        ("GET", "/control/requests", _requests),
        ("DELETE", "/control/requests", _clear_requests),
        ("GET", "/control/counts", _counts),
        ("GET", "/control/invariants", _invariants),
    ]
    return Starlette(routes=[Route(p, endpoint(c), methods=[m]) for m, p, c in table])


def flow_state(simulator: "Simulator", flow: Flow) -> Json:
    """All there is to know of a flow, what callers meet included."""
    lock, pending = flow.lock, flow.publication
    return {
        "id": flow.id,
        "name": flow.name,
        "type": flow.type,
        "active": flow.active,
        "deleted": flow.deleted,
        "live": flow.live,
        "activated": {"version": flow.activated[0], "since": flow.activated[1]}
        if flow.activated
        else None,
        "publishing": {"version": pending.version_id, "until": pending.operation.done_at}
        if pending
        else None,
        "lock": {"holder": asdict(lock.holder), "since": lock.since, "until": lock.until}
        if lock
        else None,
        "history": [{"at": at, "version": version} for at, version in flow.history],
        "queues": flow.queues,
        "dnis": flow.dnis,
        "versions": [
            {
                "id": v.id,
                "status": v.status,
                "kind": v.kind,
                "created_at": v.created_at,
                "created_by": v.created_by.id,
                "description": v.description,
                "tags": v.tags,
                "deleted": v.deleted,
                "snapshot": v.snapshot,
                "quality": asdict(v.quality),
                "dependencies": [d.entry() for d in v.dependencies],
            }
            for v in flow.versions.values()
        ],
        "now": simulator.org.clock.now(),
    }


def _flow(simulator: "Simulator", ask: Ask) -> Flow:
    flow_id = ask.params.get("flow") or ask.query.get("flow") or ""
    flow = simulator.org.flow(flow_id)
    if flow is None:
        raise Missing(f"no flow {flow_id!r}")
    return flow


def _reset(simulator: "Simulator", ask: Ask) -> Json:
    simulator.reset(flows=ask.body.get("flows"), seed=ask.body.get("seed"))
    return {"flows": len(simulator.org.flows), "seq": simulator.ledger.seq}


def _list_flows(simulator: "Simulator", _: Ask) -> Json:
    org = simulator.org
    return {
        "flows": [
            {"id": f.id, "name": f.name, "live": f.live}
            for f in map(org.flow, list(org.flows))
            if f is not None
        ]
    }


def _create_flow(simulator: "Simulator", ask: Ask) -> Json:
    flow = seeding.create_flow(simulator.org, ask.body)
    simulator.org.traffic.forget()
    return flow_state(simulator, flow)


def _patch_flow(simulator: "Simulator", ask: Ask) -> Json:
    flow = _flow(simulator, ask)
    for name in ask.body:
        if name not in {"name", "deleted", "active", "queues", "dnis", "calls_per_minute"}:
            raise ValueError(f"a flow has no settable {name!r}")
    flow.name = str(ask.body.get("name", flow.name))
    flow.deleted = bool(ask.body.get("deleted", flow.deleted))
    flow.set_active(simulator.org.clock.now(), active=bool(ask.body.get("active", flow.active)))
    flow.dnis = str(ask.body.get("dnis", flow.dnis))
    flow.queues = list(ask.body.get("queues", flow.queues))
    if "calls_per_minute" in ask.body:
        flow.rates.append((simulator.org.clock.now(), float(ask.body["calls_per_minute"])))
    return flow_state(simulator, flow)


def _deploy(simulator: "Simulator", ask: Ask) -> Json:
    flow = _flow(simulator, ask)
    by = seeding.actor(ask.body.get("by"), seeding.PIPELINE)
    version = simulator.org.deploy(
        flow,
        by,
        version_id=ask.body.get("id"),
        show_created_at=bool(
            ask.body.get("show_created_at", simulator.org.settings.show_created_at)
        ),
        **seeding.content(ask.body),
    )
    return {"flow": flow.id, "version": version.id, "at": version.published_at}


def _add_version(simulator: "Simulator", ask: Ask) -> Json:
    flow = _flow(simulator, ask)
    version = seeding.add_version(simulator.org, flow, ask.body)
    return {"flow": flow.id, "version": version.id}


def _patch_version(simulator: "Simulator", ask: Ask) -> Json:
    flow = _flow(simulator, ask)
    version = flow.versions.get(ask.params["version"])
    if version is None:
        raise Missing(f"no version {ask.params['version']!r}")
    for name in ask.body:
        if name not in {"quality", "tags", "status", "show_created_at", "deleted"}:
            raise ValueError(f"a version has no settable {name!r}")
    if "quality" in ask.body:
        version.quality = Quality.of({**asdict(version.quality), **ask.body["quality"]})
        simulator.org.traffic.forget()
    version.tags = list(ask.body.get("tags", version.tags))
    version.status = str(ask.body.get("status", version.status))
    version.show_created_at = bool(ask.body.get("show_created_at", version.show_created_at))
    version.deleted = bool(ask.body.get("deleted", version.deleted))
    return flow_state(simulator, flow)


def _delete_version(simulator: "Simulator", ask: Ask) -> Json:
    ask.body = {"deleted": True}
    return _patch_version(simulator, ask)


def _lock(simulator: "Simulator", ask: Ask) -> Json:
    flow = _flow(simulator, ask)
    holder = seeding.actor(ask.body.get("by"), ANOTHER_USER)
    if holder.kind not in _LOCK_KINDS:
        raise ValueError(f"kind is one of {', '.join(_LOCK_KINDS)}")
    seconds = ask.body.get("seconds")
    simulator.org.lock(flow, holder, None if seconds is None else float(seconds))
    return flow_state(simulator, flow)


def _unlock(simulator: "Simulator", ask: Ask) -> Json:
    flow = _flow(simulator, ask)
    flow.lock = None
    return flow_state(simulator, flow)


def _foreign_operation(simulator: "Simulator", ask: Ask) -> Json:
    flow = _flow(simulator, ask)
    now = simulator.org.clock.now()
    by = seeding.actor(ask.body.get("by"), ANOTHER_USER)
    operation = Operation(
        id=new_correlation_id(),
        action=str(ask.body.get("action", "VALIDATE")),
        actor=by,
        started=now,
        done_at=now + float(ask.body.get("seconds", 0)),
    )
    flow.operation = operation
    return {"id": operation.id}


def _settings(simulator: "Simulator", ask: Ask) -> Json:
    settings = simulator.org.settings
    for name, value in ask.body.items():
        if name == "latency":
            simulator.latency = float(value)
        elif name == "route_latency":
            simulator.route_latency = {job: float(s) for job, s in value.items()}
        elif name == "ledger_limit":
            simulator.ledger.resize(int(value))
        elif name in settings.__slots__:
            setattr(settings, name, value)
        else:
            raise ValueError(f"no setting {name!r}")
    return _get_settings(simulator, ask)


def _get_settings(simulator: "Simulator", _: Ask) -> Json:
    return {
        **asdict(simulator.org.settings),
        "latency": simulator.latency,
        "route_latency": simulator.route_latency,
    }


def _publish_failure(simulator: "Simulator", ask: Ask) -> Json:
    failure = PublishFailure(
        code=str(ask.body.get("code", "validation.failed")),
        message=str(ask.body.get("message", "The flow could not be published.")),
        times=int(ask.body.get("times", 1)),
        flow=ask.body.get("flow"),
    )
    simulator.org.failures.append(failure)
    return asdict(failure)


def _traffic(simulator: "Simulator", ask: Ask) -> Json:
    org, body = simulator.org, dict(ask.body)
    traffic, now = org.traffic, org.clock.now()
    since = None if body.pop("from_the_start", False) else now
    shape: dict[str, float] = {
        k: float(body.pop(k)) for k in ("day_night", "burstiness") if k in body
    }
    flow_id = body.pop("flow", None)
    if "calls_per_minute" in body:
        rate = float(body.pop("calls_per_minute"))
        if flow_id is None:
            shape["calls_per_minute"] = rate
        elif (flow := org.flow(flow_id)) is None:
            raise Missing(f"no flow {flow_id!r}")
        else:
            flow.rates = [(0.0, rate)] if since is None else [*flow.rates, (since, rate)]
    if shape:
        traffic.set_volume(Volume(**{**asdict(traffic.volume), **shape}), since)
    for burst in body.pop("bursts", []):
        start, end = _interval(burst, now)
        target = burst.get("flow", flow_id)
        traffic.bursts.append(Burst(start, end, float(burst["factor"]), target))
    for blip in body.pop("blips", []):
        start, end = _interval(blip, now)
        errors, abandons = (float(blip.get(k, 0)) for k in ("error_rate", "abandon_rate"))
        traffic.blips.append(Blip(start, end, errors, abandons, blip.get("flow", flow_id)))
    traffic.analytics_delay = float(body.pop("analytics_delay", traffic.analytics_delay))
    traffic.analytics_outage = bool(body.pop("analytics_outage", traffic.analytics_outage))
    if body:
        raise ValueError(f"traffic has no settable {sorted(body)[0]!r}")
    traffic.forget()
    return {
        **asdict(traffic.volume),
        "analytics_delay": traffic.analytics_delay,
        "analytics_outage": traffic.analytics_outage,
        "bursts": len(traffic.bursts),
        "blips": len(traffic.blips),
    }


def _interval(definition: Json, now: float) -> tuple[float, float]:
    start = float(definition.get("start", now + float(definition.get("after", 0))))
    return start, start + float(definition["seconds"])


def _callers(simulator: "Simulator", ask: Ask) -> Json:
    flow = _flow(simulator, ask)
    now = simulator.org.clock.now()
    start, end = ask.number("start"), ask.number("end")
    end = now if end is None else end
    start = end - 60 if start is None else start
    if end - start > 86400:
        raise ValueError("at most a day at once")
    return {
        "flow": flow.id,
        "seconds": [
            {
                "t": s.at,
                "version": s.version,
                "calls": s.counts.calls,
                "errors": s.counts.errors,
                "abandoned": s.counts.abandoned,
            }
            for s in simulator.org.traffic.seconds(flow, start, end, now)
        ],
    }


def _put_queue(simulator: "Simulator", ask: Ask) -> Json:
    queue = ask.params["id"]
    simulator.org.queues[queue] = str(ask.body.get("name") or f"Queue {queue[:8]}")
    return {"id": queue}


def _delete_queue(simulator: "Simulator", ask: Ask) -> Json:
    return {"deleted": simulator.org.queues.pop(ask.params["id"], None) is not None}


def _put_action(simulator: "Simulator", ask: Ask) -> Json:
    simulator.org.actions[ask.params["id"]] = {"name": ask.params["id"], **ask.body}
    return {"id": ask.params["id"]}


def _delete_action(simulator: "Simulator", ask: Ask) -> Json:
    return {"deleted": simulator.org.actions.pop(ask.params["id"], None) is not None}


def _put_resource(simulator: "Simulator", ask: Ask) -> Json:
    kind, resource = ask.params["kind"], ask.params["id"]
    if kind not in {"prompts", "schedules", "datatables"}:
        raise ValueError(f"kind is prompts, schedules or datatables, not {kind!r}")
    simulator.org.resources[kind][resource] = str(ask.body.get("name") or resource)
    return {"kind": kind, "id": resource}


def _delete_resource(simulator: "Simulator", ask: Ask) -> Json:
    found = simulator.org.resources[ask.params["kind"]].pop(ask.params["id"], None)
    return {"deleted": found is not None}


def _put_endpoint(simulator: "Simulator", ask: Ask) -> Json:
    simulator.org.endpoints[ask.params["id"]] = ask.body
    return {"name": ask.params["id"], **ask.body}


def _put_test_call(simulator: "Simulator", ask: Ask) -> Json:
    simulator.org.test_call = ask.body
    return ask.body


def _oauth(simulator: "Simulator", ask: Ask) -> Json:
    oauth, body = simulator.oauth, dict(ask.body)
    client_id = body.pop("client", None) or next(iter(oauth.clients))
    if "secret" in body:
        name = str(body.pop("name", client_id))
        oauth.clients[client_id] = Client(client_id, str(body.pop("secret")), name)
    client = oauth.clients.get(client_id)
    if client is None:
        raise Missing(f"no client {client_id!r}")
    client.enabled = bool(body.pop("enabled", client.enabled))
    if "permissions" in body:
        client.permissions = set(body.pop("permissions"))
    client.permissions -= set(body.pop("remove_permissions", []))
    client.permissions |= set(body.pop("add_permissions", []))
    oauth.expires_in = int(body.pop("expires_in", oauth.expires_in))
    for name in ("allowed_per_token", "allowed_per_client"):
        if name in body:
            value = body.pop(name)
            setattr(oauth, name, None if value is None else int(value))
    if body:
        raise ValueError(f"oauth has no settable {sorted(body)[0]!r}")
    return {
        "client": client.id,
        "permissions": sorted(client.permissions),
        "known_permissions": sorted(PERMISSIONS),
        "expires_in": oauth.expires_in,
        "issued": oauth.issued,
        "allowed_per_token": oauth.allowed_per_token,
        "allowed_per_client": oauth.allowed_per_client,
    }


def _clock(simulator: "Simulator", ask: Ask) -> Json:
    clock = simulator.org.clock
    clock.offset = float(ask.body.get("offset", clock.offset)) + float(ask.body.get("advance", 0))
    return {"offset": clock.offset, "now": clock.now(), "iso": to_iso(clock.now())}


def _list_faults(simulator: "Simulator", _: Ask) -> Json:
    return {"faults": [rule.as_json() for rule in simulator.faults.rules.values()]}


def _clear_faults(simulator: "Simulator", _: Ask) -> Json:
    simulator.faults.clear()
    return {"faults": []}


def _get_fault(simulator: "Simulator", ask: Ask) -> Json:
    rule = simulator.faults.rules.get(ask.params["id"])
    if rule is None:
        raise Missing(f"no fault {ask.params['id']!r}")
    return rule.as_json()


def _delete_fault(simulator: "Simulator", ask: Ask) -> Json:
    return {"deleted": simulator.faults.remove(ask.params["id"])}


def _release_fault(simulator: "Simulator", ask: Ask) -> Json:
    rule = simulator.faults.rules.get(ask.params["id"])
    if rule is None:
        raise Missing(f"no fault {ask.params['id']!r}")
    return {"released": rule.release()}


def _requests(simulator: "Simulator", ask: Ask) -> Json:
    limit = ask.number("limit")
    entries = simulator.ledger.select(
        since=int(ask.number("since") or 0),
        job=ask.query.get("job"),
        flow=ask.query.get("flow"),
        limit=None if limit is None else int(limit),
    )
    return {"seq": simulator.ledger.seq, "requests": [entry.as_json() for entry in entries]}


def _clear_requests(simulator: "Simulator", _: Ask) -> Json:
    simulator.ledger.clear()
    return {"seq": simulator.ledger.seq}


def _counts(simulator: "Simulator", _: Ask) -> Json:
    return {"seq": simulator.ledger.seq, "jobs": dict(simulator.ledger.jobs)}


def _invariants(simulator: "Simulator", _: Ask) -> Json:
    org = simulator.org
    counters = {
        name: getattr(org.invariants, name)
        for name in org.invariants.__slots__
        if name != "evidence"
    }
    flows = [flow for flow in map(org.flow, list(org.flows)) if flow is not None]
    changed = sum(
        version.snapshot and version.digest != version.fingerprint()
        for flow in flows
        for version in flow.versions.values()
    )
    left = [
        {"flow": flow.id, "version": flow.activated[0], "since": flow.activated[1]}
        for flow in flows
        if flow.activated is not None and flow.activated[0] != flow.live
    ]
    return {
        **counters,
        "snapshots_changed": changed,
        "flows_left_activated": left,
        "evidence": list(org.invariants.evidence),
    }
