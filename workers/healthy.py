"""Says by its exit code whether this host's process serves: for containers' health checks.

`python -m workers.healthy worker NAME`: the worker `NAME@host` answers through the broker.
`python -m workers.healthy beat`: a beat holds the lock, this one or the one it stands by for.
"""

import socket
import sys

from redis.exceptions import RedisError

from knowngood import parts
from knowngood.cli.fleet import answers, beat_lock
from knowngood.errors import KnowngoodError
from workers.app import app


def serves(what: list[str]) -> bool:
    """Ask once; a worker has three seconds to answer."""
    match what:
        case ["worker", name]:
            return answers(app, f"{name}@{socket.gethostname()}", timeout=3)
        case ["beat"]:
            return bool(parts.run_store().redis.exists(beat_lock(app)))
        case _:
            sys.exit(__doc__)


def main() -> None:
    """Exit with 0 when it serves, else with the reason."""
    try:
        served = serves(sys.argv[1:])
    except (KnowngoodError, RedisError, OSError) as error:
        sys.exit(f"knowngood: {error}")
    if not served:
        sys.exit("knowngood: no answer")


if __name__ == "__main__":
    main()
