"""A service of somebody else's, that starts rollbacks by HTTP and is traced."""

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from knowngood import tracing
from knowngood.client import Client


async def rollback(request: Request) -> JSONResponse:
    flow_id = request.path_params["flow_id"]
    accepted = await run_in_threadpool(lambda: Client().rollback(flow_id, "a traced request"))
    return JSONResponse({"run_id": accepted.run_id})


app = tracing.traced(Starlette(routes=[Route("/rollbacks/{flow_id}", rollback, methods=["POST"])]))
