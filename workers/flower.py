"""Flower, closed by default: `python -m workers.flower`, or as part of `knowngood up`.

It listens on 127.0.0.1, asks for a password and only shows: what changes anything is the command
line's, and its HTTP API is off unless KNOWNGOOD_FLOWER_API turns it on. Flower's own variables
(`FLOWER_…`) win over these defaults.
"""

import os
import secrets
import sys
from typing import Final, NamedTuple

from knowngood import settings as settings_module
from knowngood.errors import Refused
from knowngood.settings import Settings

_CLOSED: Final = "workers.flower_closed"
_COLUMNS: Final = "name,state,result,kwargs,received,runtime"


class Launch(NamedTuple):
    """How to start Flower. `generated` is the user and password made up for this start, if any."""

    argv: list[str]
    env: dict[str, str]
    generated: str | None

    @property
    def login(self) -> str:
        """Say in words how to log in, when only this start knows."""
        user, _, password = (self.generated or "").partition(":")
        return f"user {user}, password {password}" if user else ""


def flower_command(settings: Settings, *, port: int | None = None) -> Launch:
    """Return Flower's command and environment; a command line is open to every user of a machine.

    Raises:
        Refused: KNOWNGOOD_FLOWER_BASIC_AUTH is not `user:password`.
    """
    env = {
        "FLOWER_ADDRESS": "127.0.0.1",
        "FLOWER_READ_ONLY": "true",
        "FLOWER_TASKS_COLUMNS": _COLUMNS,
        "FLOWER_UNAUTHENTICATED_API": "false",
    }
    given = {name: text for name, text in os.environ.items() if name.startswith("FLOWER_") and text}
    generated = None
    if settings.flower_basic_auth:
        env["FLOWER_BASIC_AUTH"] = _checked(settings.flower_basic_auth.get_secret_value())
    elif not given.keys() & {"FLOWER_BASIC_AUTH", "FLOWER_AUTH"}:
        generated = f"knowngood:{secrets.token_urlsafe(18)}"
        env["FLOWER_BASIC_AUTH"] = generated
    server = ("celery", "-A", "workers.app", "flower") if settings.flower_api else (_CLOSED,)
    argv = [sys.executable, "-m", *server]
    named = {} if port is None else {"FLOWER_PORT": str(port)}
    return Launch(argv, env | given | named, generated)


def _checked(credentials: str) -> str:
    # Flower takes a comma for the beginning of the next user.
    for each in credentials.split(","):
        user, _, password = each.partition(":")
        if not user or not password:
            raise Refused(
                "KNOWNGOOD_FLOWER_BASIC_AUTH",
                "(secret)",
                "give user:password, without a comma in either; several with commas between",
            )
    return credentials


def main() -> None:
    """Become Flower; a password that was made up is printed once, to stderr."""
    try:
        launch = flower_command(settings_module.load())
    except Refused as error:
        sys.exit(f"knowngood: {error}")
    if launch.generated:
        print(f"flower: {launch.login}", file=sys.stderr, flush=True)
    os.execve(launch.argv[0], launch.argv, {**os.environ, **launch.env})  # noqa: S606 - no shell wanted


if __name__ == "__main__":
    main()
