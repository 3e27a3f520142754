"""Runs: which there are, how one fares, and its end by a person's wish."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from knowngood.api.access import Role, demand, needs
from knowngood.api.documents import RunDetail, RunDocument, RunList
from knowngood.api.inside import TheStore
from knowngood.api.problems import Problem, no_such_run
from knowngood.errors import Refused
from knowngood.genesys.ids import FlowId
from knowngood.health.watches import WatchStore
from knowngood.runs.model import Run, RunKind, RunState, Text
from knowngood.runs.timeline import steps_in_time

router: Final = APIRouter(prefix="/v1/runs", tags=["runs"])

RunId = Annotated[str, Path(min_length=1, max_length=200, description="as the answer to a request")]


class RunFilter(BaseModel):
    """Which runs to list; of several states or kinds any will do."""

    model_config = ConfigDict(extra="forbid")

    state: tuple[RunState, ...] = ()
    kind: tuple[RunKind, ...] = ()
    flow: FlowId | None = None
    limit: int = Field(default=20, ge=1, le=500)


def known_run(run_id: RunId, store: TheStore, request: Request) -> Run:
    """Read the run that a path names; 404 when there is none."""
    run = store.find(run_id)
    if run is None:
        raise no_such_run(run_id)
    request.state.run_id = run.run_id
    return run


KnownRun = Annotated[Run, Depends(known_run)]


@router.get("", dependencies=[needs(Role.READ)])
def list_runs(chosen: Annotated[RunFilter, Query()], store: TheStore) -> RunList:
    """List runs, the newest first."""
    found = store.search(chosen.limit, states=chosen.state, kinds=chosen.kind, flow_id=chosen.flow)
    return RunList(runs=tuple(RunDocument.of(run) for run in found))


@router.get("/{run_id}", dependencies=[needs(Role.READ)])
def show_run(run: KnownRun, store: TheStore) -> RunDetail:
    """Show a run with its steps in time: attempts, waits, faults."""
    watch = WatchStore(store.redis).find(run.run_id) if run.kind is RunKind.WATCH else None
    return RunDetail.of(run, steps=steps_in_time(run.kind, store.journal(run.run_id)), watch=watch)


class CancelRequest(BaseModel):
    """Why a run is to end; kept with it."""

    model_config = ConfigDict(extra="forbid")

    reason: Text


@router.post("/{run_id}/cancel")
def cancel_run(
    run: KnownRun,
    store: TheStore,
    role: Annotated[Role, needs(Role.DEPLOY)],
    asked: CancelRequest | None = None,
) -> RunDocument:
    """End a run that has not begun to change its flow, or a watch; a cancelled one stays so.

    To cancel a rollback takes the role that may start one.
    """
    if run.kind is RunKind.ROLLBACK:
        demand(Role.ROLLBACK, role)
    try:
        store.cancel(run.run_id, asked.reason if asked else f"cancelled by api:{role}")
    except Refused as error:
        if store.get(run.run_id).state is not RunState.CANCELLED:
            raise Problem(409, "cannot-cancel", error.expected) from None
    return RunDocument.of(store.get(run.run_id))
