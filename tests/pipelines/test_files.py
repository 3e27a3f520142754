"""The example pipelines as files: schemas, linters, and what they must never do."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.reading import NAMES, PIPELINES, steps_of
from tests.pipelines.workspace import GIVEN

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("github-actions.yml", "vendor.github-workflows"),
        ("azure-pipelines.yml", "vendor.azure-pipelines"),
    ],
)
def test_a_pipeline_is_what_its_system_s_schema_allows(name: str, schema: str) -> None:
    # Azure's schema has patterns that are no Unicode regular expressions.
    check = [BIN / "check-jsonschema", "--regex-variant", "nonunicode", "--builtin-schema", schema]
    done = subprocess.run([*check, PIPELINES / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_azure_s_pipeline_has_no_anchor_for_azure_reads_none() -> None:
    text = (PIPELINES / "azure-pipelines.yml").read_text()
    assert not any(word.startswith(("&", "*")) for word in text.split())


def test_the_script_passes_shellcheck() -> None:
    check = [BIN / "shellcheck", PIPELINES / "rollout.sh"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_pipeline_s_steps_pass_shellcheck(name: str) -> None:
    for step in steps_of(name, GIVEN):
        check = [BIN / "shellcheck", "--shell", step.shell[0], "-"]
        done = subprocess.run(check, input=step.script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_pipeline_records_deploys_watches_and_always_settles(name: str) -> None:
    steps = list(steps_of(name, GIVEN))
    called = [step.script.split("rollout.sh ")[1].split()[0] for step in steps]
    assert called == ["snapshot", "deploy", "watch", "settle"]
    assert [step.always for step in steps] == [False, False, False, True]
    assert not any("--forceUnlock" in step.script for step in steps)
