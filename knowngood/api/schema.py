"""The OpenAPI document: FastAPI's own, with every error a problem, and no parameter null."""

from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel

from knowngood.api.documents import FeedLine, JournalLine
from knowngood.api.problems import MEDIA_TYPE, ProblemDocument

_REFERENCE: Final = "#/components/schemas/{model}"
_TOLD_BESIDE: Final[tuple[type[BaseModel], ...]] = (ProblemDocument, JournalLine, FeedLine)
"""What no route returns by itself: errors, and the data of events."""


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": _REFERENCE.format(model=ProblemDocument.__name__)}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": _problem("Not as it should be; nothing was started."),
    "5XX": _problem("A part does not answer; ask again after Retry-After."),
}
"""The answers of every route beside its own."""


def describe(app: FastAPI) -> None:
    """Let an application's OpenAPI document say what FastAPI's own cannot."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        for model in _TOLD_BESIDE:
            schema = model.model_json_schema(mode="serialization", ref_template=_REFERENCE)
            document["components"]["schemas"] |= schema.pop("$defs", {})
            document["components"]["schemas"][model.__name__] = schema
        for path in document["paths"].values():
            for operation in path.values():
                for parameter in operation.get("parameters", ()):
                    _never_null(parameter)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _never_null(parameter: dict[str, Any]) -> None:
    # One that is left out is None in Python; in a header or a query there is no null.
    schema = parameter["schema"]
    match schema.get("anyOf"):
        case [only, {"type": "null"}]:
            del schema["anyOf"]
            schema |= only
