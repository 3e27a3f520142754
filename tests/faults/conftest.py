"""Everything here holds in both dialects of the API."""

import pytest

from tests.stack import DIALECTS, Stack


@pytest.fixture(scope="session", params=DIALECTS)
def stack(request: pytest.FixtureRequest) -> Stack:
    installation: Stack = request.getfixturevalue(f"{request.param}_stack")
    return installation
