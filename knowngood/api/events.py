"""Progress as server-sent events: of one run, and of all.

A stream survives reconnects: each event's id is its entry's in Redis, and a listener that comes
back names the last one in `Last-Event-ID`. One of a run that has ended and of which nothing is
left to tell is answered 204, which tells a browser not to come back.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import BaseModel

from knowngood.api.access import Role, needs
from knowngood.api.documents import FeedLine, JournalLine, RunDocument
from knowngood.api.inside import TheStore, TheStreams
from knowngood.api.runs import KnownRun
from knowngood.api.streams import Entry, Streams
from knowngood.runs.model import JournalEntry
from knowngood.runs.store import FEED, RunStore, journal_key

router: Final = APIRouter(prefix="/v1", tags=["events"])

_RECONNECT: Final = format_sse_event(retry=1_000)
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_SSE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "server-sent events",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        pattern=r"^[0-9]{1,15}(-[0-9]{1,15})?$",
        description="the id of the last event that was seen; what came since is sent first",
    ),
]


@router.get(
    "/runs/{run_id}/events",
    dependencies=[needs(Role.READ)],
    response_class=StreamingResponse,
    responses={
        **_SSE,
        204: {"description": "the run has ended, and all of its events were seen"},
    },
)
def follow_run(
    run: KnownRun, store: TheStore, streams: TheStreams, last_event_id: LastEventId = None
) -> Response:
    """Follow a run's journal from its beginning to its end.

    Each event's data is a `JournalLine`. The last one, named `end`, holds the run as it ended.
    """
    after = last_event_id or "0"
    if run.state.terminal and last_event_id and not store.journal(run.run_id, after):
        return Response(status_code=204)
    return _sse(_lines(run.run_id, store, streams, after))


@router.get(
    "/events", dependencies=[needs(Role.READ)], response_class=StreamingResponse, responses=_SSE
)
def follow_all(streams: TheStreams, last_event_id: LastEventId = None) -> Response:
    """Follow the changes of all runs from now on, or since `Last-Event-ID`.

    Each event's data is a `FeedLine`. The last 10,000 changes are kept: whoever was away for
    longer lists the runs again.
    """
    return _sse(_changes(streams, last_event_id))


def _sse(content: AsyncIterator[bytes]) -> Response:
    return StreamingResponse(content, media_type="text/event-stream", headers=_HEADERS)


async def _lines(
    run_id: str, store: RunStore, streams: Streams, after: str
) -> AsyncIterator[bytes]:
    yield _RECONNECT
    async for entry in streams.follow(journal_key(run_id), after):
        if entry is None:
            yield KEEPALIVE_COMMENT
            continue
        line = JournalLine.of(JournalEntry.from_stream(entry.entry_id, entry.fields))
        yield _event(line, entry_id=entry.entry_id)
        if line.event == "run-ended":
            ended = await run_in_threadpool(store.get, run_id)
            yield _event(RunDocument.of(ended), name="end")
            return


async def _changes(streams: Streams, after: str | None) -> AsyncIterator[bytes]:
    yield _RECONNECT
    async for entry in streams.follow(FEED, after):
        yield (
            KEEPALIVE_COMMENT if entry is None else _event(_change(entry), entry_id=entry.entry_id)
        )


def _change(entry: Entry) -> FeedLine:
    milliseconds = int(entry.entry_id.partition("-")[0])
    return FeedLine(at=datetime.fromtimestamp(milliseconds / 1000, UTC), **entry.fields)


def _event(data: BaseModel, *, entry_id: str | None = None, name: str | None = None) -> bytes:
    return format_sse_event(data_str=data.model_dump_json(), event=name, id=entry_id)
