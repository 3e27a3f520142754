"""The pages that people read say what is so."""

import re
from pathlib import Path

import pytest

from knowngood.cli.application import COMMANDS
from knowngood.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CLI = (ROOT / "docs/cli.md").read_text()
TABLE = dict(re.findall(r"^\| `([A-Z_]+)` \| *(.*?) *\|", README, re.MULTILINE))
IN_WORDS = {
    "artifacts_url",
    "flower_basic_auth",
    "genesys_login_url",
    "health_window",
    "integration_alert_urls",
}
"""Settings whose default the README gives in words."""


def test_the_readme_lists_every_setting_and_no_other() -> None:
    assert set(TABLE) == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - IN_WORDS))
def test_the_readme_tells_the_default_of(name: str) -> None:
    default = Settings.model_fields[name].get_default(call_default_factory=True)
    if hasattr(default, "get_secret_value"):
        default = default.get_secret_value()
    match default:
        case None | () | {} if not default:
            told = ""
        case tuple():
            told = " ".join(default)
        case bool():
            told = str(default).lower()
        case float() | int():
            told = f"{default:.10g}"
        case _:
            told = str(default)
    assert TABLE[name.upper()].strip("`") == told


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_of_the_command_line_names(command: str) -> None:
    assert f"`{command}" in CLI


@pytest.mark.parametrize("code", ["0", "1", "2", "3", "4", "130"])
def test_the_page_of_the_command_line_tells_exit_code(code: str) -> None:
    assert re.search(rf"^\| {code} \|", CLI, re.MULTILINE)
