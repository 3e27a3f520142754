"""Analytics queries of the Platform API, answered from the simulated callers.

Times are milliseconds. A group or metric with zero events is absent from the answer.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

from simulator.clock import duration_seconds, from_iso, to_iso
from simulator.org import Flow, Org
from simulator.traffic import Counts
from simulator.wire import Answer, Call, Refusal, Route

Json = dict[str, Any]
Dimensions = dict[str, str]
Stats = dict[str, float]
# One kind of callers of an interval: their dimensions and what each metric says of them.
Slice = tuple[Dimensions, dict[str, Stats]]
Slicer = Callable[[Flow, str | None, Counts], Iterator[Slice]]

FLOW_METRICS = frozenset(
    {
        "nFlow",
        "nFlowMilestone",
        "nFlowOutcome",
        "nFlowOutcomeFailed",
        "oFlowMilestone",
        "tFlow",
        "tFlowDisconnect",
        "tFlowExit",
        "tFlowOutcome",
    }
)
CONVERSATION_METRICS = frozenset(
    {
        "nConnected",
        "nConversations",
        "nError",
        "nOffered",
        "tAbandon",
        "tAcd",
        "tAnswered",
        "tHandle",
        "tIvr",
        "tWait",
    }
)
_MAX_BYTES = 512_000


def flow_aggregates(org: Org, call: Call) -> Answer:
    """POST flow aggregates: by flowId, flowVersion, exitReason, disconnectType and the like."""
    return _aggregates(org, call, FLOW_METRICS, _flow_slices)


def conversation_aggregates(org: Org, call: Call) -> Answer:
    """POST conversation aggregates: by queueId or dnis; they know neither flow nor version."""
    return _aggregates(org, call, CONVERSATION_METRICS, _conversation_slices)


def flow_observations(org: Org, call: Call) -> Answer:
    """POST how many callers are inside each flow right now (oFlow), by Little's law."""
    _refuse_outage(org)
    query = call.json_object()
    if not isinstance(query.get("filter"), dict) or "oFlow" not in (query.get("metrics") or []):
        raise Refusal(400, "bad.request", "filter and the metric oFlow are required.")
    _count_predicates(org, query["filter"])
    results = []
    for flow in _candidates(org, query["filter"], "flowId"):
        group = {"flowId": flow.id, "mediaType": "voice"}
        if not _holds(query["filter"], group):
            continue
        parts = org.traffic.window(flow, call.now - 60, call.now, call.now) or {}
        inside = round(sum(part.duration_seconds for part in parts.values()) / 60)
        if inside:
            data = [{"metric": "oFlow", "stats": {"count": inside}}]
            results.append({"group": group, "data": data})
    return Answer(200, {"results": results})


def _aggregates(org: Org, call: Call, known: frozenset[str], slicer: Slicer) -> Answer:
    if len(call.body) > _MAX_BYTES:
        raise Refusal(
            413,
            "request.entity.too.large",
            f"The request is over the size limit. Maximum bytes: {_MAX_BYTES}",
        )
    _refuse_outage(org)
    query = call.json_object()
    metrics = query.get("metrics")
    if not isinstance(metrics, list) or not metrics:
        raise Refusal(400, "bad.request", "metrics is required.")
    if unknown := sorted(set(map(str, metrics)) - known):
        raise Refusal(400, "bad.request", f"Unknown metric {unknown[0]}.")
    group_by = [str(name) for name in query.get("groupBy") or []]
    only = query.get("filter") or {}
    if not isinstance(only, dict):
        raise Refusal(400, "bad.request", "filter is a JSON object.")
    _count_predicates(org, only)
    views = [v for v in query.get("views") or [] if isinstance(v, dict)]
    rows: dict[tuple[str, ...], Json] = {}
    for flow in _candidates(org, only, "flowId"):
        for start, end in _intervals(query):
            parts = org.traffic.window(flow, start, end, call.now) or {}
            for version, counts in parts.items():
                for dimensions, values in slicer(flow, version, counts):
                    if _holds(only, dimensions):
                        _add(rows, dimensions, group_by, (start, end), values)
    return Answer(200, {"results": [_result(row, metrics, views) for row in rows.values()]})


def _add(
    rows: dict[tuple[str, ...], Json],
    dimensions: Dimensions,
    group_by: list[str],
    interval: tuple[float, float],
    values: dict[str, Stats],
) -> None:
    group = {name: dimensions[name] for name in [*group_by, "mediaType"] if name in dimensions}
    row = rows.setdefault(tuple(group.values()), {"group": group, "intervals": {}})
    totals = row["intervals"].setdefault(interval, {})
    for metric, stats in values.items():
        total = totals.setdefault(metric, {})
        for name, value in stats.items():
            total[name] = total.get(name, 0) + value


def _result(row: Json, metrics: list[str], views: list[Json]) -> Json:
    data = []
    for (start, end), totals in sorted(row["intervals"].items()):
        found = [
            {"metric": metric, "stats": _stats(totals[metric])}
            for metric in metrics
            if totals.get(metric, {}).get("count")
        ]
        entry = {"interval": f"{to_iso(start)}/{to_iso(end)}", "metrics": found}
        if views:
            entry["views"] = [_view(view, totals.get(view.get("target", ""), {})) for view in views]
        data.append(entry)
    return {"group": row["group"], "data": data}


def _stats(total: Stats) -> Json:
    stats: Json = {"count": int(total["count"])}
    if "sum" in total:
        mean = total["sum"] / total["count"]
        stats |= {"sum": round(total["sum"]), "min": round(mean * 0.1), "max": round(mean * 3)}
    return stats


def _view(view: Json, total: Stats) -> Json:
    """How many lie in a range of milliseconds, if times are spread exponentially."""
    count, mean = total.get("count", 0), 0.0
    if count:
        mean = total.get("sum", 0.0) / count
    bounds = view.get("range") or {}

    def beyond(bound: float) -> float:
        return math.exp(-bound / mean) if mean > 0 else float(bound <= 0)

    low = bounds.get("gte", bounds.get("gt", 0))
    high = bounds.get("lt", bounds.get("lte"))
    share = beyond(low) - (beyond(high) if high is not None else 0)
    return {"name": view.get("name", ""), "stats": {"count": round(count * max(0.0, share))}}


def _flow_slices(flow: Flow, version: str | None, counts: Counts) -> Iterator[Slice]:
    errors = min(counts.errors, counts.calls - counts.abandoned)
    kinds = (
        ("DISCONNECT", "peer", counts.abandoned, "tFlowDisconnect"),
        ("FLOW_ERROR_DISCONNECT", "error", errors, "tFlowDisconnect"),
        ("TRANSFER", "transfer", counts.calls - counts.abandoned - errors, "tFlowExit"),
    )
    mean = counts.duration_seconds * 1000 / counts.calls if counts.calls else 0.0
    for exit_reason, disconnect, number, ending in kinds:
        if not number:
            continue
        dimensions = {
            "flowId": flow.id,
            "flowName": flow.name,
            "flowType": flow.type,
            "mediaType": "voice",
            "exitReason": exit_reason,
            "disconnectType": disconnect,
        }
        if version is not None:
            dimensions["flowVersion"] = version
        timed: Stats = {"count": number, "sum": number * mean}
        failed = number if disconnect == "error" else 0
        yield (
            dimensions,
            {
                "nFlow": {"count": number},
                "tFlow": timed,
                ending: timed,
                "nFlowOutcome": {"count": number},
                "tFlowOutcome": timed,
                "nFlowOutcomeFailed": {"count": failed},
            },
        )


def _conversation_slices(flow: Flow, _: str | None, counts: Counts) -> Iterator[Slice]:
    dimensions = {"mediaType": "voice", "direction": "inbound"}
    if flow.queues:
        dimensions["queueId"] = flow.queues[0]
    if flow.dnis:
        dimensions["dnis"] = flow.dnis
    wait = counts.wait_seconds * 1000
    waited = wait / counts.answered if counts.answered else 20_000.0
    handled: Stats = {"count": counts.answered, "sum": counts.duration_seconds * 1000}
    answered: Stats = {"count": counts.answered, "sum": wait}
    yield (
        dimensions,
        {
            "nConversations": {"count": counts.calls},
            "nConnected": {"count": counts.answered},
            "nOffered": {"count": counts.calls},
            "nError": {"count": counts.errors},
            "tAbandon": {"count": counts.abandoned, "sum": counts.abandoned * waited},
            "tAnswered": answered,
            "tAcd": answered,
            "tWait": answered,
            "tHandle": handled,
            "tIvr": handled,
        },
    )


def _intervals(query: Json) -> list[tuple[float, float]]:
    try:
        first, _, last = str(query["interval"]).partition("/")
        start, end = from_iso(first), from_iso(last)
        step = duration_seconds(str(query["granularity"])) if query.get("granularity") else 0
    except (KeyError, ValueError):
        raise Refusal(400, "invalid.date", "interval or granularity is not ISO 8601.") from None
    if end <= start:
        raise Refusal(400, "invalid.date", "The interval ends before it starts.")
    if not step:
        return [(start, end)]
    if (end - start) / step > 10_000:
        raise Refusal(400, "bad.request", "Too many intervals.")
    number = math.ceil((end - start) / step)
    return [(start + i * step, min(end, start + (i + 1) * step)) for i in range(number)]


def _predicates(only: Json) -> Iterator[Json]:
    for predicate in only.get("predicates") or []:
        if not isinstance(predicate, dict):
            raise Refusal(400, "bad.request", "A predicate is a JSON object.")
        yield predicate
    for clause in only.get("clauses") or []:
        if not isinstance(clause, dict):
            raise Refusal(400, "bad.request", "A clause is a JSON object.")
        yield from _predicates(clause)


def _count_predicates(org: Org, only: Json) -> None:
    number = 0
    for predicate in _predicates(only):
        number += 1
        if predicate.get("type", "dimension") != "dimension" or not predicate.get("dimension"):
            raise Refusal(400, "bad.request", "Only predicates on a dimension are understood.")
    limit = org.settings.max_predicates
    if limit is not None and number > limit:
        raise Refusal(400, "bad.request", f"Too many predicates: {number}, at most {limit}.")


def _holds(only: Json, dimensions: Dimensions) -> bool:
    tests = [
        *(_matches(predicate, dimensions) for predicate in only.get("predicates") or []),
        *(_holds(clause, dimensions) for clause in only.get("clauses") or []),
    ]
    if not tests:
        return True
    return any(tests) if only.get("type") == "or" else all(tests)


def _matches(predicate: Json, dimensions: Dimensions) -> bool:
    value = dimensions.get(predicate["dimension"])
    operator = predicate.get("operator", "matches")
    if operator == "exists":
        return value is not None
    if operator == "notExists":
        return value is None
    return value == predicate.get("value")


def _restriction(only: Json, dimension: str) -> set[str] | None:
    """The values of a dimension that alone can pass the filter, None for any."""
    parts: list[set[str] | None] = [
        {str(p.get("value"))}
        if p["dimension"] == dimension and p.get("operator", "matches") == "matches"
        else None
        for p in only.get("predicates") or []
    ]
    parts += [_restriction(clause, dimension) for clause in only.get("clauses") or []]
    known = [part for part in parts if part is not None]
    if not known:
        return None
    if only.get("type") == "or":
        return set().union(*known) if len(known) == len(parts) else None
    return set.intersection(*known)


def _candidates(org: Org, only: Json, dimension: str) -> list[Flow]:
    restricted = _restriction(only, dimension)
    ids = org.flows.keys() if restricted is None else restricted
    found = (org.flow(flow_id) for flow_id in list(ids))
    return [flow for flow in found if flow is not None and not flow.deleted]


def _refuse_outage(org: Org) -> None:
    if org.traffic.analytics_outage:
        raise Refusal(
            503,
            "service.unavailable",
            "Service Unavailable - The server is currently unavailable (because it is overloaded "
            "or down for maintenance).",
        )


_FLOWS = ("analytics:flowAggregate:view",)

ROUTES = [
    Route("POST", "/api/v2/analytics/flows/aggregates/query", "kpis", flow_aggregates, _FLOWS),
    Route(
        "POST",
        "/api/v2/analytics/conversations/aggregates/query",
        "kpis",
        conversation_aggregates,
        ("analytics:conversationAggregate:view",),
    ),
    Route(
        "POST",
        "/api/v2/analytics/flows/observations/query",
        "observe",
        flow_observations,
        ("analytics:flowObservation:view",),
    ),
]
