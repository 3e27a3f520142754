"""Faults on demand, holds for kill tests, and the log that proves what was sent."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from simulator.client import ControlError, SimulatorControl

FLOWS = "/api/v2/architect/flows"


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


def activate(api: httpx.Client, flow: str) -> httpx.Response:
    body = {"name": "Main line", "version": {"versionId": "1.0"}, "status": "PUBLISHED"}
    return api.put(f"{FLOWS}/{flow}", json=body)


def test_a_status_is_answered_in_the_writes_stead(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.fault(
        {"status": 429, "headers": {"Retry-After": 7}}, match={"job": "activate", "flow": flow}
    )
    refused = activate(api, flow)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert control.flow(flow)["activated"] is None
    assert activate(api, flow).status_code == 200


def test_an_error_may_come_after_the_write_took_effect(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.fault({"status": 504, "apply": True}, match={"job": "activate"})
    assert activate(api, flow).status_code == 504
    assert control.flow(flow)["activated"]["version"] == "1.0"
    assert control.requests(job="activate")[0]["effect"] is True


def test_a_fault_skips_then_fires_a_number_of_times(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    fault = control.fault({"status": 500}, match={"path": "/architect/"}, times=2, after=1)
    statuses = [api.get(f"{FLOWS}/{flow}").status_code for _ in range(5)]
    assert statuses == [200, 500, 500, 200, 200]
    assert control.get_fault(fault)["fired"] == 2


@pytest.mark.parametrize(("side", "took_effect"), [("before", False), ("after", True)])
def test_a_connection_drops_before_or_after_the_write(
    api: httpx.Client, control: SimulatorControl, flow: str, side: str, took_effect: bool
) -> None:
    control.fault({"drop": side}, match={"job": "activate"})
    with pytest.raises(httpx.RemoteProtocolError):
        activate(api, flow)
    assert (control.flow(flow)["activated"] is not None) is took_effect
    entry = control.requests(job="activate")[0]
    assert (entry["dropped"], entry["effect"], entry["status"]) == (True, took_effect, None)


def test_a_body_may_be_no_json_or_of_the_wrong_shape(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.fault({"malformed": True})
    control.fault({"wrong_shape": True})
    with pytest.raises(ValueError):
        api.get(f"{FLOWS}/{flow}").json()
    assert isinstance(api.get(f"{FLOWS}/{flow}").json(), list)


def test_latency_and_a_hang_run_into_the_clients_timeout(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.fault({"hang": True}, match={"method": "GET"})
    with pytest.raises(httpx.ReadTimeout):
        api.get(f"{FLOWS}/{flow}", timeout=0.05)
    control.settings(route_latency={"read_lock": 5})
    with pytest.raises(httpx.ReadTimeout):
        api.get(f"{FLOWS}/{flow}/locks", timeout=0.05)
    assert api.get(f"{FLOWS}/{flow}").status_code == 200


def test_a_request_is_held_before_its_write_until_it_is_released(
    api: httpx.Client, control: SimulatorControl, flow: str, pool: ThreadPoolExecutor
) -> None:
    fault = control.fault({"pause": "before"}, match={"job": "activate"})
    answer = pool.submit(activate, api, flow)
    control.wait_holding(fault)
    assert control.flow(flow)["activated"] is None
    assert control.release(fault) == 1
    assert answer.result(5).status_code == 200
    assert control.flow(flow)["activated"] is not None


def test_a_request_is_held_after_its_write(
    api: httpx.Client, control: SimulatorControl, flow: str, pool: ThreadPoolExecutor
) -> None:
    fault = control.fault({"pause": "after"}, match={"job": "activate"})
    answer = pool.submit(activate, api, flow)
    control.wait_holding(fault)
    assert control.flow(flow)["activated"] is not None
    assert not answer.done()
    control.remove_fault(fault)
    assert answer.result(5).status_code == 200


@pytest.mark.parametrize("on_disconnect", [None, "apply"])
def test_a_client_that_dies_while_held_before_the_write_leaves_nothing_behind_unless_told_so(
    api: httpx.Client, control: SimulatorControl, flow: str, on_disconnect: str | None
) -> None:
    fault = control.fault(
        {"pause": "before", "on_disconnect": on_disconnect}, match={"job": "activate"}
    )
    with socket.create_connection((api.base_url.host, api.base_url.port or 80)) as client:
        body = b'{"version": {"versionId": "1.0"}, "status": "PUBLISHED"}'
        head = (
            f"PUT {FLOWS}/{flow} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            f"Authorization: {api.headers['Authorization']}\r\n\r\n"
        )
        client.sendall(head.encode() + body)
        control.wait_holding(fault)
    control.wait_until(lambda: control.holding(fault) == 0)
    control.wait_until(lambda: bool(control.requests(job="activate")[0]["dropped"]))
    assert (control.flow(flow)["activated"] is not None) is (on_disconnect == "apply")


def test_a_reset_cuts_off_what_is_still_held(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    fault = control.fault({"pause": "before"}, match={"job": "activate"})
    errors: list[Exception] = []

    def send() -> None:
        try:
            activate(api, flow)
        except httpx.HTTPError as error:
            errors.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    control.wait_holding(fault)
    control.reset()
    thread.join(5)
    assert len(errors) == 1
    assert control.flow(flow)["activated"] is None


@pytest.mark.parametrize(
    ("effect", "match"),
    [({"explode": True}, {}), ({"drop": "sideways"}, {}), ({}, {"flavour": "x"})],
)
def test_a_fault_that_makes_no_sense_is_refused_by_name(
    control: SimulatorControl, effect: dict[str, object], match: dict[str, object]
) -> None:
    with pytest.raises(ControlError, match=r"explode|drop|flavour"):
        control.fault(effect, match=match)


def test_the_log_numbers_requests_and_holds_bodies_but_no_secret(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    before = control.seq()
    activate(api, flow)
    api.get(f"{FLOWS}/{flow}")
    first, second = control.requests(since=before, flow=flow)
    assert (first["job"], first["version"], first["effect"]) == ("activate", "1.0", True)
    assert first["body"]["status"] == "PUBLISHED"
    assert (second["seq"], second["job"], second["status"]) == (before + 2, "read_flow", 200)
    token = api.headers["Authorization"].removeprefix("Bearer ")
    assert token not in str(control.requests())
    assert control.counts()["activate"] == 1


def test_the_log_is_bounded(api: httpx.Client, control: SimulatorControl, flow: str) -> None:
    control.settings(ledger_limit=3)
    try:
        for _ in range(5):
            api.get(f"{FLOWS}/{flow}")
        kept = [entry["seq"] for entry in control.requests()]
        assert len(kept) == 3
        assert kept[-1] == control.seq()
    finally:
        control.settings(ledger_limit=200_000)
