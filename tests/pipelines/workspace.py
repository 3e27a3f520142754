"""A repository of flows with a pipeline in it, and stand-ins for the tools that deploy."""

import copy
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.pipelines.reading import PIPELINES
from tests.stack import Stack

GIVEN: Mapping[str, str] = {
    "JOB": "7",
    "REVISION": "3fa9c1e",
    "FLOW": "eb6b8090-008d-597b-a31e-8a4bcc024011",
    "MAIN_LINE_FLOW_ID": "eb6b8090-008d-597b-a31e-8a4bcc024011",
    "BAKE_TIME": "4",
    "ARCHY_CLIENT_ID": "archy",
    "ARCHY_CLIENT_SECRET": "archy",
    "ARCHY_LOCATION": "localhost",
    "GENESYSCLOUD_OAUTHCLIENT_ID": "terraform",
    "GENESYSCLOUD_OAUTHCLIENT_SECRET": "terraform",
    "KNOWNGOOD_BROKER_URL": "redis://127.0.0.1:1/0",
    "KNOWNGOOD_REDIS_URL": "redis://127.0.0.1:1/0",
    "KNOWNGOOD_ARTIFACTS_URL": "memory:///",
    "KNOWNGOOD_GENESYS_REGION": "eu_central_1",
    "KNOWNGOOD_GENESYS_CLIENT_ID": "simulator",
    "KNOWNGOOD_GENESYS_CLIENT_SECRET": "simulator",
}
"""What a user sets up in the CI system."""

TOOL = """#!{python}
# Stands for Archy and for Terraform: publishes a version in the simulated org.
import json, os, sys, time, urllib.request
words = sys.argv[1:]
if "init" not in words:
    assert "publish" in words or "apply" in words, words
    if os.environ["TOOL"] == "refuses":
        sys.exit("the flow has errors")
    body = json.dumps({{"quality": json.loads(os.environ["QUALITY"])}}).encode()
    urllib.request.urlopen(urllib.request.Request(os.environ["DEPLOY_URL"], body))
    print("published", flush=True)
    if os.environ["TOOL"] == "hangs":
        time.sleep(600)
    if os.environ["TOOL"] == "breaks":
        sys.exit("the connection was lost")
"""


class Workspace:
    """One checkout on a CI agent, and what its user set up."""

    def __init__(self, directory: Path, stack: Stack, flow: str) -> None:
        self.directory = directory
        (directory / "pipelines").mkdir(parents=True)
        shutil.copy(PIPELINES / "rollout.sh", directory / "pipelines")
        tools = directory.parent / f"{directory.name}-tools"
        tools.mkdir()
        for name in ("archy", "terraform"):
            tool = tools / name
            tool.write_text(TOOL.format(python=sys.executable))
            tool.chmod(0o755)
        settings = stack.environment()
        own = {name: text for name, text in settings.items() if name.startswith("KNOWNGOOD_")}
        self.given = {**GIVEN, **own, "FLOW": flow, "MAIN_LINE_FLOW_ID": flow, "JOB": flow[:8]}
        self.env = {
            **{name: text for name, text in settings.items() if name not in self.given},
            "PATH": f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "KNOWNGOOD_GENESYS_BASE_URL": stack.sim.base_url,
            "DEPLOY_URL": f"{stack.sim.base_url}/control/flows/{flow}/deploy",
            "TOOL": "works",
            "QUALITY": "{}",
            "TRIES": "2",
            "PAUSE": "0",
        }

    def of_another_job(self, name: str, *, revision: str = GIVEN["REVISION"]) -> "Workspace":
        """Return the same checkout as a later job of the pipeline finds it."""
        later = copy.copy(self)
        later.given = {**self.given, "REVISION": revision, "JOB": f"{self.given['JOB']}-{name}"}
        return later
