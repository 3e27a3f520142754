"""Pages of entities, with the links between them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from simulator.wire import Call

Item = TypeVar("Item")


def listing(
    call: Call, items: Sequence[Item], to_json: Callable[[Item], dict[str, Any]]
) -> dict[str, Any]:
    """One page of `items`; links that lead nowhere are omitted."""
    number, size = call.page()
    pages = max(1, -(-len(items) // size))

    def uri(page: int) -> str:
        query = {**call.query, "pageNumber": str(page), "pageSize": str(size)}
        return f"{call.path}?{urlencode(query)}"

    body: dict[str, Any] = {
        "entities": [to_json(item) for item in items[(number - 1) * size : number * size]],
        "pageSize": size,
        "pageNumber": number,
        "total": len(items),
        "pageCount": pages,
        "firstUri": uri(1),
        "lastUri": uri(pages),
        "selfUri": uri(number),
    }
    if number < pages:
        body["nextUri"] = uri(number + 1)
    if number > 1:
        body["previousUri"] = uri(number - 1)
    return body
