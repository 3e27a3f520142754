"""One case for each call that the adapter may send: how it sends it, and how the SDK does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import BaseModel

from knowngood.genesys.platform import calls, wire
from knowngood.genesys.platform.calls import Call
from knowngood.genesys.platform.counting import CONVERSATION_METRICS, FLOW_METRICS, GROUPS
from knowngood.genesys.platform.gateway import PlatformGateway
from knowngood.genesys.port import Dependency, DependencyKind
from tests.conformance.sdk import SDK

QUEUE, ACTION, PROMPT, SCHEDULE, DATATABLE = "queue-1", "action-1", "prompt-1", "when-1", "table-1"
END = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
START = END - timedelta(minutes=30)
INTERVAL = "2026-11-24T10:00:00.000Z/2026-11-24T10:30:00.000Z"
INPUT = {"customerId": "42"}

Drive = Callable[[Any, str], Any]


class Case(NamedTuple):
    """A call, as the adapter sends it and as the SDK does; both take a client and a flow's id.

    `answer` is our model of the answer, `model` the SDK's; `body` is the SDK's model of the request
    where it has one.
    """

    call: Call
    adapter: Callable[[PlatformGateway, str], Any]
    sdk: Drive
    answer: type[BaseModel]
    model: str
    body: str | None = None


def probe(name: str) -> Callable[[PlatformGateway, str | None], str]:
    def ask(gateway: PlatformGateway, flow: str | None) -> str:
        return next(each for each in gateway.probes(flow) if each.name == name).ask()

    return ask


def check(kind: DependencyKind, target: str) -> Callable[[PlatformGateway, str], Any]:
    dependency = Dependency(kind=kind, target=target)
    return lambda gateway, _: gateway.check_dependency(dependency)


def query(model: str, dimension: str, value: str, groups: Any, metrics: Any) -> Any:
    """The aggregate query as somebody who knows the SDK alone would write it."""
    predicate = getattr(SDK, f"{model}AggregateQueryPredicate")()
    predicate.type, predicate.dimension = "dimension", dimension
    predicate.operator, predicate.value = "matches", value
    chosen = getattr(SDK, f"{model}AggregateQueryFilter")()
    chosen.type, chosen.predicates = "or", [predicate]
    made = getattr(SDK, f"{model}AggregationQuery")()
    made.interval, made.group_by, made.metrics = INTERVAL, list(groups), list(metrics)
    made.filter = chosen
    return made


def flow_query(flow: str) -> Any:
    return query("Flow", "flowId", flow, GROUPS, FLOW_METRICS)


def queue_query() -> Any:
    return query("Conversation", "queueId", QUEUE, ["queueId"], CONVERSATION_METRICS)


CASES = [
    Case(
        calls.LIST_FLOWS,
        lambda gateway, _: probe("flow")(gateway, None),
        lambda client, _: SDK.ArchitectApi(client).get_flows(page_size=1),
        wire.FlowPage,
        "FlowEntityListing",
    ),
    Case(
        calls.READ_FLOW,
        lambda gateway, flow: gateway.read_flow(flow, history=False),
        lambda client, flow: SDK.ArchitectApi(client).get_flow(flow),
        wire.FlowAnswer,
        "Flow",
    ),
    Case(
        calls.LIST_VERSIONS,
        lambda gateway, flow: gateway.read_flow(flow),
        lambda client, flow: SDK.ArchitectApi(client).get_flow_versions(
            flow, page_number=1, page_size=100
        ),
        wire.VersionPage,
        "FlowVersionEntityListing",
    ),
    Case(
        calls.READ_VERSION,
        lambda gateway, flow: gateway.activate(flow, "", "1.0", fence=lambda: None),
        lambda client, flow: SDK.ArchitectApi(client).get_flow_version(flow, "1.0"),
        wire.VersionAnswer,
        "FlowVersion",
    ),
    Case(
        calls.READ_CONFIGURATION,
        lambda gateway, flow: gateway.configuration_digest(flow, "1.0"),
        lambda client, flow: SDK.ArchitectApi(client).get_flow_version_configuration(flow, "1.0"),
        wire.Configuration,
        "object",
    ),
    Case(
        calls.PUBLISH,
        lambda gateway, flow: gateway.publish(flow, "1.0", fence=lambda: None),
        lambda client, flow: SDK.ArchitectApi(client).post_flows_actions_publish(
            flow, version="1.0"
        ),
        wire.OperationAnswer,
        "Operation",
    ),
    Case(
        calls.LIST_CONSUMED,
        lambda gateway, flow: gateway.dependencies(flow, "1.0"),
        lambda client, flow: SDK.ArchitectApi(
            client
        ).get_architect_dependencytracking_consumedresources(
            flow, "1.0", "INBOUNDCALLFLOW", page_number=1, page_size=100
        ),
        wire.ConsumedPage,
        "ConsumedResourcesEntityListing",
    ),
    Case(
        calls.READ_QUEUE,
        check(DependencyKind.QUEUE, QUEUE),
        lambda client, _: SDK.RoutingApi(client).get_routing_queue(QUEUE),
        wire.Entity,
        "Queue",
    ),
    Case(
        calls.READ_PROMPT,
        check(DependencyKind.PROMPT, PROMPT),
        lambda client, _: SDK.ArchitectApi(client).get_architect_prompt(PROMPT),
        wire.Entity,
        "Prompt",
    ),
    Case(
        calls.READ_SCHEDULE,
        check(DependencyKind.SCHEDULE, SCHEDULE),
        lambda client, _: SDK.ArchitectApi(client).get_architect_schedule(SCHEDULE),
        wire.Entity,
        "Schedule",
    ),
    Case(
        calls.READ_DATATABLE,
        check(DependencyKind.DATATABLE, DATATABLE),
        lambda client, _: SDK.ArchitectApi(client).get_flows_datatable(DATATABLE),
        wire.Entity,
        "DataTable",
    ),
    Case(
        calls.READ_ACTION,
        check(DependencyKind.DATA_ACTION, ACTION),
        lambda client, _: SDK.IntegrationsApi(client).get_integrations_action(ACTION),
        wire.Entity,
        "Action",
    ),
    Case(
        calls.TEST_ACTION,
        check(DependencyKind.DATA_ACTION, ACTION),
        lambda client, _: SDK.IntegrationsApi(client).post_integrations_action_test(ACTION, INPUT),
        wire.ActionTest,
        "TestExecutionResult",
    ),
    Case(
        calls.COUNT_FLOWS,
        lambda gateway, flow: gateway.count([flow], START, END),
        lambda client, flow: SDK.AnalyticsApi(client).post_analytics_flows_aggregates_query(
            flow_query(flow)
        ),
        wire.Aggregates,
        "FlowAggregateQueryResponse",
        "FlowAggregationQuery",
    ),
    Case(
        calls.COUNT_CONVERSATIONS,
        lambda gateway, flow: gateway.count([flow], START, END),
        lambda client, _: SDK.AnalyticsApi(client).post_analytics_conversations_aggregates_query(
            queue_query()
        ),
        wire.Aggregates,
        "ConversationAggregateQueryResponse",
        "ConversationAggregationQuery",
    ),
    Case(
        calls.READ_LIMITS,
        probe("limits"),
        lambda client, _: SDK.OrganizationApi(client).get_organizations_limits_namespace(
            "platform.api"
        ),
        wire.Limits,
        "LimitsEntityListing",
    ),
    Case(
        calls.READ_TOKEN,
        probe("token"),
        lambda client, _: SDK.TokensApi(client).get_tokens_me(),
        wire.TokenAnswer,
        "TokenInfo",
    ),
    Case(
        calls.READ_GRANTS,
        probe("publish"),
        lambda client, _: SDK.AuthorizationApi(client).get_authorization_subjects_me(
            include_full_roles=True
        ),
        wire.GrantsAnswer,
        "AuthzSubject",
    ),
]
