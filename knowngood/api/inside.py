"""What the routes work with, made once for each process."""

from typing import Annotated

from fastapi import Depends, Request

from knowngood.api.streams import Streams
from knowngood.client import Client
from knowngood.runs.store import RunStore


def _client(request: Request) -> Client:
    client: Client = request.app.state.client
    return client


def _store(request: Request) -> RunStore:
    return _client(request).store


def _streams(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


TheClient = Annotated[Client, Depends(_client)]
TheStore = Annotated[RunStore, Depends(_store)]
TheStreams = Annotated[Streams, Depends(_streams)]
