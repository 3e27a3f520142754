"""One OAuth token for all workers, whatever happens to them, to it, to Redis or to the org."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from knowngood.embedded.broker import EmbeddedBroker
from knowngood.errors import AccessDenied, ApiUnavailable
from knowngood.genesys.port import Flow, FlowGateway
from knowngood.runs.store import connect
from knowngood.sharing.seal import Seal
from simulator.client import SimulatorControl
from tests.clock import Clock
from tests.sharing.conftest import MakeWorker, at_once
from tests.stack import ROOT

TWENTY = 20


def token_requests(org: SimulatorControl) -> int:
    return len(org.requests(job="token"))


def later(seconds: float, clock: Clock, org: SimulatorControl) -> None:
    clock.now += seconds
    org.advance(seconds)


def reads(workers: list[FlowGateway], flow: str) -> list[Flow | Exception]:
    return at_once(*(lambda each=each: each.read_flow(flow) for each in workers))  # type: ignore[misc]


def test_workers_that_start_together_ask_for_one_token(
    make_worker: MakeWorker, org: SimulatorControl, flow: str
) -> None:
    answers = reads([make_worker() for _ in range(TWENTY)], flow)
    assert all(isinstance(answer, Flow) for answer in answers), answers
    assert token_requests(org) == 1


def test_workers_that_meet_a_revoked_token_together_renew_it_once(
    make_worker: MakeWorker, org: SimulatorControl, flow: str
) -> None:
    workers = [make_worker() for _ in range(TWENTY)]
    reads(workers, flow)
    org.revoke_tokens()
    answers = reads(workers, flow)
    assert all(isinstance(answer, Flow) for answer in answers), answers
    assert token_requests(org) == 2


def test_a_worker_whose_token_and_the_shared_one_are_both_revoked_gets_a_fresh_one(
    make_worker: MakeWorker, org: SimulatorControl, flow: str
) -> None:
    idle, busy = make_worker(), make_worker()
    reads([idle, busy], flow)
    org.revoke_tokens()
    busy.read_flow(flow)
    org.revoke_tokens()
    assert idle.read_flow(flow).flow_id == flow
    assert busy.read_flow(flow).flow_id == flow
    assert token_requests(org) == 3


def test_a_fresh_token_that_is_refused_is_told_and_not_renewed_for_ever(
    make_worker: MakeWorker, org: SimulatorControl, flow: str
) -> None:
    org.fault({"status": 401}, match={"job": "read_flow"}, times=-1)
    with pytest.raises(AccessDenied):
        make_worker().read_flow(flow)
    assert token_requests(org) == 1


def test_a_call_asks_redis_for_its_place_below_the_limit_and_not_for_the_token(
    make_worker: MakeWorker, redis_client: Any, flow: str
) -> None:
    worker = make_worker()
    worker.read_flow(flow)
    before = redis_client.info("commandstats")["cmdstat_evalsha"]["calls"]
    worker.read_flow(flow)
    assert redis_client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1


def test_a_token_is_renewed_before_it_expires(
    make_worker: MakeWorker, org: SimulatorControl, clock: Clock, flow: str
) -> None:
    org.oauth(expires_in=600)
    first, second = make_worker(clock=clock), make_worker(clock=clock)
    reads([first, second], flow)
    later(541, clock, org)
    reads([first, second], flow)
    assert token_requests(org) == 2
    later(100, clock, org)
    reads([first, second], flow)
    assert [entry["status"] for entry in org.requests(job="read_flow")] == [200] * 6
    assert token_requests(org) == 2


def test_a_worker_that_slept_over_the_expiry_takes_the_token_that_another_renewed(
    make_worker: MakeWorker, org: SimulatorControl, clock: Clock, flow: str
) -> None:
    org.oauth(expires_in=600)
    sleeper, awake = make_worker(clock=clock), make_worker(clock=clock)
    reads([sleeper, awake], flow)
    later(601, clock, org)
    awake.read_flow(flow)
    sleeper.read_flow(flow)
    assert token_requests(org) == 2
    assert 401 not in [entry["status"] for entry in org.requests()]


def test_while_one_renews_early_the_others_go_on_with_the_old_token(
    make_worker: MakeWorker, org: SimulatorControl, clock: Clock, flow: str
) -> None:
    org.oauth(expires_in=600)
    renewer, other = make_worker(clock=clock), make_worker(clock=clock)
    reads([renewer, other], flow)
    clock.now += 541
    pause = org.fault({"pause": "before"}, match={"job": "token"})

    def others_go_on() -> str:
        org.wait_holding(pause)
        found = other.read_flow(flow).flow_id
        org.release(pause)
        return found

    answers = at_once(lambda: renewer.read_flow(flow).flow_id, others_go_on)
    assert answers == [flow, flow]
    assert token_requests(org) == 2


def test_a_login_host_that_is_down_matters_only_once_the_token_has_expired(
    make_worker: MakeWorker, org: SimulatorControl, clock: Clock, flow: str
) -> None:
    org.oauth(expires_in=600)
    workers = [make_worker(clock=clock) for _ in range(TWENTY)]
    reads(workers, flow)
    org.fault({"status": 503}, match={"job": "token"}, times=-1)
    clock.now += 541
    assert all(isinstance(answer, Flow) for answer in reads(workers, flow))
    assert token_requests(org) == 2, "its silence is remembered for all"
    clock.now += 60
    assert all(isinstance(answer, ApiUnavailable) for answer in reads(workers, flow))
    assert token_requests(org) == 3
    org.clear_faults()
    clock.now += 2
    assert all(isinstance(answer, Flow) for answer in reads(workers, flow))
    assert token_requests(org) == 4


def test_wrong_credentials_are_asked_once_and_remembered_for_a_while(
    make_worker: MakeWorker, org: SimulatorControl, clock: Clock, flow: str
) -> None:
    workers = [make_worker(secret="hunter2", clock=clock) for _ in range(TWENTY)]
    for _ in range(3):
        answers = reads(workers, flow)
        assert all(isinstance(answer, AccessDenied) for answer in answers), answers
        assert not any("hunter2" in str(answer) for answer in answers)
    assert token_requests(org) == 1
    assert make_worker(clock=clock).read_flow(flow).flow_id == flow, "the right secret is not held"
    clock.now += 11
    reads(workers, flow)
    assert token_requests(org) == 3


def test_a_client_that_is_enabled_again_works_again(
    make_worker: MakeWorker, org: SimulatorControl, clock: Clock, flow: str
) -> None:
    worker = make_worker(clock=clock)
    worker.read_flow(flow)
    org.oauth(enabled=False)
    clock.now += 1
    with pytest.raises(AccessDenied, match="simulator was refused"):
        worker.read_flow(flow)
    org.oauth(enabled=True)
    clock.now += 11
    assert worker.read_flow(flow).flow_id == flow


def test_without_redis_each_worker_has_a_token_of_its_own(
    make_worker: MakeWorker, org: SimulatorControl, flow: str
) -> None:
    nobody = connect("redis://127.0.0.1:1/0")
    workers = [make_worker(redis=nobody), make_worker(redis=nobody)]
    assert all(isinstance(answer, Flow) for answer in reads(workers, flow))
    org.revoke_tokens()
    assert all(isinstance(answer, Flow) for answer in reads(workers, flow))
    assert token_requests(org) == 4


def test_two_oauth_clients_on_one_redis_never_mix(
    make_worker: MakeWorker, org: SimulatorControl, flow: str
) -> None:
    org.oauth(client="second", secret="simulator")
    make_worker().read_flow(flow)
    make_worker(client_id="second").read_flow(flow)
    assert [entry["client"] for entry in org.requests(job="read_flow")] == ["simulator", "second"]


def test_neither_redis_nor_the_logs_give_a_token_away(
    make_worker: MakeWorker,
    org: SimulatorControl,
    redis_client: Any,
    flow: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    worker = make_worker()
    worker.read_flow(flow)
    org.revoke_tokens()
    worker.read_flow(flow)
    cache = worker._transport._tokens._cache  # type: ignore[attr-defined]
    value = cache.current().value.get_secret_value()
    kept = "".join(str(redis_client.xrange(key)) for key in redis_client.scan_iter("kg:oauth:*"))
    assert "sealed" in kept
    assert value not in kept
    assert "simulator" not in kept
    assert value not in caplog.text
    assert value not in repr(cache.current())


SECRET = SecretStr("s3cret")


@pytest.mark.parametrize(
    "other",
    [
        Seal(SecretStr("another"), "client", "https://login"),
        Seal(SECRET, "another", "https://login"),
        Seal(SECRET, "client", "https://another"),
        Seal(SECRET, "clienthttps://", "login"),
    ],
    ids=["secret", "client", "login host", "another split"],
)
def test_only_the_same_secret_client_and_login_host_open_a_seal(other: Seal) -> None:
    seal = Seal(SECRET, "client", "https://login")
    assert seal.open(seal.close("a token")) == "a token"
    assert other.name != seal.name
    assert other.open(seal.close("a token")) is None


@pytest.mark.parametrize("damage", ["", "AAAA", "not base64!", None])
def test_what_was_changed_in_redis_does_not_open(damage: str | None) -> None:
    seal = Seal(SECRET, "client", "https://login")
    sealed = seal.close("a token")
    changed = sealed[:-8] + "AAAAAAA=" if damage is None else damage
    assert seal.open(changed) is None


def test_an_entry_that_does_not_open_is_replaced(
    make_worker: MakeWorker, org: SimulatorControl, redis_client: Any, flow: str
) -> None:
    make_worker().read_flow(flow)
    (news,) = redis_client.scan_iter("kg:oauth:*")
    damaged = redis_client.xrevrange(news, count=1)[0][1] | {"sealed": "damaged"}
    redis_client.xadd(news, damaged, maxlen=1)
    assert make_worker().read_flow(flow).flow_id == flow
    assert token_requests(org) == 2


class Program:
    """A worker process."""

    def __init__(self, org: SimulatorControl, broker: EmbeddedBroker, flow: str) -> None:
        command = [sys.executable, "-m", "tests.sharing.worker", org.base_url, broker.url, flow]
        self.child = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def read(self) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def heard(self) -> str:
        assert self.child.stdout is not None
        return self.child.stdout.readline().strip()

    def kill(self) -> None:
        self.child.kill()
        self.child.wait(10)


@pytest.fixture
def programs(
    org: SimulatorControl, broker: EmbeddedBroker, redis_client: Any, flow: str
) -> Iterator[list[Program]]:
    running = [Program(org, broker, flow) for _ in range(3)]
    assert [program.heard() for program in running] == ["ready"] * 3
    yield running
    for program in running:
        program.kill()


@pytest.mark.slow
def test_processes_share_one_token_and_renew_a_revoked_one_once(
    programs: list[Program], org: SimulatorControl, flow: str
) -> None:
    for requests in (1, 2):
        for program in programs:
            program.read()
        assert [program.heard() for program in programs] == [flow] * 3
        assert token_requests(org) == requests
        org.revoke_tokens()


@pytest.mark.faults
def test_a_renewer_that_is_killed_holds_the_others_up_for_its_turn_only(
    programs: list[Program], org: SimulatorControl, flow: str
) -> None:
    renewer, *others = programs
    pause = org.fault({"pause": "before"}, match={"job": "token"})
    renewer.read()
    org.wait_holding(pause)
    for program in others:
        program.read()
    renewer.kill()
    assert [program.heard() for program in others] == [flow] * 2
    assert token_requests(org) == 2


@pytest.mark.faults
def test_a_renewer_that_is_too_slow_does_not_replace_a_newer_token(
    programs: list[Program], org: SimulatorControl, redis_client: Any, flow: str
) -> None:
    renewer, other, _ = programs
    pause = org.fault({"pause": "before"}, match={"job": "token"})
    renewer.read()
    org.wait_holding(pause)
    other.read()
    assert other.heard() == flow
    (news,) = redis_client.scan_iter("kg:oauth:*", _type="stream")
    kept = redis_client.xrange(news)
    org.release(pause)
    assert renewer.heard() == flow
    assert redis_client.xrange(news) == kept
