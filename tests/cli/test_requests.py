import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from knowngood.runs.model import RunState
from tests.cli.terminal import Done, Terminal, piped
from tests.conftest import make_flow
from tests.stack import Stack

pytestmark = pytest.mark.slow

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]m")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")
TIME = re.compile(r"\d\d:\d\d:\d\dZ ")


@pytest.fixture
def held(stack: Stack, flow: str) -> Iterator[str]:
    """A flow whose rollback stops before its activation until the fault is released."""
    fault = stack.sim.fault({"pause": "before"}, match={"flow": flow, "job": "activate"}, times=99)
    yield fault
    stack.sim.remove_fault(fault)


def kg(stack: Stack, *arguments: str, **more: str) -> Done:
    return piped(*arguments, env=stack.environment(**more), cwd=stack.directory)


def test_a_rollback_that_is_waited_for_tells_each_step_on_a_line_and_ends_0(
    stack: Stack, flow: str
) -> None:
    done = kg(stack, "rollback", flow, "--reason", "errors after 41", "--wait")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("run ")
    assert all(TIME.match(line) for line in lines[1:-4])
    for step in ("acquire_lock", "select_target", "activate", "publish", "poll", "verify"):
        assert any(f"{step} done" in line for line in lines)
    assert "to           version 1.0" in done.stdout
    assert "restored in" in done.stdout
    assert "\x1b" not in done.stdout
    assert stack.sim.live(flow) == "1.0"


def test_json_is_one_document_and_nothing_else(stack: Stack, flow: str) -> None:
    done = kg(stack, "rollback", flow, "--reason", "r", "--wait", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (document["state"], document["outcome"]) == ("succeeded", "restored")
    assert document["request"]["reason"] == "r"
    assert document["restore_seconds"] > 0
    asked = json.loads(kg(stack, "status", document["run_id"], "--json").stdout)
    assert asked["run_id"] == document["run_id"]
    assert asked["journal"][0]["event"] == "accepted"
    listed = json.loads(kg(stack, "runs", "--json").stdout)
    assert document["run_id"] in [run["run_id"] for run in listed]


def test_without_wait_the_run_is_named_and_the_command_returns(stack: Stack, flow: str) -> None:
    done = kg(stack, "snapshot", flow, "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["answer"]) == (0, "created")
    assert stack.ended(answer["run_id"]).state is RunState.SUCCEEDED


def test_a_snapshot_records_what_it_is_told(stack: Stack, flow: str, tmp_path: Path) -> None:
    routing = tmp_path / "routing.json"
    routing.write_text('{"dnis": ["+4930123"]}')
    options = ["--description", "before 42", "--depends-on", "https://crm.example/health"]
    options += ["--queue", "q-1", "--routing", str(routing), "--requested-by", "ci/42", "--wait"]
    done = kg(stack, "snapshot", flow, *options)
    assert done.returncode == 0, done.stderr
    assert "baseline  version 2.0" in done.stdout
    (record,) = json.loads(kg(stack, "snapshots", flow, "--json").stdout)
    assert record["routing"] == {"dnis": ["+4930123"]}
    needs = {(each["kind"], each["target"]) for each in record["dependencies"]}
    assert {("endpoint", "https://crm.example/health"), ("queue", "q-1")} <= needs
    assert (record["description"], record["requested_by"]) == ("before 42", "ci/42")
    assert "before 42" in kg(stack, "snapshots", flow).stdout


def test_a_lock_that_stays_needs_a_person_and_says_who_must_do_what(
    stack: Stack, flow: str
) -> None:
    stack.sim.lock(flow, by="Ann")
    done = kg(stack, "rollback", flow, "--reason", "r", "--wait")
    assert done.returncode == 3
    assert "acquire_lock waits 0.30 s for the flow's lock: the flow is locked by" in done.stdout
    assert "Ann" in done.stdout
    assert "to do" in done.stdout
    run_id = done.stdout.split()[1]
    status = kg(stack, "status", run_id)
    assert status.returncode == 3
    assert re.search(r"acquire_lock +stopped +3 ", status.stdout)
    assert "ask user Ann to save and close it" in status.stdout


def test_a_wait_that_ends_first_says_that_the_run_goes_on(
    stack: Stack, flow: str, held: str
) -> None:
    # The activation is held until this test lets it go: only the wait's end can end the command.
    done = kg(stack, "rollback", flow, "--reason", "r", "--wait", "--timeout", "1")
    assert done.returncode == 4
    run_id = done.stdout.split()[1]
    assert done.stderr.count("\n") == 1
    assert f"knowngood status {run_id} --wait" in done.stderr
    assert kg(stack, "status", run_id).returncode == 4
    again = kg(stack, "rollback", flow, "--reason", "me too")
    assert f"joined run {run_id}" in again.stdout
    late = kg(stack, "cancel", run_id)
    assert (late.returncode, late.stderr.count("\n")) == (2, 1)
    assert "activate is changing the flow" in late.stderr
    stack.sim.remove_fault(held)
    waited = kg(stack, "status", run_id, "--wait")
    assert waited.returncode == 0
    assert "succeeded (restored)" in waited.stdout


def test_a_run_that_has_changed_nothing_yet_can_be_cancelled(stack: Stack, flow: str) -> None:
    fault = stack.sim.fault({"pause": "before"}, match={"flow": flow, "job": "read_lock"}, times=99)
    run_id = json.loads(kg(stack, "rollback", flow, "--reason", "r", "--json").stdout)["run_id"]
    stack.sim.wait_holding(fault)
    cancelled = kg(stack, "cancel", run_id)
    assert (cancelled.stdout, cancelled.stderr) == (f"run {run_id} is cancelled\n", "")
    stack.sim.remove_fault(fault)
    status = kg(stack, "status", run_id)
    assert status.returncode == 1
    assert "cancelled by" in status.stdout
    assert stack.writes(flow) == []


def test_the_same_key_starts_one_run(stack: Stack, flow: str) -> None:
    asked = ["snapshot", flow, "--idempotency-key", f"deploy-{flow[:8]}", "--json"]
    first, second = (json.loads(kg(stack, *asked).stdout) for _ in range(2))
    assert first["run_id"] == second["run_id"]
    assert (first["answer"], second["answer"]) == ("created", "repeated")


def test_versions_tell_the_live_the_bad_and_the_baseline(stack: Stack) -> None:
    flow = make_flow(stack)
    kg(stack, "snapshot", flow, "--wait")
    kg(stack, "rollback", flow, "--to", "1.0", "--reason", "r", "--wait")
    shown = kg(stack, "versions", flow).stdout
    notes = {line.split()[0]: line for line in shown.splitlines() if re.match(r"\d", line)}
    assert notes["1.0"].endswith("live")
    assert notes["2.0"].endswith("known-bad, baseline")
    assert notes["3.0"].endswith("snapshot")
    document = json.loads(kg(stack, "versions", flow, "--json").stdout)
    assert [line["version_id"] for line in document["versions"]] == ["3.0", "2.0", "1.0"]


def test_ctrl_c_while_waiting_says_that_the_run_goes_on(stack: Stack, flow: str, held: str) -> None:
    terminal = Terminal(
        "rollback", flow, "--reason", "r", "--wait", env=stack.environment(), cwd=stack.directory
    )
    stack.sim.wait_holding(held)
    terminal.read_until("activate")
    terminal.press_ctrl_c()
    assert terminal.ended() == 130
    text = ESCAPE.sub("", terminal.text)
    assert "knowngood: the run goes on; see it with: knowngood status" in text
    assert "Traceback" not in text
    stack.sim.remove_fault(held)
    run_id = re.findall(r"knowngood status (\S+)", text)[0]
    assert stack.ended(run_id).outcome == "restored"


def test_a_terminal_shows_a_live_table_in_colour(stack: Stack, flow: str) -> None:
    terminal = Terminal(
        "rollback", flow, "--reason", "r", "--wait", env=stack.environment(), cwd=stack.directory
    )
    assert terminal.ended() == 0
    assert COLOUR.search(terminal.text)
    assert "STEP" in terminal.text
    assert "restored in" in terminal.text


def test_no_color_and_a_narrow_terminal_are_respected(stack: Stack, flow: str) -> None:
    env = {**stack.environment(), "NO_COLOR": "1"}
    arguments = ["rollback", flow, "--reason", "r", "--wait"]
    terminal = Terminal(*arguments, env=env, cwd=stack.directory, columns=60)
    assert terminal.ended() == 0
    assert not COLOUR.search(terminal.text)
    table = terminal.text[terminal.text.index("STEP") : terminal.text.index("state ")]
    assert max(len(ESCAPE.sub("", line)) for line in table.split("\n")) <= 60
