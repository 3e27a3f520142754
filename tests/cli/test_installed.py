"""What a user installs suffices: nothing leans on a package that only the tests bring."""

import json
import pkgutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import knowngood.cli

IMPORT = """
import sys
from importlib import import_module
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in blocked:
            raise ModuleNotFoundError(f'{name} is not installed for users')
blocked = set(%s)
sys.meta_path.insert(0, Absent())
for name in %s:
    import_module(name)
"""


def runtime() -> set[str]:
    """The distributions that come with knowngood, through every requirement."""
    found = {"knowngood"}
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    waiting = [Requirement(line) for line in project["dependencies"]]
    seen: set[str] = set()
    while waiting:
        wanted = waiting.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        name = canonicalize_name(wanted.name)
        try:
            needs = requires(name) or []
        except PackageNotFoundError:
            continue
        found.add(name)
        for line in needs:
            need = Requirement(line)
            extras = [*wanted.extras, ""]
            if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(need)
    return found


@pytest.mark.slow
def test_everything_imports_with_only_the_packages_that_users_get() -> None:
    ours = runtime()
    blocked = [
        module
        for module, distributions in packages_distributions().items()
        if not ours.intersection(map(canonicalize_name, distributions))
    ]
    assert "pytest" in blocked
    modules = ["workers.app", "kombu.transport.redis", "redbeat", "flower.command"]
    modules += ["simulator.server", "knowngood.client"]
    modules += [
        f"knowngood.cli.{module.name}" for module in pkgutil.iter_modules(knowngood.cli.__path__)
    ]
    code = IMPORT % (json.dumps(blocked), json.dumps(modules))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
