"""The public Platform API's dialect, over the same org."""

from typing import Any

import httpx
import pytest

from simulator.client import SimulatorControl
from tests.simulator.conftest import iso

FLOWS = "/api/v2/flows"


def publish(api: httpx.Client, flow: str, version: str) -> httpx.Response:
    query = {"flow": flow, "version": version}
    return api.post(f"{FLOWS}/actions/publish", params=query, content="null")


def aggregates(
    api: httpx.Client, control: SimulatorControl, *, kind: str = "flows", **query: Any
) -> list[dict[str, Any]]:
    now = control.now()
    body = {"interval": f"{iso(now - 300)}/{iso(now)}", **query}
    answer = api.post(f"/api/v2/analytics/{kind}/aggregates/query", json=body)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def count(row: dict[str, Any], metric: str) -> int:
    return sum(
        m["stats"]["count"] for d in row["data"] for m in d["metrics"] if m["metric"] == metric
    )


def only(*flows: str) -> dict[str, Any]:
    return {
        "type": "or",
        "predicates": [
            {"type": "dimension", "dimension": "flowId", "operator": "matches", "value": flow}
            for flow in flows
        ],
    }


def test_members_without_a_value_are_omitted(api: httpx.Client, flow: str) -> None:
    body = api.get(f"{FLOWS}/{flow}").json()
    assert body["publishedVersion"]["id"] == "2.0"
    assert isinstance(body["publishedVersion"]["dateCreated"], int)
    assert body["publishedVersion"]["datePublished"].endswith("Z")
    assert not {"lockedUser", "lockedClient", "currentOperation"} & set(body)
    assert None not in body.values()


def test_a_publication_is_an_operation_that_goes_through_its_states(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.settings(publishing_seconds=100)
    answer = publish(api, flow, "1.0")
    assert answer.status_code == 202
    started = answer.json()
    assert (started["actionName"], started["actionStatus"]) == ("PUBLISH", "STARTED")
    seen = []
    for _ in range(4):
        operation = api.get(f"{FLOWS}/{flow}").json()["currentOperation"]
        assert operation["id"] == started["id"]
        seen.append((operation["actionStatus"], operation["complete"]))
        control.advance(35)
    assert seen == [
        ("STARTED", False),
        ("PENDING_GENERATION", False),
        ("PENDING_BACKEND_NOTIFICATION", False),
        ("SUCCESS", True),
    ]
    body = api.get(f"{FLOWS}/{flow}").json()
    assert body["publishedVersion"]["id"] == "1.0"
    ended = api.get(f"{FLOWS}/{flow}/versions/2.0").json()
    assert "datePublishedEnd" in ended


def test_a_flow_changed_through_one_dialect_is_seen_through_the_other(
    api: httpx.Client, flow: str
) -> None:
    publish(api, flow, "1.0")
    seen = api.get(f"/api/v2/architect/flows/{flow}").json()["version"]
    assert (seen["versionId"], seen["status"]) == ("1.0", "PUBLISHED")


def test_an_unknown_version_is_met_with_silence(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    assert publish(api, flow, "99.0").status_code == 200
    assert control.live(flow) == "2.0"
    assert control.invariants()["publishes_of_unknown_version"] == 1


def test_a_failed_operation_has_a_code_and_empty_details(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.fail_publish(code="flow.invalid", message="A queue is missing.")
    publish(api, flow, "1.0")
    operation = api.get(f"{FLOWS}/{flow}").json()["currentOperation"]
    assert (operation["actionStatus"], operation["complete"]) == ("FAILURE", True)
    assert (operation["errorCode"], operation["errorDetails"]) == ("flow.invalid", [])
    assert control.live(flow) == "2.0"


def test_anothers_operation_replaces_ours_while_the_publication_goes_on(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.settings(publishing_seconds=10)
    mine = publish(api, flow, "1.0").json()["id"]
    control.foreign_operation(flow)
    assert api.get(f"{FLOWS}/{flow}").json()["currentOperation"]["id"] != mine
    control.advance(11)
    assert control.live(flow) == "1.0"


def test_a_lock_or_a_running_publication_answers_409(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.lock(flow)
    assert "lockedUser" in api.get(f"{FLOWS}/{flow}").json()
    assert publish(api, flow, "1.0").status_code == 409
    control.unlock(flow)
    control.settings(publishing_seconds=10)
    assert publish(api, flow, "1.0").status_code == 202
    assert publish(api, flow, "1.0").status_code == 409
    counters = control.invariants()
    assert (counters["publishes_refused_by_lock"], counters["repeated_publishes"]) == (1, 1)


def test_an_operation_under_way_keeps_a_publication_from_beginning(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.foreign_operation(flow, action="CHECKIN", seconds=10)
    assert publish(api, flow, "1.0").status_code == 409
    control.advance(11)
    assert publish(api, flow, "1.0").status_code == 202


def test_a_deleted_flow_answers_410_and_an_unknown_one_404(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.set_flow(flow, deleted=True)
    gone = api.get(f"{FLOWS}/{flow}")
    assert (gone.status_code, gone.json()["code"]) == (410, "architect.flow.deleted")
    unknown = api.get(f"{FLOWS}/none")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "architect.flow.not.found")


def test_an_editing_session_takes_saves_and_gives_back(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    def act(action: str) -> httpx.Response:
        return api.post(f"{FLOWS}/actions/{action}", params={"flow": flow}, content="null")

    assert api.post(f"{FLOWS}/{flow}/versions", json={"a": 1}).status_code == 409
    assert act("checkout").json()["lockedClient"]["id"] == "simulator"
    assert act("checkout").status_code == 409
    draft = api.post(f"{FLOWS}/{flow}/versions", json={"a": 1}).json()
    assert (draft["id"][:14], draft["type"]) == ("saved_version_", "SAVE")
    assert act("checkin").json()["actionName"] == "CHECKIN"
    body = api.get(f"{FLOWS}/{flow}").json()
    assert (body["checkedInVersion"]["id"], "lockedClient" in body) == ("3.0", False)
    act("checkout")
    assert act("revert").status_code == 200
    control.lock(flow)
    assert act("revert").status_code == 409
    assert act("unlock").status_code == 200
    assert control.invariants()["forced_unlocks"] == 1


def test_versions_come_in_pages_with_links(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    for _ in range(5):
        control.add_version(flow)
    first = api.get(f"{FLOWS}/{flow}/versions", params={"pageSize": 3}).json()
    assert [v["id"] for v in first["entities"]] == ["7.0", "6.0", "5.0"]
    assert (first["total"], first["pageCount"]) == (7, 3)
    last = api.get(first["lastUri"]).json()
    assert [v["id"] for v in last["entities"]] == ["1.0"]
    assert "nextUri" not in last
    assert api.get(f"{FLOWS}/{flow}/versions", params={"pageSize": 0}).status_code == 400


def test_lookup_takes_repeated_and_comma_joined_ids(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    other = control.create_flow(name="Other")["id"]
    repeated = api.get(f"{FLOWS}/lookup", params={"id": [flow, other]}).json()
    joined = api.get(f"{FLOWS}/lookup", params={"id": f"{flow},{other},none"}).json()
    assert [f["id"] for f in repeated["entities"]] == [flow, other]
    assert [f["id"] for f in joined["entities"]] == [flow, other]


def test_dependencies_are_tracked_and_answer_206_while_being_rebuilt(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    path = "/api/v2/architect/dependencytracking/consumedresources"
    query = {"id": flow, "version": "1.0", "objectType": "INBOUNDCALLFLOW"}
    entity = api.get(path, params=query).json()["entities"][0]
    assert (entity["type"], entity["deleted"]) == ("QUEUE", False)
    control.delete_queue(entity["id"])
    assert api.get(path, params=query).json()["entities"][0]["deleted"] is True
    control.settings(dependency_tracking_rebuilding=True)
    assert api.get(path, params=query).status_code == 206


def test_tracking_answers_410_for_a_deleted_flow_and_404_for_an_unknown_version(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    path = "/api/v2/architect/dependencytracking/consumedresources"
    query = {"id": flow, "version": "99.0", "objectType": "INBOUNDCALLFLOW"}
    assert api.get(path, params=query).status_code == 404
    control.set_flow(flow, deleted=True)
    assert api.get(path, params=query).status_code == 410


@pytest.mark.parametrize(
    ("kind", "path", "tracked"),
    [
        ("prompts", "/api/v2/architect/prompts/x1", "USERPROMPT"),
        ("schedules", "/api/v2/architect/schedules/x1", "SCHEDULE"),
        ("datatables", "/api/v2/flows/datatables/x1", "DATATABLE"),
    ],
)
def test_what_a_version_uses_can_be_read_until_it_is_deleted(
    api: httpx.Client, control: SimulatorControl, kind: str, path: str, tracked: str
) -> None:
    control.put_resource(kind, "x1", name="Something")
    made = control.create_flow(versions=[{"dependencies": [{"type": tracked, "id": "x1"}]}])
    query = {"id": made["id"], "version": "1.0", "objectType": "INBOUNDCALLFLOW"}

    def seen() -> tuple[int, bool]:
        answer = api.get(
            "/api/v2/architect/dependencytracking/consumedresources", params=query
        ).json()
        return api.get(path).status_code, answer["entities"][0]["deleted"]

    assert seen() == (200, False)
    control.delete_resource(kind, "x1")
    assert seen() == (404, True)


def test_the_roles_permissions_are_told_when_asked_for(
    api: httpx.Client, control: SimulatorControl
) -> None:
    def permitted() -> set[str]:
        path = "/api/v2/authorization/subjects/me"
        (grant,) = api.get(path, params={"includeFullRoles": "true"}).json()["grants"]
        return {
            f"{each['domain']}:{each['entityName']}:{each['actions'][0]}"
            for each in grant["role"]["policies"]
        }

    assert "architect:flow:publish" in permitted()
    control.oauth(remove_permissions=["architect:flow:publish"])
    assert "architect:flow:publish" not in permitted()
    bare = api.get("/api/v2/authorization/subjects/me").json()
    assert "policies" not in bare["grants"][0]["role"]


def test_testing_a_data_action_really_executes_it(
    api: httpx.Client, control: SimulatorControl
) -> None:
    control.put_action("crm", success=False)
    answer = api.post("/api/v2/integrations/actions/crm/test", json={"id": 1}).json()
    assert answer["success"] is False
    assert control.executions() == [{"kind": "action", "action": "crm", "input": {"id": 1}}]


def test_aggregates_tell_versions_apart_and_leave_out_zero_rows(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    silent = control.create_flow(name="Silent", calls_per_minute=0)["id"]
    control.deploy(flow, quality={"error_rate": 1.0, "abandon_rate": 0.0})
    control.advance(120)
    rows = aggregates(
        api,
        control,
        groupBy=["flowId", "flowVersion"],
        granularity="PT1M",
        filter=only(flow, silent),
        metrics=["nFlow", "tFlow", "nFlowOutcome", "nFlowOutcomeFailed"],
    )
    by_version = {row["group"]["flowVersion"]: row for row in rows}
    assert set(by_version) == {"2.0", "3.0"}
    assert {row["group"]["flowId"] for row in rows} == {flow}
    bad = by_version["3.0"]
    assert count(bad, "nFlowOutcomeFailed") == count(bad, "nFlow") > 0
    assert count(by_version["2.0"], "nFlowOutcomeFailed") < count(by_version["2.0"], "nFlow") / 10


def test_errors_are_found_by_exit_reason(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    rows = aggregates(
        api, control, groupBy=["exitReason"], filter=only(flow), metrics=["nFlow", "tFlowExit"]
    )
    reasons = {row["group"]["exitReason"]: row for row in rows}
    assert count(reasons["TRANSFER"], "tFlowExit") == count(reasons["TRANSFER"], "nFlow")


def test_abandonment_comes_by_queue(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.traffic(blips=[{"after": -300, "seconds": 300, "abandon_rate": 1.0}])
    (row,) = aggregates(
        api,
        control,
        kind="conversations",
        groupBy=["queueId"],
        metrics=["nOffered", "tAbandon", "tAnswered"],
    )
    assert row["group"]["queueId"] == control.flow(flow)["queues"][0]
    assert count(row, "tAbandon") == count(row, "nOffered") > 0
    assert count(row, "tAnswered") == 0


def test_too_many_predicates_are_refused_at_a_settable_limit(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.settings(max_predicates=1)
    now = control.now()
    body = {
        "interval": f"{iso(now - 60)}/{iso(now)}",
        "metrics": ["nFlow"],
        "filter": only(flow, "other"),
    }
    answer = api.post("/api/v2/analytics/flows/aggregates/query", json=body)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"metrics": []},
        {"metrics": ["nSunshine"]},
        {"interval": "yesterday"},
        {"granularity": "often"},
        {"filter": {"predicates": ["flowId"]}},
        {"filter": {"type": "or", "clauses": [1]}},
        {"filter": {"predicates": [{"type": "metric", "metric": "nFlow"}]}},
    ],
)
def test_a_query_that_makes_no_sense_is_refused(
    api: httpx.Client, control: SimulatorControl, wrong: dict[str, Any]
) -> None:
    now = control.now()
    body = {"interval": f"{iso(now - 60)}/{iso(now)}", "metrics": ["nFlow"], **wrong}
    answer = api.post("/api/v2/analytics/flows/aggregates/query", json=body)
    assert answer.status_code == 400


def test_a_fault_of_one_flow_hits_a_query_that_asks_for_several(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.fault({"status": 503}, match={"job": "kpis", "flow": flow}, times=-1)
    now = control.now()
    body = {"interval": f"{iso(now - 60)}/{iso(now)}", "metrics": ["nFlow"], "groupBy": ["flowId"]}
    path = "/api/v2/analytics/flows/aggregates/query"
    found = [
        api.post(path, json={**body, "filter": only(*flows)}).status_code
        for flows in ((flow, "other"), (flow,), ("other",))
    ]
    assert found == [503, 503, 200]


def test_late_answers_are_counted_by_a_view(api: httpx.Client, control: SimulatorControl) -> None:
    (row,) = aggregates(
        api,
        control,
        kind="conversations",
        metrics=["tAnswered"],
        views=[
            {
                "target": "tAnswered",
                "name": "late",
                "function": "rangeBound",
                "range": {"gte": 20000},
            }
        ],
    )
    late = row["data"][0]["views"][0]["stats"]["count"]
    assert 0 < late < count(row, "tAnswered") / 2


def test_observations_count_the_callers_inside(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    body = {"filter": only(flow), "metrics": ["oFlow"]}
    answer = api.post("/api/v2/analytics/flows/observations/query", json=body).json()
    assert answer["results"][0]["data"][0]["stats"]["count"] > 0


def test_the_limits_are_those_that_hold(api: httpx.Client, control: SimulatorControl) -> None:
    control.oauth(allowed_per_token=300)
    answer = api.get("/api/v2/organizations/limits/namespaces/platform.api")
    assert {"token.rate.per.minute": 300}.items() <= {
        each["key"]: each["value"] for each in answer.json()["entities"]
    }.items()
    assert answer.headers["inin-ratelimit-allowed"] == "300"


def test_history_tells_who_did_what(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    publish(api, flow, "1.0")
    history = api.post(f"{FLOWS}/{flow}/history").json()["id"]
    found = api.get(f"{FLOWS}/{flow}/history/{history}", params={"action": "publish"}).json()
    newest = found["entities"][0]
    assert (newest["version"], newest["client"]["id"]) == ("1.0", "simulator")
