import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from knowngood.genesys.purpose import Priority, Purpose
from knowngood.runs.store import connect
from knowngood.sharing.limiter import SharedLimiter
from tests.cli.terminal import Done, piped
from tests.sharing.storm import answer
from tests.stack import Stack

pytestmark = pytest.mark.slow

NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture(scope="module")
def idle() -> Iterator[Stack]:
    """An installation in which nothing works yet: no worker, no beat."""
    with Stack() as stack:
        yield stack


@pytest.fixture(scope="module")
def org() -> Iterator[Stack]:
    """The same, in the Platform API's dialect."""
    with Stack(api="platform") as stack:
        yield stack


def kg(stack: Stack, *arguments: str, **settings: str) -> Done:
    env = stack.environment(**settings)
    kept = {name: value for name, value in env.items() if value or "KNOWNGOOD" not in name}
    return piped(*arguments, env=kept, cwd=stack.directory)


def levels(done: Done) -> dict[str, str]:
    return {finding["check"]: finding["level"] for finding in json.loads(done.stdout)}


def test_it_says_what_is_missing_and_what_to_do(idle: Stack) -> None:
    done = kg(idle, "doctor")
    assert (done.returncode, done.stderr) == (1, "")
    assert "fail  queue rollback: no worker listens" in done.stdout
    assert "celery -A workers.app worker -Q rollback" in done.stdout
    assert "fail  beat: no beat is alive" in done.stdout
    assert "warn  persistence: Redis keeps nothing over a restart" in done.stdout
    assert "ok    credentials" in done.stdout


def test_one_thing_that_is_down_is_named_once_and_the_rest_is_still_checked(idle: Stack) -> None:
    found = levels(kg(idle, "doctor", "--json", BROKER_URL=NOBODY, REDIS_URL=NOBODY))
    assert (found["broker"], found["journal"]) == ("fail", "fail")
    assert (found["artifact store"], found["credentials"]) == ("ok", "ok")
    assert not [name for name in found if name.startswith("queue")]


@pytest.mark.parametrize(
    ("check", "settings", "words"),
    [
        ("settings", {"HEALTH_MAX_ASA": "-3"}, "KNOWNGOOD_HEALTH_MAX_ASA='-3'"),
        ("credentials", {"GENESYS_CLIENT_SECRET": "hunter2"}, "was refused"),
        ("credentials", {"GENESYS_CLIENT_SECRET": "hunter2"}, "client not found or wrong secret"),
        ("credentials", {"GENESYS_CLIENT_ID": ""}, "KNOWNGOOD_GENESYS_CLIENT_ID"),
        ("credentials", {"GENESYS_LOGIN_URL": "http://127.0.0.1:1"}, "login host does not answer"),
        ("artifact store", {"ARTIFACTS_URL": "file:///proc/knowngood"}, "KNOWNGOOD_ARTIFACTS_URL"),
        ("artifact store", {"ARTIFACTS_URL": "memory:///"}, "forgets everything"),
    ],
)
def test_it_finds_what_is_wrong_with(
    check: str, settings: dict[str, str], words: str, idle: Stack
) -> None:
    done = kg(idle, "doctor", **settings)
    assert done.returncode == 1
    line = next(line for line in done.stdout.splitlines() if line.startswith(f"fail  {check}: "))
    assert words in line
    assert "hunter2" not in done.stdout
    assert "Traceback" not in done.stderr


def test_a_disabled_client_and_a_login_host_at_fault_are_told_apart(idle: Stack) -> None:
    idle.sim.oauth(enabled=False)
    disabled = kg(idle, "doctor")
    idle.sim.oauth(enabled=True)
    idle.sim.fault({"status": 503}, match={"job": "token"})
    at_fault = kg(idle, "doctor")
    assert "fail  credentials: the OAuth client simulator was refused (401)" in disabled.stdout
    assert "that the client is enabled" in disabled.stdout
    assert "fail  credentials: the login host answered 503" in at_fault.stdout
    assert "KNOWNGOOD_GENESYS_LOGIN_URL is the org's" in at_fault.stdout


def test_it_tells_how_the_rate_limit_stands(idle: Stack) -> None:
    redis = connect(idle.broker.url)
    limiter = SharedLimiter(redis, "simulator", idle.sim.base_url, reserved=0.2, cap=400)

    def line(**settings: str) -> str:
        lines = kg(idle, "doctor", **settings).stdout.splitlines()
        return next(line for line in lines if "rate limit: " in line)

    assert line().startswith("ok    rate limit: Genesys has not told it yet")
    poll = Purpose(Priority.POLL)
    limiter.learn(answer(1, 300, 60), poll)
    limiter.acquire(poll)
    assert "ok    rate limit: 1 of 300 calls in the last minute; 60 are kept" in line()
    assert "ok    rate limit: 1 of 100 calls in the last minute; 20" in line(RATE_LIMIT="100")
    assert line(RATE_LIMIT="400").startswith("warn  rate limit: KNOWNGOOD_RATE_LIMIT=400")
    limiter.learn(answer(301, 300, 50, 429), poll)
    assert line().startswith("warn  rate limit: all calls pause for ")
    # The pause outlives this test, and would stop every call of the next one.
    redis.flushdb()


def test_a_whole_installation_passes(stack: Stack) -> None:
    found = levels(kg(stack, "doctor", "--json"))
    assert "fail" not in found.values()
    assert found["beat"] == found["queue alerts"] == "ok"


def live(done: Done) -> dict[str, str]:
    return {name: level for name, level in levels(done).items() if name.startswith("live ")}


def test_it_tries_the_org_only_when_asked_to(org: Stack) -> None:
    assert live(kg(org, "doctor", "--json")) == {}
    found = live(kg(org, "doctor", "--live", "--json"))
    assert set(found.values()) == {"ok"}
    assert {"live flow", "live versions", "live publish", "live dependencies"} <= set(found)
    assert {entry["method"] for entry in org.sim.requests() if entry["job"] != "token"} == {
        "GET",
        "POST",
    }
    assert [entry for entry in org.sim.requests() if entry["effect"]] == []


@pytest.mark.parametrize(
    ("permission", "check", "level"),
    [
        ("architect:flow:view", "live flow", "fail"),
        ("architect:flow:publish", "live publish", "fail"),
        ("analytics:flowAggregate:view", "live flow analytics", "fail"),
        ("architect:dependencyTracking:view", "live dependencies", "warn"),
    ],
)
def test_a_permission_that_the_org_did_not_grant_is_named(
    org: Stack, permission: str, check: str, level: str
) -> None:
    taken = [permission, "architect:flow:unlock"]
    org.sim.oauth(remove_permissions=taken)
    try:
        done = kg(org, "doctor", "--live", "--flow", org.sim.demo_flow())
    finally:
        org.sim.oauth(add_permissions=taken)
    assert f"{level}  {check}: missing permission {permission}" in done.stdout
    assert f"give the OAuth client's role {permission}" in done.stdout


def test_what_the_settings_name_must_exist_in_the_org(org: Stack) -> None:
    callers, inputs = '{"*": {"queues": ["nowhere"]}}', '{"no-action": {}}'
    done = kg(org, "doctor", "--live", GENESYS_CALLERS=callers, GENESYS_TEST_ACTIONS=inputs)
    assert "warn  live queue nowhere: " in done.stdout
    assert "correct KNOWNGOOD_GENESYS_CALLERS" in done.stdout
    assert "warn  live data action no-action: " in done.stdout
    assert "correct KNOWNGOOD_GENESYS_TEST_ACTIONS" in done.stdout


def test_in_the_guide_s_dialect_a_flow_must_be_named(idle: Stack) -> None:
    assert "knowngood doctor --live --flow FLOW" in kg(idle, "doctor", "--live").stdout
    named = kg(idle, "doctor", "--live", "--flow", idle.sim.demo_flow(), "--json")
    assert live(named) == {"live flow": "ok", "live lock": "ok", "live flow analytics": "ok"}


def test_a_flow_without_live_is_refused(idle: Stack) -> None:
    done = kg(idle, "doctor", "--flow", "a-flow")
    assert (done.returncode, done.stdout) == (2, "")
    assert "it goes with --live" in done.stderr


class _Inbox(BaseHTTPRequestHandler):
    received: list[str] = []  # noqa: RUF012 - shared with the test on purpose

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.received.append(self.rfile.read(length).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


def test_a_test_alert_goes_through_every_channel(idle: Stack) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Inbox)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"json://127.0.0.1:{server.server_port}/token-opensesame"
        done = kg(idle, "alert-test", ALERT_URLS=url)
    finally:
        server.shutdown()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("sent") == 2
    assert "opensesame" not in done.stdout + done.stderr
    assert len(_Inbox.received) == 2
    assert "this is a test" in _Inbox.received[0]


@pytest.mark.parametrize(
    ("urls", "words"),
    [("", "set KNOWNGOOD_ALERT_URLS"), ("json://127.0.0.1:1/", "did not take the alert")],
)
def test_a_channel_that_reaches_nobody_is_a_failure(
    urls: str, words: str, idle: Stack, tmp_path: Path
) -> None:
    done = kg(idle, "alert-test", ALERT_URLS=urls)
    assert done.returncode == 1
    assert words in done.stdout
