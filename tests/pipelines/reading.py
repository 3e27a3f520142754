"""Reads the shell steps out of the example pipelines, and runs them as their systems would."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.stack import ROOT

PIPELINES = ROOT / "examples" / "pipelines"
NAMES = ("github-actions.yml", "azure-pipelines.yml", "Jenkinsfile")

_JENKINS_VALUE = r"""'[^']*'|"\$\{env\.GIT_COMMIT\}"|credentials\('[\w-]+'\)"""


@dataclass(frozen=True)
class Step:
    """One shell step; `always` is one that runs after a failure and a cancellation too."""

    script: str
    env: Mapping[str, str]
    always: bool
    shell: tuple[str, ...]


@dataclass
class Job:
    """What came of a pipeline: what it wrote, and each step's exit code."""

    said: str = ""
    codes: list[int] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(self.codes)


def steps_of(name: str, given: Mapping[str, str]) -> Iterator[Step]:
    """Yield a pipeline's steps; `given` holds the variables and secrets that a user has set up."""
    text = (PIPELINES / name).read_text()
    match name:
        case "github-actions.yml":
            yield from _github(yaml.safe_load(text), given)
        case "azure-pipelines.yml":
            yield from _azure(yaml.safe_load(text), given)
        case _:
            yield from _jenkins(text, given)


def run(step: Step, workspace: Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a step in a process group of its own."""
    whole = {**env, **step.env}
    # The simulated org has a URL in place of a region.
    whole.pop("KNOWNGOOD_GENESYS_REGION", None)
    return subprocess.Popen(
        [*step.shell, step.script],
        cwd=workspace,
        env=whole,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run_all(name: str, workspace: Path, env: Mapping[str, str], given: Mapping[str, str]) -> Job:
    """Run a pipeline: after a step that fails, only those that always run."""
    job = Job()
    for step in steps_of(name, given):
        if job.failed and not step.always:
            continue
        process = run(step, workspace, env)
        said, _ = process.communicate(timeout=110)
        job.said += said
        job.codes.append(process.returncode)
    return job


def _github(file: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[Step]:
    known = {
        "github.sha": given["REVISION"],
        "github.run_id": given["JOB"],
        "github.run_attempt": "1",
    }

    def filled(text: str) -> str:
        def value(match: re.Match[str]) -> str:
            words, _, default = match[1].partition(" || ")
            _, _, name = words.partition(".")
            found = known.get(words) or given.get(name) or default.strip("'")
            assert found, f"{words} is set up nowhere"
            return found

        return re.sub(r"\$\{\{ (.+?) \}\}", value, text)

    (job,) = file["jobs"].values()
    shared = {name: filled(text) for name, text in job["env"].items()}
    for step in job["steps"]:
        if "run" in step:
            own = {name: filled(text) for name, text in step.get("env", {}).items()}
            yield Step(
                step["run"],
                {**shared, **own, "GITHUB_ACTIONS": "true"},
                step.get("if") == "always()",
                ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"),
            )


def _azure(file: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[Step]:
    known = {
        "Build.SourceVersion": given["REVISION"],
        "Build.BuildId": given["JOB"],
        "System.JobAttempt": "1",
        **given,
    }

    def filled(text: str) -> str:
        return re.sub(r"\$\(([\w.]+)\)", lambda match: known[match[1]], text)

    secret = {"KNOWNGOOD_BROKER_URL", "KNOWNGOOD_REDIS_URL", "KNOWNGOOD_GENESYS_CLIENT_SECRET"}
    shared = {name: text for name, text in given.items() if name not in secret}
    named = {each["name"]: filled(each["value"]) for each in file["variables"] if "name" in each}
    (job,) = file["jobs"]
    for step in job["strategy"]["runOnce"]["deploy"]["steps"]:
        if "script" in step:
            own = {name: filled(text) for name, text in step.get("env", {}).items()}
            yield Step(
                step["script"],
                {**shared, **named, **own, "TF_BUILD": "True"},
                step.get("condition") == "always()",
                ("bash", "--noprofile", "--norc", "-c"),
            )


def _jenkins(text: str, given: Mapping[str, str]) -> Iterator[Step]:
    plain = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    env: dict[str, str] = {}
    for name, value in re.findall(r"^\s*([A-Z_]+) = (.+)$", plain, re.MULTILINE):
        if name == "ARCHY":
            env |= {
                "ARCHY_USR": given["ARCHY_CLIENT_ID"],
                "ARCHY_PSW": given["ARCHY_CLIENT_SECRET"],
            }
        elif name == "ROLLOUT":
            env[name] = f"jenkins-main-line-{given['JOB']}"
        else:
            assert re.fullmatch(
                r"""'[^']*'|"\$\{env\.GIT_COMMIT\}"|credentials\('[\w-]+'\)""", value
            )
            env[name] = given.get(name) or value.strip("'")
    body, _, post = plain.partition("post {")
    for part, always in ((body, False), (post, True)):
        for long, short in re.findall(r"\bsh (?:'''(.*?)'''|'([^']*)')", part, re.DOTALL):
            # Groovy joins lines that end in a backslash.
            script = long.replace("\\\n", "") or short
            yield Step(script, env, always, ("sh", "-xec"))


def cancel(process: subprocess.Popen[str]) -> str:
    """End a step as a cancelled job does: ask its processes, then kill what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            signal_group(process, number)
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                continue
    signal_group(process, signal.SIGKILL)
    assert process.stdout is not None
    return process.stdout.read()


def signal_group(process: subprocess.Popen[str], number: int) -> None:
    """Send a signal to a step and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
