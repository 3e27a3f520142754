"""The HTTP API: its rooms, put together, and what stands before all of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp

from knowngood.api import events, flows, hooks, orders, page, probes, runs
from knowngood.api.access import Gate
from knowngood.api.edge import Edge
from knowngood.api.limits import BodyLimit
from knowngood.api.problems import handle_problems
from knowngood.api.schema import PROBLEMS, describe
from knowngood.api.streams import Streams
from knowngood.client import Client


def create_app(client: Client) -> FastAPI:
    """Return the application without what stands before it."""

    @asynccontextmanager
    async def streaming(app: FastAPI) -> AsyncIterator[None]:
        async with Streams(client.settings.redis_url.get_secret_value()) as streams:
            app.state.streams = streams
            yield

    app = FastAPI(
        title="knowngood",
        version=version("knowngood"),
        description="Snapshots, watches and rollbacks of Genesys Cloud flows. "
        "Times are UTC, durations seconds.",
        lifespan=streaming,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        responses=PROBLEMS,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.client = client
    handle_problems(app)
    describe(app)
    for room in (orders, runs, events, flows, hooks, page, probes):
        app.include_router(room.router)
    return app


def guarded(app: FastAPI, client: Client) -> ASGIApp:
    """Put what every request passes before an application."""
    return Edge(Gate(BodyLimit(app), client.settings))
