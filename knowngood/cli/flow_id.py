"""A flow's id from the command line, checked before it becomes a path or a URL."""

from pydantic import TypeAdapter, ValidationError

from knowngood.errors import Refused
from knowngood.genesys.ids import FlowId


def checked_flow_id(flow: str) -> str:
    """Return the id, or raise Refused with what an id looks like."""
    try:
        return TypeAdapter[str](FlowId).validate_python(flow)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise Refused("FLOW", flow, why) from None
