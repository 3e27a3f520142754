import statistics
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import pytest

from knowngood.cli import main
from knowngood.cli.application import COMMANDS, run

COMMAND = Path(sys.executable).with_name("knowngood")


def test_the_packaged_help_is_what_typer_renders(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["--help"]) == 0
    packaged = files("knowngood.cli").joinpath("help.txt").read_text()
    assert capsys.readouterr().out == packaged, (
        "write it anew: COLUMNS=80 python -c 'from knowngood.cli.application import run; "
        'run(["--help"])\' > knowngood/cli/help.txt'
    )


def test_without_a_command_the_help_is_shown_and_the_usage_is_wrong() -> None:
    bare = subprocess.run([COMMAND], capture_output=True, text=True, check=False)
    asked = subprocess.run([COMMAND, "--help"], capture_output=True, text=True, check=False)
    assert (bare.returncode, asked.returncode) == (2, 0)
    assert bare.stdout == asked.stdout
    assert bare.stderr == asked.stderr == ""


def test_a_narrow_terminal_gets_a_help_that_fits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys, "argv", ["knowngood", "--help"])
    assert main() == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    shown = capsys.readouterr()
    assert f"Usage: knowngood {command}" in shown.out
    assert shown.err == ""


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("knowngood 0.")


def test_the_bare_help_imports_no_library() -> None:
    code = (
        "import sys\nfrom knowngood.cli import main\nsys.argv = ['knowngood', '--help']\nmain()\n"
        "print({'typer', 'pydantic', 'celery', 'redis', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


def test_the_help_comes_in_less_than_three_times_pythons_own_start() -> None:
    def seconds(command: list[str | Path]) -> float:
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - began

    # Taken in turns, so that a busy machine slows both alike.
    pairs = [
        (seconds([sys.executable, "-c", "pass"]), seconds([COMMAND, "--help"])) for _ in range(15)
    ]
    bare, shown = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert shown < 3 * bare, f"{shown * 1000:.1f} ms against {bare * 1000:.1f} ms"
