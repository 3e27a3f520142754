"""Ids that come from outside, checked before they become a path, a key or a URL."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def _flow_id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError(
            "must be a flow's id as in its URL in Architect, such as "
            "7d3c0b6e-2a7e-4c5e-9a59-5ce5b2a2b3c1"
        )
    return value


def _version_id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError("must be a version's id as `knowngood versions FLOW` shows it")
    return value


_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": f"^{_ID.pattern}$"})
FlowId = Annotated[str, AfterValidator(_flow_id), _SCHEMA]
VersionId = Annotated[str, AfterValidator(_version_id), _SCHEMA]
