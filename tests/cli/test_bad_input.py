"""Bad input: one line that names what is wrong and what would be right, and nothing enqueued."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest
import redis

from tests.cli.terminal import piped
from tests.conftest import make_flow
from tests.stack import Stack
from workers.queues import NAMES

pytestmark = pytest.mark.slow

NOBODY = "redis://127.0.0.1:1/0"


class Bad(NamedTuple):
    """A command line, settings that differ from the good ones, the exit code and its words."""

    arguments: list[str]
    code: int
    words: list[str]
    settings: Mapping[str, str] = MappingProxyType({})


BAD = {
    "unknown flow": Bad(
        ["rollback", "0000-no-such-flow", "--reason", "r"], 2, ["0000-no-such-flow", "no such flow"]
    ),
    "unknown flow, snapshot": Bad(["snapshot", "0000-no-such-flow"], 2, ["no such flow"]),
    "unknown flow, watch": Bad(["watch", "0000-no-such-flow"], 2, ["no such flow"]),
    "unknown flow, versions": Bad(["versions", "0000-no-such-flow"], 2, ["no such flow"]),
    "malformed id": Bad(
        ["rollback", "../../etc", "--reason", "r"], 2, ["'../../etc'", "flow's id"]
    ),
    "malformed id, versions": Bad(["versions", "a b"], 2, ["'a b'", "flow's id"]),
    "malformed id, snapshots": Bad(["snapshots", "a/b"], 2, ["'a/b'", "flow's id"]),
    "unknown version": Bad(
        ["rollback", "FLOW", "--reason", "r", "--to", "99.0"],
        2,
        ["--to='99.0'", "no such version", "2.0, 1.0"],
    ),
    "unknown version, watch": Bad(
        ["watch", "FLOW", "--version", "99.0"], 2, ["--version='99.0'", "no such version"]
    ),
    "malformed version": Bad(
        ["rollback", "FLOW", "--reason", "r", "--to", "1/2"], 2, ["'1/2'", "version's id"]
    ),
    "negative bake time": Bad(
        ["watch", "FLOW", "--bake-time", "-5"], 2, ["bake_time=-5", "greater than or equal to 0.1"]
    ),
    "negative interval": Bad(
        ["watch", "FLOW", "--interval", "-1"], 2, ["interval=-1", "greater than or equal to 0.1"]
    ),
    "no duration": Bad(["watch", "FLOW", "--interval", "soon"], 2, ["--interval", "valid number"]),
    "negative time-out": Bad(
        ["rollback", "FLOW", "--reason", "r", "--wait", "--timeout", "-1"],
        2,
        ["--timeout=-1", "greater than 0"],
    ),
    "time-out without wait": Bad(
        ["rollback", "FLOW", "--reason", "r", "--timeout", "5"], 2, ["--timeout", "--wait"]
    ),
    "no reason": Bad(["rollback", "FLOW"], 2, ["--reason", "--help"]),
    "an empty reason": Bad(["rollback", "FLOW", "--reason", ""], 2, ["reason", "at least 1"]),
    "unknown option": Bad(["rollback", "FLOW", "--force"], 2, ["--force"]),
    "unknown command": Bad(["rolback", "FLOW"], 2, ["'rolback'", "did you mean rollback?"]),
    "no such endpoint": Bad(
        ["snapshot", "FLOW", "--depends-on", "crm"], 2, ["'crm'", "https://crm.example/health"]
    ),
    "a password in a URL": Bad(
        ["snapshot", "FLOW", "--depends-on", "https://me:hunter2@crm.example"], 2, ["password"]
    ),
    "routing that is no JSON": Bad(
        ["snapshot", "FLOW", "--routing", "/dev/null"], 2, ["--routing", "JSON object"]
    ),
    "routing that is not there": Bad(
        ["snapshot", "FLOW", "--routing", "gone.json"], 2, ["gone.json", "No such file"]
    ),
    "missing client id": Bad(
        ["rollback", "FLOW", "--reason", "r"],
        2,
        ["KNOWNGOOD_GENESYS_CLIENT_ID", "give the OAuth client's id"],
        {"GENESYS_CLIENT_ID": ""},
    ),
    "missing secret": Bad(
        ["snapshot", "FLOW"],
        2,
        ["KNOWNGOOD_GENESYS_CLIENT_SECRET", "give the OAuth client's secret"],
        {"GENESYS_CLIENT_SECRET": ""},
    ),
    "wrong secret": Bad(
        ["rollback", "FLOW", "--reason", "r"],
        1,
        ["KNOWNGOOD_GENESYS_CLIENT_SECRET", "refused"],
        {"GENESYS_CLIENT_SECRET": "hunter2"},
    ),
    "wrong region": Bad(
        ["rollback", "FLOW", "--reason", "r"],
        2,
        ["KNOWNGOOD_GENESYS_REGION='mars'", "eu_west_1 (mypurecloud.ie)"],
        {"GENESYS_REGION": "mars", "GENESYS_BASE_URL": ""},
    ),
    "no region": Bad(
        ["rollback", "FLOW", "--reason", "r"],
        2,
        ["KNOWNGOOD_GENESYS_REGION", "us_east_1"],
        {"GENESYS_BASE_URL": ""},
    ),
    "a negative setting": Bad(
        ["runs"],
        2,
        ["KNOWNGOOD_LOCK_RETRY_DELAY='-1'", "greater than or equal to 0"],
        {"LOCK_RETRY_DELAY": "-1"},
    ),
    "broker down": Bad(
        ["rollback", "FLOW", "--reason", "r"],
        1,
        ["broker does not answer", "KNOWNGOOD_BROKER_URL"],
        {"BROKER_URL": NOBODY},
    ),
    "journal down": Bad(
        ["runs"], 1, ["journal does not answer", "KNOWNGOOD_REDIS_URL"], {"REDIS_URL": NOBODY}
    ),
    "unwritable store": Bad(
        ["snapshot", "FLOW"],
        1,
        ["KNOWNGOOD_ARTIFACTS_URL=file:///proc/knowngood"],
        {"ARTIFACTS_URL": "file:///proc/knowngood"},
    ),
    "a store that is none": Bad(
        ["rollback", "FLOW", "--reason", "r"],
        2,
        ["KNOWNGOOD_ARTIFACTS_URL", "s3://bucket"],
        {"ARTIFACTS_URL": "ftp://somewhere"},
    ),
    "unknown run": Bad(["status", "nosuch"], 2, ["'nosuch'", "knowngood runs"]),
    "unknown run, cancel": Bad(["cancel", "nosuch"], 2, ["'nosuch'", "knowngood runs"]),
}


@pytest.fixture(scope="module")
def quiet() -> Iterator[Stack]:
    """An installation without workers: whatever is enqueued stays in its queue."""
    with Stack() as stack:
        yield stack


@pytest.fixture(scope="module")
def flow_id(quiet: Stack) -> str:
    return make_flow(quiet)


def _enqueued(stack: Stack) -> int:
    client = redis.Redis.from_url(stack.broker.url)
    waiting = sum(int(client.llen(name)) for name in NAMES)
    return waiting + len(stack.client.store.recent())


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line_and_enqueues_nothing(
    name: str, quiet: Stack, flow_id: str, tmp_path: Path
) -> None:
    bad = BAD[name]
    arguments = [flow_id if each == "FLOW" else each for each in bad.arguments]
    env = quiet.environment(**bad.settings)
    env = {key: value for key, value in env.items() if value or not key.startswith("KNOWNGOOD")}
    done = piped(*arguments, env=env, cwd=tmp_path)
    assert done.returncode == bad.code, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("knowngood: ")
    for word in bad.words:
        assert word in done.stderr
    assert "hunter2" not in done.stderr
    assert _enqueued(quiet) == 0
    assert quiet.writes(flow_id) == []


def test_a_flow_that_cannot_be_looked_up_now_is_enqueued_all_the_same(
    quiet: Stack, flow_id: str, tmp_path: Path
) -> None:
    quiet.sim.fault({"status": 503}, match={"flow": flow_id}, times=5)
    done = piped("rollback", flow_id, "--reason", "r", env=quiet.environment(), cwd=tmp_path)
    quiet.sim.clear_faults()
    assert done.returncode == 0
    assert "could not look the flow up first" in done.stderr
    assert _enqueued(quiet) == 2
    quiet.client.cancel(done.stdout.split()[-1])
    redis.Redis.from_url(quiet.broker.url).flushdb()
