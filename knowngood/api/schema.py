"""The OpenAPI document: FastAPI's own, and that every error is a problem document."""

from typing import Any, Final

from fastapi import FastAPI

from knowngood.api.problems import MEDIA_TYPE, ProblemDocument

_REFERENCE: Final = "#/components/schemas/{model}"


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": _REFERENCE.format(model=ProblemDocument.__name__)}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": _problem("Not as it should be; nothing was started."),
    "5XX": _problem("A part does not answer; ask again after Retry-After."),
}
"""The answers of every route beside its own."""


def describe(app: FastAPI) -> None:
    """Let an application's OpenAPI document hold what `PROBLEMS` refers to."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        schema = ProblemDocument.model_json_schema(mode="serialization", ref_template=_REFERENCE)
        document["components"]["schemas"] |= schema.pop("$defs") | {
            ProblemDocument.__name__: schema
        }
        return document

    app.openapi = openapi  # type: ignore[method-assign]
