"""A process that reads a flow as often as it may: `python -m bench.caller PRIORITY FLOW [alone]`.

`alone` has the shared token and no limiter: it calls until Genesys answers 429, and then waits as
that says.
"""

import sys
import time

from knowngood import parts
from knowngood.errors import RateLimited
from knowngood.genesys.connect import connect
from knowngood.genesys.port import FlowGateway
from knowngood.genesys.purpose import Priority, Purpose, calling_for
from knowngood.sharing.seal import Seal
from knowngood.sharing.token import SharedTokenCache


def alone() -> FlowGateway:
    settings = parts.settings()
    client_id, secret = settings.credentials()
    seal = Seal(secret, client_id, settings.region.login)
    return connect(settings, token_cache=SharedTokenCache(parts.run_store().redis, seal))


def main(priority: str, flow: str, *more: str) -> None:
    gateway = alone() if more else parts.gateway()
    with calling_for(Purpose(Priority(priority))):
        while True:
            try:
                gateway.read_flow(flow)
            except RateLimited as error:
                time.sleep(error.retry_after or 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
