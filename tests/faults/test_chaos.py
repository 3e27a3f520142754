"""A short run of the chaos that `make chaos` runs for long."""

import pytest

from bench.chaos import Chaos
from tests.stack import DIALECTS, Stack, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]


@pytest.mark.parametrize("api", DIALECTS)
def test_no_invariant_breaks_in_ten_rounds_of_mixed_faults(api: str) -> None:
    with Stack(api=api, aof=True) as stack:
        chaos = Chaos(stack, seed=7)
        wait_for(stack.client.store.born, what="the reconciler")
        for _ in range(10):
            chaos.round()
        assert chaos.verdict() == []
        assert sum(chaos.ended.values()) >= 10
        assert sum(chaos.injected.values()) >= 10
