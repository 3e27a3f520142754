"""Secrets come from files where an operator keeps them in files."""

import json
import os
import subprocess
import sys
from pathlib import Path

SAY = """
import json
from knowngood import settings
found = settings.load()
print(json.dumps([found.redis_url.get_secret_value(), found.genesys_client_id]))
"""


def loaded(cwd: Path, **env: str) -> list[str | None]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("KNOWNGOOD_")}
    done = subprocess.run(
        [sys.executable, "-c", SAY],
        cwd=cwd,
        env={**kept, **env},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    found: list[str | None] = json.loads(done.stdout)
    return found


def test_a_secret_is_read_from_its_file_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "knowngood_redis_url").write_text("redis://:fromfile@h:1/0\n")
    where = {"CREDENTIALS_DIRECTORY": str(tmp_path / "secrets")}
    assert loaded(tmp_path, **where) == ["redis://:fromfile@h:1/0", None]
    given = {**where, "KNOWNGOOD_REDIS_URL": "redis://:given@h:1/0"}
    assert loaded(tmp_path, **given) == ["redis://:given@h:1/0", None]


def test_a_directory_of_secrets_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    found = loaded(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path / "none"))
    assert found == ["redis://127.0.0.1:6379/0", None]
