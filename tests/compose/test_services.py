"""compose.yaml's services as processes: each command and health check as it stands in the file."""

import json
import signal
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.compose.engine import USER, Engine, redacted
from tests.compose.test_files import SERVICES, prepared
from tests.namespaces import NAMESPACES
from tests.stack import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not NAMESPACES, reason="this machine gives a test no namespaces"),
]
FLOW = "eb6b8090-008d-597b-a31e-8a4bcc024011"
"""The simulator's first flow, as the quick start names it."""
OBSERVER = "user observer on >observer ~* &* +@all\n"
"""Somebody who may read Redis' log of refusals; no installation has such a user."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    project = prepared(tmp_path_factory.mktemp("project"), "--simulator")
    with (project / "secrets" / "redis_users").open("a") as users:
        users.write(OBSERVER)
    with closing(Engine(project, ["simulator"])) as running:
        running.up()
        yield running


def knowngood(engine: Engine, *words: str) -> str:
    done = engine.exec("worker-rest", "knowngood", *words)
    assert done.returncode == 0, redacted(done.stdout + done.stderr)
    return done.stdout


def redis(engine: Engine, user: str, *words: str) -> str:
    """Ask Redis as a user whose password stands in the secrets, or as the observer."""
    password = "observer"
    for line in (engine.project / "secrets" / "redis_users").read_text().splitlines():
        if line.startswith(f"user {user} "):
            password = next((word[1:] for word in line.split() if word[0] == ">"), "none")
    return engine.exec(
        "redis", "redis-cli", "--no-auth-warning", "--user", user, "--pass", password, *words
    ).stdout.strip()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_without_rights_on_a_system_that_it_cannot_write(
    engine: Engine, name: str
) -> None:
    engine.await_health(name, 60)
    facts = engine.facts(name)
    assert int(facts["CapEff"], 16) == 0
    assert facts["NoNewPrivs"] == "1"
    assert engine.exec(name, "id", "-u").stdout.strip() == str(USER)
    for place in ("/", "/usr", "/etc"):
        assert "Read-only" in engine.exec(name, "touch", f"{place}/x").stderr


def test_a_flow_is_rolled_back_through_the_services(engine: Engine) -> None:
    knowngood(engine, "snapshot", FLOW, "--wait")
    good = live_version(engine)
    deploy = (
        "import urllib.request as u; u.urlopen(u.Request("
        f"'http://simulator:8089/control/flows/{FLOW}/deploy', "
        'b\'{"quality": {"error_rate": 0.4}}\'))'
    )
    assert engine.exec("worker-rest", "python", "-c", deploy).returncode == 0
    assert live_version(engine) != good
    knowngood(engine, "rollback", FLOW, "--reason", "a test", "--wait")
    assert live_version(engine) == good


def live_version(engine: Engine) -> str:
    versions = json.loads(knowngood(engine, "versions", FLOW, "--json"))
    return str(next(each["version_id"] for each in versions["versions"] if "live" in each["notes"]))


def test_doctor_finds_no_failure(engine: Engine) -> None:
    told = knowngood(engine, "doctor")
    assert "Redis persists: AOF" in told
    assert "eviction" not in told


@pytest.mark.parametrize(
    "words",
    [
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("CONFIG", "SET", "appendonly", "no"),
        ("SHUTDOWN",),
        ("ACL", "LIST"),
        ("GET", "of-somebody-else"),
        ("PUBLISH", "of-somebody-else", "x"),
    ],
    ids=" ".join,
)
def test_redis_refuses_what_no_process_of_ours_does(engine: Engine, words: tuple[str, ...]) -> None:
    assert "NOPERM" in redis(engine, "knowngood", *words)


def test_flower_s_user_may_neither_start_a_task_nor_read_the_journal(engine: Engine) -> None:
    assert "NOPERM" in redis(engine, "flower", "LPUSH", "rollback", "x")
    assert "NOPERM" in redis(engine, "flower", "ZRANGE", "kg:runs", "0", "-1")
    assert "NOAUTH" in engine.exec("redis", "redis-cli", "LLEN", "rollback").stdout
    assert "NOPERM" in redis(engine, "health", "LLEN", "rollback")


def test_no_process_of_ours_was_ever_refused_by_redis(engine: Engine) -> None:
    redis(engine, "observer", "ACL", "LOG", "RESET")
    knowngood(engine, "runs")
    knowngood(engine, "watch", FLOW, "--interval", "5", "--bake-time", "15", "--wait")
    for name in ("worker-rest", "flower"):
        engine.kill(name)
        engine.start(name)
        engine.await_health(name, 120)
    assert redis(engine, "observer", "ACL", "LOG") == ""


def test_what_redis_confirmed_outlives_a_kill_of_it(engine: Engine) -> None:
    before = json.loads(knowngood(engine, "runs", "--json"))
    assert before
    engine.kill("redis")
    assert not engine.healthy("redis")
    engine.start("redis")
    engine.await_health("redis", 30)
    assert json.loads(knowngood(engine, "runs", "--json")) == before
    for name in ("worker-rollback", "worker-rest", "beat"):
        # The engine's restart policy does this: a worker whose broker dies may end.
        if engine.processes[name].child.poll() is not None:
            engine.start(name)
        engine.await_health(name, 120)


@pytest.mark.parametrize("name", SERVICES)
def test_the_health_check_tells_of_a_service_that_answers_no_more(
    engine: Engine, name: str
) -> None:
    frozen = engine.processes[name]
    frozen.signal(signal.SIGSTOP)
    try:
        wait_for(lambda: not engine.healthy(name), timeout=30, what="a failing health check")
    finally:
        frozen.signal(signal.SIGCONT)
    engine.await_health(name, 120)
