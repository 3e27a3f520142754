"""Genesys' own client, unmodified, and what its source says of paths, members and values."""

import inspect
import os
import re
import tempfile
from ast import literal_eval
from importlib import import_module
from types import ModuleType, UnionType
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel, RootModel


def load() -> ModuleType:
    """Import the SDK with a home of its own: it reads and watches a file below it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", tempfile.mkdtemp(prefix="knowngood-sdk-"))
        module = import_module("PureCloudPlatformClientV2")
        assert os.environ["HOME"] in module.configuration.config_file_path
    return module


SDK = load()


def models() -> ModuleType:
    module: ModuleType = SDK.models
    return module


def members(model: str) -> dict[str, str]:
    """The wire's members of a model, each with the SDK's name of its type."""
    made = getattr(models(), model)()
    return {made.attribute_map[name]: kind for name, kind in made.swagger_types.items()}


def values(model: str, member: str) -> set[str]:
    """The values that the SDK knows for a member."""
    source = inspect.getsource(getattr(models(), model))
    found = re.search(rf"@{member}\.setter.*?allowed_values = (\[.*?\])", source, re.DOTALL)
    assert found, f"{model}.{member} has no list of values"
    return set(literal_eval(found[1]))


def rewritten(body: Any, model: str) -> Any:
    """Read JSON as the SDK's model and write it again: what it does not know is lost."""
    client = SDK.ApiClient()
    read = client._ApiClient__deserialize(body, model)
    return client.sanitize_for_serialization(read)


def unknown_members(ours: type[BaseModel], model: str, own: frozenset[str]) -> list[str]:
    """The members that our model reads and the SDK's lacks, nested ones included.

    `own` are those that we add ourselves.
    """
    if issubclass(ours, RootModel):
        return []
    theirs = members(model)
    missing: list[str] = []
    for name, field in ours.model_fields.items():
        member = field.alias or name
        if member in own:
            continue
        if member not in theirs:
            missing.append(f"{model}.{member}")
            continue
        inner = nested(field.annotation)
        kind = re.sub(r"^list\[(\w+)\]$", r"\1", theirs[member])
        if inner is not None:
            missing += unknown_members(inner, kind, own)
        elif kind[0].isupper():
            missing.append(f"{model}.{member} is a {kind}, and we read a plain value")
    return missing


def nested(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `tuple[Row, ...]` or `Ref | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, list, UnionType) or isinstance(annotation, UnionType):
        return next((found for each in get_args(annotation) if (found := nested(each))), None)
    return None
