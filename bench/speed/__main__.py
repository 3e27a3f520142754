"""`python -m bench.speed`: measure everything, print it and write docs/performance.md."""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.speed import engines, goals, latency, limit, page, pools, start, throughput
from bench.speed.goals import Goal
from bench.speed.page import Section

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


@dataclass
class Found:
    """What has been measured so far."""

    goals: list[Goal] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)


def _latency(found: Found, *, quick: bool) -> None:
    measured = latency.measure(4 if quick else 20)
    found.goals += goals.of_latency(measured)
    found.sections.append(page.of_latency(measured))


def _throughput(found: Found, *, quick: bool) -> None:
    measured = throughput.measure((1, 10, 100) if quick else (1, 10, 100, 1_000))
    if not quick:
        found.goals += goals.of_throughput(measured)
    found.sections.append(page.of_throughput(measured))


def _limit(found: Found, *, quick: bool) -> None:
    if not quick:
        measured = limit.measure(100)
        found.goals += goals.of_limit(measured)
        found.sections.append(page.of_limit(measured))


def _engines(found: Found, *, quick: bool) -> None:
    measured = engines.measure(1, 5, 30) if quick else engines.measure(3, 10, 100)
    found.goals += goals.of_engines(measured)
    found.sections.append(page.of_engines(measured))


def _pools(found: Found, *, quick: bool) -> None:
    if not quick:
        found.sections.append(page.of_pools(pools.measure(150)))


def _start(found: Found, *, quick: bool) -> None:
    measured = start.measure(3 if quick else 11)
    found.goals += goals.of_start(measured)
    found.sections.append(page.of_start(measured))


PARTS: dict[str, Callable[..., None]] = {
    "latency": _latency,
    "throughput": _throughput,
    "limit": _limit,
    "engines": _engines,
    "pools": _pools,
    "start": _start,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.speed", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}; all by default")
    parser.add_argument(
        "--quick", action="store_true", help="two minutes; the page is left as it is"
    )
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(
            f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}"
        )
    found = Found()
    for name in given.parts or PARTS:
        began = time.monotonic()
        print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        PARTS[name](found, quick=given.quick)
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    sections = [page.of_goals(found.goals), *found.sections]
    print(page.as_text(sections))
    if not given.quick and not given.parts:
        PAGE.write_text(page.as_markdown(sections))
        print(f"written: {PAGE.relative_to(Path.cwd())}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
