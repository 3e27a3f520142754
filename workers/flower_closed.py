"""Flower without the HTTP API that answers whoever has its password."""

import sys

from flower.__main__ import main as flower_main
from flower.api import BaseApiHandler
from flower.urls import handlers
from tornado.routing import URLSpec


def _is_api(handler: URLSpec | tuple[str, type]) -> bool:
    kind = handler.handler_class if isinstance(handler, URLSpec) else handler[1]
    return issubclass(kind, BaseApiHandler)


def main() -> None:
    """Serve the pages, the metrics and the health check alone."""
    # Flower has no option for it: read-only forbids changes, and still tells all it knows.
    handlers[:] = [handler for handler in handlers if not _is_api(handler)]
    sys.argv[1:] = ("-A", "workers.app", "flower")
    flower_main()


if __name__ == "__main__":
    main()
