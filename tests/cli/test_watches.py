import json
import re
from collections.abc import Iterator

import pytest

from knowngood.health.watches import WatchStore
from tests.cli.terminal import Done, Terminal, piped
from tests.conftest import make_flow
from tests.stack import Stack

pytestmark = pytest.mark.slow

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")


@pytest.fixture(scope="module")
def health() -> Iterator[Stack]:
    """An installation that polls each second, for a clock of five minutes would outlast us."""
    with Stack(HEALTH_INTERVAL="1", HEALTH_BAKE_TIME="5", HEALTH_MIN_CALLS="5") as stack:
        yield stack.running()


def kg(stack: Stack, *arguments: str) -> Done:
    return piped(*arguments, env=stack.environment(), cwd=stack.directory)


def busy(stack: Stack, **quality: float) -> str:
    return make_flow(
        stack,
        calls_per_minute=12_000,
        versions=[{"age_seconds": 7_200}, {"age_seconds": 60, "quality": quality}],
    )


def test_a_watch_of_a_broken_version_ends_1_and_its_polls_are_explained(health: Stack) -> None:
    flow = busy(health, error_rate=0.5)
    done = kg(health, "watch", flow, "--wait")
    assert done.returncode == 1, done.stderr
    assert "poll 2: breach: error_rate" in done.stdout or "poll 3: breach" in done.stdout
    assert "the rollback begins: run" in done.stdout
    assert "state     succeeded (rolled_back)" in done.stdout
    assert health.sim.live(flow) == "1.0"
    run_id = done.stdout.split()[1]

    explained = kg(health, "explain", run_id).stdout
    assert "ERROR RATE (at most 5.0 %)" in explained
    assert re.search(r"\d\d\.\d % !  .* breach .* trip", explained)
    assert re.search(r"error rate: breach: .* is above 5\.0 %", explained)
    assert "trips after  2 breaches in a row" in explained
    document = json.loads(kg(health, "explain", run_id, "--json").stdout)
    verdicts = [poll["judgement"]["verdict"] for poll in document["watch"]["polls"]]
    assert verdicts[-2:] == ["breach", "breach"]
    assert document["outcome"] == "rolled_back"
    assert kg(health, "status", run_id).returncode == 1

    rollback = document["watch"]["rollback_id"]
    refused = kg(health, "explain", rollback)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert f"knowngood status {rollback}" in refused.stderr


def test_a_watch_of_a_good_version_ends_0_and_makes_it_known_good(health: Stack) -> None:
    flow = busy(health, error_rate=0.0)
    done = kg(health, "watch", flow, "--wait")
    assert done.returncode == 0, done.stdout
    assert "succeeded (passed)" in done.stdout
    versions = kg(health, "versions", flow).stdout
    assert re.search(r"^2\.0 .* live, known-good$", versions, re.MULTILINE)


def test_a_dry_run_says_1_and_touches_nothing(health: Stack) -> None:
    flow = busy(health, error_rate=0.5)
    done = kg(health, "watch", flow, "--dry-run", "--wait")
    assert done.returncode == 1
    assert "would_roll_back" in done.stdout
    assert health.writes(flow) == []


def test_watches_that_are_on_are_listed_until_they_are_cancelled(health: Stack) -> None:
    flow = busy(health, error_rate=0.0)
    run_id = json.loads(kg(health, "watch", flow, "--bake-time", "600", "--json").stdout)["run_id"]
    health.sim.wait_until(lambda: run_id in kg(health, "watches").stdout, timeout=15, interval=0.2)
    listed = json.loads(kg(health, "watches", "--json").stdout)
    assert (run_id, flow) in [(watch["watch_id"], watch["flow_id"]) for watch in listed]
    assert kg(health, "status", run_id).returncode == 4
    assert kg(health, "cancel", run_id).returncode == 0
    health.sim.wait_until(
        lambda: run_id not in kg(health, "watches").stdout, timeout=15, interval=0.2
    )


def test_a_terminal_shows_each_polls_kpis_against_their_limits(health: Stack) -> None:
    flow = busy(health, error_rate=0.5)
    terminal = Terminal(
        "watch", flow, "--wait", env=health.environment(), cwd=health.directory, columns=140
    )
    assert terminal.ended() == 1
    text = ESCAPE.sub("", terminal.text)
    assert "ERROR RATE (at most 5.0 %)" in text
    assert re.search(r"\d\d\.\d % !", text)
    assert "\x1b[31m" in terminal.text


def test_a_narrow_terminal_breaks_no_word_and_leaves_out_what_can_be_missed(
    health: Stack,
) -> None:
    flow = busy(health, error_rate=0.5)
    terminal = Terminal(
        "watch", flow, "--wait", env=health.environment(), cwd=health.directory, columns=72
    )
    assert terminal.ended() == 1
    last = ESCAPE.sub("", terminal.text).rpartition("watch of ")[2]
    lines = [line.rstrip() for line in last.split("\n")]
    assert max(map(len, lines)) <= 72
    (headers,) = [line for line in lines if line.startswith("POLL ")]
    assert headers.split()[-2:] == ["VERDICT", "DECISION"]
    assert any(re.fullmatch(r"\d .* breach 2 +(trip|continue)", line) for line in lines)


def test_a_watch_is_explained_when_redis_has_forgotten_it(health: Stack) -> None:
    flow = busy(health, error_rate=0.5)
    run_id = health.client.watch(flow, dry_run=True).run_id
    health.ended(run_id)
    redis = health.client.store.redis
    health.sim.wait_until(lambda: not redis.sismember("kg:runs:unarchived", run_id))
    before = kg(health, "explain", run_id).stdout
    document = json.loads(kg(health, "explain", run_id, "--json").stdout)
    redis.delete(f"kg:run:{run_id}", f"kg:watch:{run_id}", f"kg:journal:{run_id}")

    assert kg(health, "explain", run_id).stdout == before
    assert json.loads(kg(health, "explain", run_id, "--json").stdout) == document
    assert "would have been rolled back to 1.0" in before
    assert document["results"]["watch"]["outcome"] == "would_roll_back"
    status = kg(health, "status", run_id)
    assert (status.returncode, "would_roll_back" in status.stdout) == (1, True)
    unknown = kg(health, "explain", "no-such-run")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)


def test_polls_that_a_watch_keeps_no_longer_are_told_from_its_journal(health: Stack) -> None:
    flow = busy(health, error_rate=0.0)
    run_id = health.client.watch(flow, bake_time=600).run_id
    watches = WatchStore(health.client.store.redis)
    health.sim.wait_until(lambda: (on := watches.find(run_id)) and on.number >= 4, timeout=20)
    health.client.cancel(run_id)
    health.sim.wait_until(lambda: run_id not in {on.watch_id for on in watches.on()})
    kept = watches.find(run_id)
    assert kept is not None
    watches.save(kept.number, kept.model_copy(update={"polls": kept.polls[2:]}), 0)
    shown = kg(health, "explain", run_id).stdout
    assert shown.index("poll 1: ") < shown.index("poll 2: ") < shown.index("POLL ")
    document = json.loads(kg(health, "explain", run_id, "--json").stdout)
    assert [poll["number"] for poll in document["earlier"]] == [1, 2]
