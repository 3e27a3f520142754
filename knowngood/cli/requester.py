"""Who asks, when nobody said: the CI job's user, else the user of this machine."""

import getpass
import os
import re
import socket
from typing import Final

_CI_USERS: Final = (
    "GITHUB_ACTOR",
    "GITLAB_USER_LOGIN",
    "BUILD_USER_ID",
    "BUILDKITE_BUILD_CREATOR",
    "CIRCLE_USERNAME",
    "BITBUCKET_STEP_TRIGGERER_UUID",
    "BUILD_REQUESTEDFOR",
)
"""The variables in which CI systems name who started the job; the last is Azure Pipelines'."""


def requester() -> str:
    """Name who asks, in the characters that the journal takes."""
    for variable in _CI_USERS:
        if who := _clean(os.environ.get(variable, "")):
            return who
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id that no name belongs to.
        user = f"uid-{os.getuid()}"
    return _clean(f"{user}@{socket.gethostname()}") or "unknown"


def _clean(who: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._:/@#+ -]+", "-", who)
    return re.sub(r"^[^A-Za-z0-9]+", "", plain)[:200].strip()
