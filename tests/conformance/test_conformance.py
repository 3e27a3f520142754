"""Both ways: Genesys' client finds the simulator true, and our requests are what it would send.

This is evidence of paths, methods, names, types and values. Of semantics (locks, versions, timing)
it says nothing: docs/genesys.md lists what only a real org can tell.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import RootModel

import knowngood.genesys.platform
from knowngood.genesys.answers import ErrorBody
from knowngood.genesys.platform.calls import CALLS, Call
from knowngood.genesys.platform.counting import (
    CONVERSATION_METRICS,
    ERROR_DISCONNECT,
    ERROR_REASONS,
    FLOW_METRICS,
    GROUPS,
    HUNG_UP,
)
from knowngood.genesys.platform.dependencies import KINDS, tracked_type
from knowngood.genesys.platform.gateway import PlatformGateway
from knowngood.genesys.regions import REGIONS
from simulator.client import SimulatorControl
from tests.conformance.cases import CASES, Case
from tests.conformance.recorder import Exchange, Recorder
from tests.conformance.sdk import SDK, members, rewritten, unknown_members, values

OWN = frozenset({"partial"})
"""Members that we add to an answer: whether its status was 206."""

every_call = pytest.mark.parametrize("case", CASES, ids=lambda case: case.call.path)


def pattern(call: Call) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{\w+\}", "[^/]+", call.path))


def is_of(call: Call, exchange: Exchange) -> bool:
    found = [
        each
        for each in CALLS
        if each.method == exchange.method and pattern(each).fullmatch(exchange.path)
    ]
    # A path of its own comes before one with an id in that place.
    return min(found, key=lambda each: each.path.count("{"), default=None) == call


def sent(recorder: Recorder, call: Call) -> Exchange:
    return next(each for each in recorder.exchanges if is_of(call, each))


def test_every_call_of_the_adapter_has_its_case() -> None:
    assert [case.call for case in CASES] == list(CALLS)


def test_the_adapter_has_no_path_outside_its_list_of_calls() -> None:
    room = Path(str(knowngood.genesys.platform.__file__)).parent
    naming = [file.name for file in room.glob("*.py") if '"/api/' in file.read_text()]
    assert naming == ["calls.py"]


@every_call
def test_genesys_own_client_understands_the_simulator(
    case: Case, client: Any, recorder: Recorder, flow: str
) -> None:
    understood = case.sdk(client, flow)
    exchange = sent(recorder, case.call)
    assert 200 <= exchange.status <= 202
    read = case.answer.model_validate(client.sanitize_for_serialization(understood))
    assert read == case.answer.model_validate_json(exchange.answer)
    assert exchange.answer not in {b"{}", b"null"}
    assert getattr(read, "entities", True)
    assert getattr(read, "results", True)


@every_call
def test_the_adapter_sends_what_genesys_own_client_sends(
    case: Case,
    gateway: PlatformGateway,
    client: Any,
    recorder: Recorder,
    org: SimulatorControl,
    flow: str,
) -> None:
    case.sdk(client, flow)
    theirs = sent(recorder, case.call)
    recorder.exchanges.clear()
    again = flow if case.call.method == "GET" else fresh(org, flow)
    case.adapter(gateway, again)
    ours = sent(recorder, case.call)
    assert written(ours).replace(again, flow) == written(theirs)
    assert ours.headers["content-type"] == theirs.headers["content-type"]
    asked = [each for each in recorder.exchanges if each.path != "/oauth/token"]
    assert all(any(is_of(call, each) for call in CALLS) for each in asked)
    if case.body:
        assert rewritten(ours.body, case.body) == ours.body


def written(exchange: Exchange) -> str:
    return json.dumps(exchange.intent, sort_keys=True)


def fresh(org: SimulatorControl, flow: str) -> str:
    """A flow like the first, which the SDK's call has changed."""
    return str(org.create_flow(queues=org.flow(flow)["queues"], versions=[{}, {}])["id"])


@every_call
def test_every_member_that_is_read_exists_in_genesys_own_models(case: Case) -> None:
    if not issubclass(case.answer, RootModel):
        assert unknown_members(case.answer, case.model, OWN) == []


def test_every_value_that_is_looked_for_exists_in_genesys_own_models() -> None:
    assert {"PUBLISH", "SAVE"} <= values("FlowVersion", "type")
    assert {"SUCCESS", "FAILURE"} <= values("Operation", "action_status")
    assert "PUBLISH" in values("Operation", "action_name")
    assert set(FLOW_METRICS) <= values("FlowAggregationView", "target")
    assert set(CONVERSATION_METRICS) <= values("ConversationAggregationView", "target")
    assert set(GROUPS) <= values("FlowAggregateQueryPredicate", "dimension")
    assert {"queueId", "dnis"} <= values("ConversationAggregateQueryPredicate", "dimension")
    reasons = values("FlowEndDetailEventTopicFlowEndEvent", "exit_reason")
    assert {*ERROR_REASONS, HUNG_UP} <= {each.replace("_", "") for each in reasons}
    assert ERROR_DISCONNECT in values("FlowMetricsTopicFlowMetricRecord", "disconnect_type")
    assert set(KINDS) <= values("Dependency", "type")


def test_dependency_tracking_knows_every_type_of_flow_but_a_retired_one() -> None:
    kinds = {tracked_type(kind) for kind in values("Flow", "type")}
    assert kinds - values("Dependency", "type") == {"SPEECHFLOW"}


def test_the_token_is_asked_for_as_genesys_own_client_does(
    client: Any, gateway: PlatformGateway, recorder: Recorder, flow: str
) -> None:
    client.get_client_credentials_token("simulator", "simulator")
    gateway.read_flow(flow, history=False)
    theirs, ours = recorder.exchanges[:2]
    assert ours.path == "/oauth/token"
    assert ours.intent == theirs.intent
    assert ours.headers["authorization"] == theirs.headers["authorization"]
    assert ours.headers["content-type"] == theirs.headers["content-type"]


def test_errors_have_the_body_that_genesys_own_model_describes(
    client: Any, org: SimulatorControl, flow: str
) -> None:
    api = SDK.ArchitectApi(client)
    org.lock(flow)
    for status, ask in (
        (404, lambda: api.get_flow("none")),
        (409, lambda: api.post_flows_actions_publish(flow, version="1.0")),
    ):
        with pytest.raises(SDK.rest.ApiException) as refused:
            ask()
        assert refused.value.status == status
        assert refused.value.headers["ININ-Correlation-Id"]
        assert set(ErrorBody.model_fields) <= set(members("ErrorBody"))
        body = ErrorBody.model_validate_json(refused.value.body)
        assert body.message
        assert body.contextId


def test_genesys_own_client_follows_a_publication_to_its_end(
    client: Any, org: SimulatorControl, flow: str
) -> None:
    org.settings(publishing_seconds=100)
    api = SDK.ArchitectApi(client)
    started = api.post_flows_actions_publish(flow, version="1.0")
    seen = []
    for _ in range(4):
        operation = api.get_flow(flow).current_operation
        assert operation.id == started.id
        seen.append(operation.action_status)
        org.advance(35)
    assert set(seen) <= values("Operation", "action_status")
    assert seen[-1] == "SUCCESS"
    assert api.get_flow(flow).published_version.id == "1.0"


def test_what_is_never_sent_is_known_to_mean_something_else(client: Any, flow: str) -> None:
    """A snapshot is no POST of versions: that saves a draft, and needs the flow checked out."""
    api = SDK.ArchitectApi(client)
    with pytest.raises(SDK.rest.ApiException) as refused:
        api.post_flow_versions(flow, {})
    assert refused.value.status == 409
    api.post_flows_actions_checkout(flow)
    assert api.post_flow_versions(flow, {}).type == "SAVE"


def test_the_regions_are_those_of_genesys_own_client() -> None:
    theirs = {each.name: each.get_api_host() for each in SDK.PureCloudRegionHosts}
    assert {region.name: region.api for region in REGIONS} == theirs
    for region in REGIONS:
        host = SDK.ApiClient().get_conf_url("login", region.api)
        assert region.login == host
