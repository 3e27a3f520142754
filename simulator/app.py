"""The simulator as an ASGI application: one lean pipeline for the APIs, Starlette for control."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from simulator import guide, outside, platform
from simulator.faults import Faults, Rule
from simulator.ledger import Entry, Ledger
from simulator.login import token_answer
from simulator.oauth import OAuth, Spent
from simulator.org import Org
from simulator.seeding import seed_flows
from simulator.wire import Answer, Call, Refusal, Route, Router, encode, new_correlation_id

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TRANSPORT = "simulator.transport"
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Dropped(Exception):
    """The connection is gone, so nobody is to be answered."""


@dataclass(slots=True)
class Visit:
    """One request on its way through the pipeline."""

    call: Call
    route: Route | None
    entry: Entry
    headers: dict[bytes, bytes]
    receive: Receive
    transport: asyncio.Transport | None
    rule: Rule | None = None
    spent: Spent | None = None


class Simulator:
    """One org, its login host, its faults and the log of what it was asked."""

    def __init__(
        self,
        *,
        flows: int = 1,
        seed: int = 1,
        client_id: str = "simulator",
        client_secret: str = "simulator",  # noqa: S107 - a known secret of a simulated org
        latency: float = 0.0,
        publishing_seconds: float = 0.0,
        calls_per_minute: float = 60.0,
        ledger_limit: int = 200_000,
    ) -> None:
        self._start = {
            "flows": flows,
            "seed": seed,
            "client_id": client_id,
            "client_secret": client_secret,
            "latency": latency,
            "publishing_seconds": publishing_seconds,
            "calls_per_minute": calls_per_minute,
        }
        self.ledger = Ledger(ledger_limit)
        self.faults = Faults()
        self._begin(**self._start)  # type: ignore[arg-type]

    def _begin(
        self,
        *,
        flows: int,
        seed: int,
        client_id: str,
        client_secret: str,
        latency: float,
        publishing_seconds: float,
        calls_per_minute: float,
    ) -> None:
        self.org = Org(seed=seed)
        self.org.settings.publishing_seconds = publishing_seconds
        self.oauth = OAuth(client_id, client_secret)
        self.org.limits = self.oauth.limits
        self.latency = latency
        self.route_latency: dict[str, float] = {}
        seed_flows(self.org, flows, calls_per_minute)

    def reset(self, *, flows: int | None = None, seed: int | None = None) -> None:
        """Back to the state of the start; sequence numbers of the log go on."""
        # A request that is still held belongs to the org that ends here.
        self.faults.clear(discard=True)
        self.ledger.clear()
        start = dict(self._start)
        if flows is not None:
            start["flows"] = flows
        if seed is not None:
            start["seed"] = seed
        self._begin(**start)  # type: ignore[arg-type]


class Application:
    """ASGI entry: `/control` to Starlette, everything else through the pipeline."""

    def __init__(
        self, simulator: Simulator, control: Callable[..., Coroutine[Any, Any, None]]
    ) -> None:
        self.simulator = simulator
        self._control = control
        self._router = Router([*guide.ROUTES, *outside.ROUTES, *platform.ROUTES])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http" or scope["path"].startswith("/control"):
            await self._control(scope, receive, send)
            return
        with suppress(Dropped):
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        simulator = self.simulator
        method, path = scope["method"], scope["path"]
        body = await _read(receive) if method in _WRITES else b""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        found = self._router.find(method, path)
        raw_query = scope["query_string"]
        call = Call(
            method=method,
            path=path,
            query=_query(raw_query.decode("latin-1")) if raw_query else {},
            params=found[1] if found else {},
            body=body,
            now=simulator.org.clock.now(),
            base_url=f"http://{headers.get(b'host', b'').decode('latin-1')}",
        )
        route = found[0] if found else None
        entry = self._record(call, route)
        visit = Visit(call, route, entry, headers, receive, scope.get(TRANSPORT))
        if simulator.faults.rules:
            visit.rule = simulator.faults.pick(
                method=method, path=path, job=entry.job, flows=entry.flows or (entry.flow,)
            )
        latency = simulator.latency + simulator.route_latency.get(entry.job, 0.0)
        if visit.rule is not None:
            entry.fault = visit.rule.id
            latency += visit.rule.effect.latency
        if latency > 0:
            await asyncio.sleep(latency)
        if visit.rule is None:
            answer = self._handle(visit)
        else:
            answer = await self._handle_faulty(visit, visit.rule)
        entry.status = answer.status
        entry.duration = round(simulator.org.clock.now() - entry.time, 6)
        entry.dropped = visit.transport is not None and visit.transport.is_closing()
        await _respond(send, answer, visit.spent, entry.correlation_id)

    def _record(self, call: Call, route: Route | None) -> Entry:
        flow = call.params.get("flow") or call.query.get("flow") or call.query.get("flowId")
        if flow is None and route is not None and route.job == "dependency":
            flow = call.query.get("id")
        version = call.params.get("version") or call.query.get("version")
        entry = Entry(
            seq=0,
            time=call.now,
            job=route.job if route else ("token" if call.path == "/oauth/token" else "unknown"),
            dialect=route.dialect if route else "none",
            method=call.method,
            path=call.path,
            query=call.query,
            flow=flow,
            version=version,
            correlation_id=new_correlation_id(),
        )
        if call.body and entry.job != "token":
            try:
                entry.body = call.json()
            except Refusal:
                entry.body = call.body.decode("utf-8", "replace")
            if isinstance(entry.body, dict):
                _name_target(entry, entry.body)
        self.simulator.ledger.append(entry)
        return entry

    def _handle(self, visit: Visit) -> Answer:
        call, route, entry = visit.call, visit.route, visit.entry
        call.now = self.simulator.org.clock.now()
        try:
            if route is None:
                answer = self._without_route(call, visit.headers)
            else:
                if route.authenticated:
                    self._admit(visit, route)
                answer = route.handler(self.simulator.org, call)
        except Refusal as refusal:
            return refusal.answer(entry.correlation_id)
        entry.effect = answer.effect
        entry.version = answer.version or entry.version
        return answer

    async def _handle_faulty(self, visit: Visit, rule: Rule) -> Answer:
        effect = rule.effect
        if effect.drop == "before":
            await self._drop(visit)
        if "before" in (effect.hang, effect.pause):
            await self._hold(visit, rule, apply=effect.on_disconnect == "apply")
        if effect.status is not None and not effect.apply:
            answer = _injected(rule, visit.entry.correlation_id)
        else:
            answer = self._handle(visit)
            if effect.status is not None:
                answer = _injected(rule, visit.entry.correlation_id)
            elif effect.wrong_shape:
                answer.body = [{"unexpected": "shape"}]
            elif effect.malformed:
                answer.body = b'{"id": "cut off'
            else:
                answer.headers.update(effect.headers)
        if effect.drop == "after":
            await self._drop(visit)
        if "after" in (effect.hang, effect.pause):
            await self._hold(visit, rule, apply=True)
        return answer

    def _without_route(self, call: Call, headers: dict[bytes, bytes]) -> Answer:
        if call.path == "/oauth/token" and call.method == "POST":
            authorization = headers.get(b"authorization", b"").decode("latin-1")
            return token_answer(self.simulator.oauth, authorization, call.body, call.now)
        if self._router.knows_path(call.path):
            raise Refusal(405, "method.not.allowed", f"{call.method} is not allowed here.")
        raise Refusal(404, "not.found", f"No such resource: {call.path}")

    def _admit(self, visit: Visit, route: Route) -> None:
        """Check the bearer token, its budget and its permissions."""
        oauth, call = self.simulator.oauth, visit.call
        authorization = visit.headers.get(b"authorization", b"").decode("latin-1")
        scheme, _, value = authorization.partition(" ")
        if not value or scheme.lower() != "bearer":
            raise Refusal(401, "authentication.required", "No authentication bearer token given.")
        token = oauth.token(value, call.now)
        if token is None:
            raise Refusal(401, "bad.credentials", "Invalid login credentials.")
        call.client = token.client
        visit.entry.client = token.client.id
        visit.spent = spent = oauth.spend(token, call.now)
        if spent.exceeded is not None:
            raise _too_many(spent)
        held = token.client.permissions
        if route.permissions and not any(p in held for p in route.permissions):
            missing = ", ".join(route.permissions)
            raise Refusal(
                403,
                "missing.permissions",
                "Unable to perform the requested action. You are missing the following "
                f"permission(s): {missing}",
                extra={"messageParams": {"permissions": missing}},
            )

    async def _drop(self, visit: Visit) -> None:
        visit.entry.dropped = True
        if visit.transport is None:
            raise RuntimeError("only the simulator's own server can drop a connection")
        visit.transport.abort()
        await _disconnect(visit.receive)
        raise Dropped

    async def _hold(self, visit: Visit, rule: Rule, *, apply: bool) -> None:
        """Keep a request until it is released or its client goes away."""
        released = asyncio.Event()
        rule.waiting.add(released)
        gone = asyncio.ensure_future(_disconnect(visit.receive))
        waiter = asyncio.ensure_future(released.wait())
        try:
            await asyncio.wait({gone, waiter}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            rule.waiting.discard(released)
            left = gone.done() and not waiter.done()
            gone.cancel()
            waiter.cancel()
        if rule.discarded and not left:
            await self._drop(visit)
        if left:
            visit.entry.dropped = True
            if not apply:
                raise Dropped


def create_app(simulator: Simulator | None = None) -> Application:
    """The ASGI application around a simulator, or around a new one with the defaults."""
    from simulator.control import control_app  # noqa: PLC0415 - control builds on this module

    chosen = simulator or Simulator()
    return Application(chosen, control_app(chosen))


def _name_target(entry: Entry, body: dict[str, Any]) -> None:
    chosen = body.get("version")
    if isinstance(chosen, dict):
        chosen = chosen.get("versionId")
    if entry.version is None and isinstance(chosen, str):
        entry.version = chosen
    if entry.flow is None and isinstance(body.get("flow") or body.get("flowId"), str):
        entry.flow = body.get("flow") or body.get("flowId")
    if entry.flow is None and isinstance(body.get("filter"), dict):
        asked = body["filter"].get("predicates") or []
        flows = {
            str(each.get("value"))
            for each in asked
            if isinstance(each, dict) and each.get("dimension") == "flowId"
        }
        entry.flows = tuple(sorted(flows))
        entry.flow = entry.flows[0] if len(flows) == 1 else None


def _injected(rule: Rule, correlation_id: str) -> Answer:
    status = rule.effect.status or 500
    if rule.effect.body is not None:
        return Answer(status, rule.effect.body, headers=dict(rule.effect.headers))
    answer = Refusal(status, f"injected.{status}", f"Injected by {rule.id}.").answer(correlation_id)
    answer.headers = dict(rule.effect.headers)
    return answer


def _too_many(spent: Spent) -> Refusal:
    return Refusal(
        429,
        "too.many.requests.retry.after",
        f"Rate limit exceeded the maximum. Retry the request in [{spent.reset}] seconds",
        headers={"retry-after": str(spent.reset)},
        extra={
            "limit": {
                "key": spent.exceeded,
                "namespace": "platform.api",
                "value": str(spent.allowed),
            }
        },
    )


def _budget_headers(spent: Spent) -> dict[str, str]:
    return {
        "inin-ratelimit-count": str(spent.count),
        "inin-ratelimit-allowed": str(spent.allowed),
        "inin-ratelimit-reset": str(spent.reset),
    }


def _query(text: str) -> dict[str, str]:
    """Query parameters; a repeated one reads as comma-joined."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(text):
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Dropped
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _respond(send: Send, answer: Answer, spent: Spent | None, correlation_id: str) -> None:
    body = answer.body if isinstance(answer.body, bytes) else encode(answer.body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"inin-correlation-id", correlation_id.encode()),
    ]
    extra = {**_budget_headers(spent), **answer.headers} if spent else answer.headers
    headers.extend((k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in extra.items())
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
