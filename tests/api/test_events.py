"""Progress over server-sent events, from the real process while real workers roll back."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, NamedTuple

import httpx
import pytest

from tests.api.served import READ, SECRET, Served, serving
from tests.conftest import make_flow
from tests.stack import Stack, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[Served]:
    with serving(stack) as served:
        yield served


class Event(NamedTuple):
    name: str
    event_id: str
    data: Any


def events(response: httpx.Response) -> Iterator[Event]:
    """Read a stream as the standard says; comments and `retry` are no events."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if not line:
            if "data" in fields:
                data = json.loads(fields["data"])
                yield Event(fields.get("event", "message"), fields.get("id", ""), data)
            fields = {}
        elif not line.startswith(":"):
            name, _, text = line.partition(": ")
            fields[name] = text


def follow(client: httpx.Client, path: str, *, after: str = "", until: str = "") -> list[Event]:
    headers = {"Last-Event-ID": after} if after else {}
    heard = []
    with client.stream("GET", path, headers=headers) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        for event in events(response):
            heard.append(event)
            if event.name == until or event.data.get("event") == until:
                break
    return heard


def test_a_run_is_followed_from_its_beginning_to_its_end(stack: Stack, api: Served) -> None:
    flow = make_flow(stack)
    with api.client() as client:
        body = {"flow_id": flow, "reason": "a test"}
        place = client.post("/v1/rollbacks", json=body).headers["Location"]
        # Read until the server ends it.
        *lines, end = follow(client, f"{place}/events")
        run = client.get(place).json()
    told = [event.data for event in lines]
    assert [line["event"] for line in told if line["step"] == "publish"] == [
        "step-started",
        "step-ended",
    ]
    assert (told[0]["event"], told[-1]["event"]) == ("accepted", "run-ended")
    assert [event.event_id for event in lines] == [line["entry_id"] for line in told]
    assert told[1]["text"] == "acquire_lock begins"
    assert {event.name for event in lines} == {"message"}
    assert (end.name, end.event_id) == ("end", "")
    assert end.data == {name: run[name] for name in end.data}
    assert run["state"] == "succeeded"


def test_whoever_comes_back_hears_the_rest_and_nothing_twice(stack: Stack, api: Served) -> None:
    run_id = stack.rollback(make_flow(stack)).run_id
    path = f"/v1/runs/{run_id}/events"
    with api.client(READ) as client:
        whole = follow(client, path)
        for cut in (1, 5, len(whole) - 2):
            assert follow(client, path, after=whole[cut - 1].event_id) == whole[cut:]
        last = client.get(path, headers={"Last-Event-ID": whole[-2].event_id})
    # A browser does not come back after that.
    assert (last.status_code, last.content) == (204, b"")


def test_an_id_that_is_none_is_refused(stack: Stack, api: Served) -> None:
    with api.client(READ) as client:
        answer = client.get("/v1/events", headers={"Last-Event-ID": "yesterday"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Last-Event-ID"


def test_the_feed_tells_of_all_runs_and_is_taken_up_where_it_was_left(
    stack: Stack, api: Served
) -> None:
    with api.client(READ, timeout=30) as client, ThreadPoolExecutor(1) as pool:
        heard = pool.submit(follow, client, "/v1/events", until="run-ended")

        def listening() -> bool:
            # Each snapshot is heard only by who listens already.
            run = stack.snapshot(make_flow(stack))
            started.append(run.run_id)
            return heard.done()

        started: list[str] = []
        wait_for(listening, timeout=60, what="the feed to be heard")
        first = heard.result()
        assert first[-1].data["run_id"] in started
        assert set(first[-1].data) == {"run_id", "event", "at"}
        after = first[-1].event_id
        again = stack.snapshot(make_flow(stack)).run_id
        rest = _until(client, after, again)
        assert [event.data["event"] for event in rest if event.data["run_id"] == again] == [
            "accepted",
            "step-started",
            "step-ended",
            "run-ended",
        ]


def _until(client: httpx.Client, after: str, run_id: str) -> list[Event]:
    heard = []
    with client.stream("GET", "/v1/events", headers={"Last-Event-ID": after}) as response:
        for event in events(response):
            heard.append(event)
            if event.data == event.data | {"run_id": run_id, "event": "run-ended"}:
                break
    return heard


def test_many_listeners_keep_nobody_from_an_answer(stack: Stack, api: Served) -> None:
    with ExitStack() as stack_of, api.client(READ, timeout=20) as client:
        limits = httpx.Limits(max_connections=200)
        listener = stack_of.enter_context(api.client(READ, timeout=20, limits=limits))
        for _ in range(120):
            response = stack_of.enter_context(listener.stream("GET", "/v1/events"))
            assert response.status_code == 200
        for _ in range(20):
            assert client.get("/v1/runs").status_code == 200
        assert client.get("/readyz").status_code == 200


def test_when_it_is_asked_to_end_it_ends_its_streams_and_itself(stack: Stack) -> None:
    with serving(stack) as own, own.client(READ, timeout=20) as client, ExitStack() as listening:
        responses = [listening.enter_context(client.stream("GET", "/v1/events")) for _ in range(20)]
        own.process.signal(signal.SIGTERM)
        # Each ends as an answer should, not as a connection that was cut.
        for response in responses:
            response.read()
        assert own.process.child.wait(20) in {0, -signal.SIGTERM}
        assert "Cancel" not in own.process.tail()


def test_its_log_names_runs_and_requests_and_holds_no_secret(stack: Stack, api: Served) -> None:
    flow = make_flow(stack)
    told = {"X-Correlation-ID": "deploy-41"}
    with api.client() as client:
        place = client.post("/v1/snapshots", json={"flow_id": flow}, headers=told).headers
        client.get(place["Location"], params={"access_token": READ})
        client.get(f"/v1/runs/{READ}")
        client.get("/v1/runs", headers={"Authorization": f"Bearer {SECRET}"})
    run_id = place["Location"].rpartition("/")[2]

    def lines() -> list[dict[str, str]]:
        return [json.loads(line) for line in api.process.log.read_text().splitlines()]

    def told_of_both() -> bool:
        return len([line for line in lines() if line.get("run_id") == run_id]) >= 2

    wait_for(told_of_both, what="both requests in the log")
    posted = next(line for line in lines() if line.get("correlation_id") == "deploy-41")
    assert posted["run_id"] == run_id
    assert posted["role"] == "rollback"
    assert posted["message"].startswith("POST /v1/snapshots 202 in ")
    text = api.process.log.read_text()
    assert READ not in text
    assert SECRET not in text
    assert stack.broker.url.split(":")[2].split("@")[0] not in text
