"""Starting and stopping the simulator, and its seeds."""

import signal
import subprocess
import sys

from simulator.client import SimulatorControl


def test_the_command_says_where_it_listens_and_stops_on_interrupt() -> None:
    command = [sys.executable, "-m", "simulator", "--port", "0", "--flows", "3", "--seed", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("simulator listening on http://127.0.0.1:")
        with SimulatorControl(line.split()[-1]) as control:
            flows = [each["id"] for each in control.flows()]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert len(set(flows)) == 3


def test_a_port_that_is_taken_and_a_negative_number_are_named_in_one_line(url: str) -> None:
    port = url.rpartition(":")[2]
    command = [sys.executable, "-m", "simulator"]
    taken = subprocess.run([*command, "--port", port], capture_output=True, text=True, check=False)
    assert (taken.returncode, taken.stderr.count("\n")) == (1, 1)
    assert f"127.0.0.1:{port}" in taken.stderr
    wrong = subprocess.run(
        [*command, "--latency", "-1"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert "--latency must not be negative" in wrong.stderr


def test_flow_ids_follow_from_the_seed(control: SimulatorControl) -> None:
    first = control.demo_flow()
    control.reset(seed=2, flows=2)
    other = [each["id"] for each in control.flows()]
    control.reset()
    assert control.demo_flow() == first
    assert first not in other


def test_a_flow_is_created_as_described(control: SimulatorControl) -> None:
    made = control.create_flow(
        id="f-1",
        name="Sales",
        live="2.0",
        versions=[
            {"age_seconds": 7200, "tags": ["v_stable"]},
            {"age_seconds": 3600},
            {"age_seconds": 1800, "status": "DRAFT"},
            {"age_seconds": 600},
        ],
    )
    assert (made["id"], made["live"]) == ("f-1", "2.0")
    assert [each["version"] for each in made["history"]] == ["1.0", "2.0", "4.0", "2.0"]
    assert [v["status"] for v in made["versions"]] == [
        "PUBLISHED",
        "PUBLISHED",
        "DRAFT",
        "PUBLISHED",
    ]


def test_a_deployment_is_live_at_once_and_signed(control: SimulatorControl, flow: str) -> None:
    version = control.deploy(flow, by="release-7", tags=["v_hotfix"])
    state = control.flow(flow)
    assert (state["live"], version) == ("3.0", "3.0")
    assert state["versions"][-1]["created_by"] == "release-7"
