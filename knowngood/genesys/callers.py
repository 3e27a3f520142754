"""Which callers of a flow are counted as abandoned or answered, where the API cannot tell by flow.

The Platform API's conversation aggregates know queues and numbers, and neither flow nor version.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic_settings import NoDecode

ANY_FLOW = "*"
"""Stands for every flow that is not named."""

_SHAPE = 'such as {"FLOW": {"queues": ["QUEUE"]}, "*": {"inside": true}}'


class Callers(BaseModel):
    """Where a flow's callers are met: in queues, on numbers (DNIS), or inside the flow alone.

    `inside` counts those who hang up inside the flow as abandoned: right for flows that hand every
    caller on, wrong for self-service, where hanging up is how a good call ends.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    queues: tuple[str, ...] = ()
    dnis: tuple[str, ...] = ()
    inside: bool = False

    def of(self, dimension: str) -> tuple[str, ...]:
        """Return the values of an analytics dimension: `queueId` or `dnis`."""
        return self.queues if dimension == "queueId" else self.dnis


def _read(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        given = json.loads(value or "{}")
    except ValueError as error:
        raise ValueError(f"is no JSON ({error}); give an object {_SHAPE}") from None
    if not isinstance(given, dict):
        raise ValueError(f"give a JSON object {_SHAPE}")
    return given


def _callers(value: Any) -> Mapping[str, Callers]:
    try:
        found = _BY_FLOW.validate_python(_read(value))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {first['msg']}; give an object {_SHAPE}") from None
    for flow_id, callers in found.items():
        if sum(map(bool, (callers.queues, callers.dnis, callers.inside))) != 1:
            raise ValueError(f"{flow_id}: name one of queues, dnis and inside, {_SHAPE}")
    return found


def _inputs(value: Any) -> Mapping[str, Mapping[str, Any]]:
    example = 'such as {"custom_-_5d9a1f0c": {"customerId": "42"}}'
    given = _read(value)
    if not isinstance(given, dict) or not all(isinstance(each, dict) for each in given.values()):
        raise ValueError(f"give each data action's test input as an object, {example}")
    return given


_BY_FLOW = TypeAdapter(Mapping[str, Callers])

CallersByFlow = Annotated[Mapping[str, Callers], NoDecode, BeforeValidator(_callers)]
ActionInputs = Annotated[Mapping[str, Mapping[str, Any]], NoDecode, BeforeValidator(_inputs)]
