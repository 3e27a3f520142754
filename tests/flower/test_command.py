"""Flower is closed unless somebody opens it."""

import os
import subprocess
import sys
from typing import Any

import pytest
from pydantic_settings import SettingsConfigDict

from knowngood.errors import Refused
from knowngood.settings import Settings
from tests.stack import ROOT
from workers.flower import flower_command


class NoDotEnv(Settings):
    model_config = SettingsConfigDict(env_prefix="KNOWNGOOD_", env_file=None, frozen=True)


@pytest.fixture(autouse=True)
def no_flower_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FLOWER_")]:
        monkeypatch.delenv(name)


def settings(**values: Any) -> Settings:
    return NoDotEnv(**values)


def test_it_listens_on_this_machine_asks_for_a_password_and_only_shows() -> None:
    launch = flower_command(settings(flower_basic_auth="ops:opensesame"))
    assert launch.env["FLOWER_ADDRESS"] == "127.0.0.1"
    assert launch.env["FLOWER_BASIC_AUTH"] == "ops:opensesame"
    assert launch.env["FLOWER_UNAUTHENTICATED_API"] == "false"
    assert launch.env["FLOWER_READ_ONLY"] == "true"
    assert (launch.generated, launch.login) == (None, "")
    assert "opensesame" not in " ".join(launch.argv)


def test_its_api_is_left_out_unless_it_was_asked_for() -> None:
    assert flower_command(settings()).argv[-1] == "workers.flower_closed"
    assert flower_command(settings(flower_api=True)).argv[-1] == "flower"


def test_without_a_password_one_is_made_up_anew_at_each_start() -> None:
    first, second = flower_command(settings()), flower_command(settings())
    assert first.generated == first.env["FLOWER_BASIC_AUTH"]
    assert first.generated != second.generated
    user, _, password = str(first.generated).partition(":")
    assert first.login == f"user {user}, password {password}"
    assert len(password) >= 24
    assert password not in " ".join(first.argv)


def test_flowers_own_variables_win_but_for_the_port_that_was_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLOWER_ADDRESS", "0.0.0.0")
    monkeypatch.setenv("FLOWER_PORT", "1")
    monkeypatch.setenv("FLOWER_AUTH", ".*@example.com")
    launch = flower_command(settings(), port=5556)
    assert launch.env["FLOWER_ADDRESS"] == "0.0.0.0"
    assert launch.env["FLOWER_PORT"] == "5556"
    assert launch.generated is None


@pytest.mark.parametrize("wrong", ["opensesame", "ops:", ":opensesame", "ops:open,sesame"])
def test_credentials_that_flower_would_read_in_another_way_are_refused(wrong: str) -> None:
    with pytest.raises(Refused, match="KNOWNGOOD_FLOWER_BASIC_AUTH") as refused:
        flower_command(settings(flower_basic_auth=wrong))
    assert wrong.strip(":") not in str(refused.value).replace("user:password", "")


def test_wrong_credentials_end_the_start_with_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workers.flower"],
        cwd=ROOT,
        env={**os.environ, "KNOWNGOOD_FLOWER_BASIC_AUTH": "opensesame"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "opensesame" not in done.stderr
