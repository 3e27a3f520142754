import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.cli.terminal import COMMAND, piped
from tests.stack import DIALECTS

pytestmark = pytest.mark.slow


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not so within the deadline"
        time.sleep(0.05)


def homes() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("knowngood-demo-*")}


@pytest.mark.parametrize("api", DIALECTS)
def test_the_demonstration_keeps_its_promise_and_leaves_nothing(tmp_path: Path, api: str) -> None:
    before = homes()
    # Whatever the environment says of a real org must not matter.
    strange = {"KNOWNGOOD_GENESYS_REGION": "eu_central_1", "KNOWNGOOD_DRY_RUN": "true"}
    (tmp_path / ".env").write_text("KNOWNGOOD_COOLDOWN=-1\n")
    done = piped("demo", "--api", api, env={**os.environ, **strange}, cwd=tmp_path, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    assert ("operation" in done.stdout) is (api == "platform")
    told = done.stdout
    for line in ("snapshot taken", "breach (1 in a row)", "breach (2 in a row)", "ended: restored"):
        assert line in told
    assert re.search(r"Flower shows every task: http://127\.0\.0\.1:\d+", told)
    assert "(300 s unless set otherwise)" in told
    rates = re.search(r"with an error: ([\d.]+)% of \d+ before, ([\d.]+)% .* ([\d.]+)% of", told)
    assert rates is not None
    good, bad, healed = (float(rate) for rate in rates.groups())
    assert good < 5 < bad
    assert healed < 5
    assert re.search(r"second breach to restored service: [\d.]+ m?s", told)
    assert homes() == before


def test_kept_it_goes_on_until_it_is_ended_and_then_leaves_nothing(tmp_path: Path) -> None:
    before = homes()
    demo = subprocess.Popen(
        [COMMAND, "demo", "--keep"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert demo.stdout is not None
    lines = iter(demo.stdout.readline, "")
    home = next(line for line in lines if line.startswith("look around: cd ")).split()[3]
    runs = piped("runs", env=os.environ, cwd=Path(home))
    assert "rolled_back" in runs.stdout
    children = psutil.Process(demo.pid).children(recursive=True)
    assert len(children) >= 5
    demo.terminate()
    assert demo.wait(40) == 0
    until(lambda: not [child for child in children if child.is_running()])
    assert homes() == before


def test_a_process_that_cannot_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    # A module of that name in the way stops the simulator as a broken installation would.
    (tmp_path / "uvicorn.py").write_text("raise SystemExit('no uvicorn today')")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = piped("demo", env=env, cwd=tmp_path, timeout=60)
    assert done.returncode == 1
    assert "no uvicorn today" in done.stderr
    assert "knowngood: simulator ended at once with exit code 1; see" in done.stderr
    assert "Traceback" not in done.stderr
