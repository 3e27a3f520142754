"""What each policy finds and what it wrongly rolls back, over many seeded days of traffic.

`python -m bench.detection` prints, for each policy as it is set by default, false rollbacks per
1,000 healthy deployments and the share and the time of what it finds, and draws the plot of
docs/health.md. `--choose` prints the candidates that the defaults were chosen from, on seeds that
the report never sees. `--quick` takes a tenth of the seeds.
"""

import argparse
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from bench.callers import HEALTHY, Callers, Failure, a_blip, a_deployment
from bench.watching import Ending, Usual, watched
from knowngood.health.baseline import Baseline
from knowngood.health.limits import Limits, limits_of
from knowngood.health.policies import POLICIES
from knowngood.health.policies.relative import Relative
from knowngood.health.policies.statistical import Statistical
from knowngood.health.watch import Decision
from knowngood.settings import Settings

VOLUMES = (20, 60, 200, 1_000)
"""Calls a poll, in the mean of the day."""

HOUR = 3_600.0
SETTINGS = Settings(_env_file=None)
LIMITS = limits_of(SETTINGS)

FAILURES = (
    Failure("abandonment 5 to 10 %", abandoned=0.10),
    Failure("abandonment 5 to 15 %", abandoned=0.15),
    Failure("abandonment 5 to 30 %", abandoned=0.30),
    Failure("errors 0.5 to 2 %", errors=0.02),
    Failure("errors 0.5 to 5 %", errors=0.05),
    Failure("errors 0.5 to 10 %", errors=0.10),
    Failure("errors 0.5 to 30 %", errors=0.30),
    Failure("half of the calls lost", lost=0.5),
    Failure("nine of ten calls lost", lost=0.9),
    Failure("half lost, 30 % abandoned", abandoned=0.30, lost=0.5),
)
BLIP = "blip"

CHOOSING, REPORTING = 0, 1_000_000
"""Where the seeds begin: defaults are chosen on some and reported on others."""


class Candidate(NamedTuple):
    """A policy as it could be set."""

    name: str
    policy: str
    limits: Limits = LIMITS


class Uncorrected(Statistical):
    """The sum as if callers were independent of each other: phi = 1."""

    def judge(self, measurement, former, baseline, limits):
        return super().judge(measurement, former, _binomial(baseline), limits)

    def is_beyond(self, kpi, parts, baseline, limits):
        return super().is_beyond(kpi, parts, _binomial(baseline), limits)


def _binomial(baseline: Baseline) -> Baseline:
    cells = {hour: cell.model_copy(update={"spread": {}}) for hour, cell in baseline.cells.items()}
    return baseline.model_copy(update={"cells": cells})


class Job(NamedTuple):
    """One seed at one volume: the scenarios to play, and the candidates that watch them."""

    seed: int
    volume: int
    scenarios: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    bake: float = SETTINGS.health_bake_time
    days: int = SETTINGS.health_history_days
    calm: bool = False


Endings = Mapping[tuple[str, str, int], Sequence[Ending]]
"""By candidate, scenario and volume."""

NAMES = tuple(POLICIES)
"""The policies as they are shipped, before candidates join them."""

DEFAULTS = tuple(Candidate(name, name) for name in NAMES)


def register(name: str, policy: object) -> str:
    """Let a candidate be found by its name, as the workers find policies."""
    POLICIES[name] = policy  # type: ignore[index]
    return name


def play(job: Job) -> list[tuple[tuple[str, str, int], Ending]]:
    """Watch one seed's deployment in every scenario with every candidate."""
    deployed = a_deployment(job.seed)
    usual = Usual(job.days)
    base = Callers(job.seed, job.volume, deployed, calm=job.calm)
    failures = {failure.name: failure for failure in (HEALTHY, *FAILURES)}
    found = []
    for scenario in job.scenarios:
        blip = a_blip(job.seed, deployed, job.bake) if scenario == BLIP else None
        callers = base.but(failures.get(scenario, HEALTHY), blip)
        for each in job.candidates:
            ending = watched(callers, each.policy, each.limits, job.bake, usual)
            found.append(((each.name, scenario, job.volume), ending))
        base.drawn = callers.drawn
    return found


def play_all(jobs: Sequence[Job]) -> Endings:
    """Play jobs on all cores."""
    found: defaultdict[tuple[str, str, int], list[Ending]] = defaultdict(list)
    with get_context("fork").Pool(os.cpu_count()) as pool:
        for told in pool.imap_unordered(play, jobs, chunksize=8):
            for key, ending in told:
                found[key].append(ending)
    return found


def rolled_back(endings: Sequence[Ending]) -> list[int]:
    """Return after how many polls each rollback came."""
    return [ending.polls for ending in endings if ending.decision is Decision.TRIP]


def per_thousand(endings: Sequence[Ending]) -> float:
    return 1_000 * len(rolled_back(endings)) / len(endings)


def found_in(endings: Sequence[Ending]) -> str:
    """Say which share was found, and in how many polls in the median."""
    polls = rolled_back(endings)
    median = f" ({statistics.median(polls):g})" if polls else ""
    return f"{len(polls) / len(endings):.0%}{median}"


def over_volumes(endings: Endings, candidate: str, scenario: str) -> list[Ending]:
    return [each for volume in VOLUMES for each in endings[candidate, scenario, volume]]


def report(healthy: int, broken: int) -> Endings:
    """Print what the policies do as they are set by default."""
    seeds = range(REPORTING, REPORTING + max(healthy, broken))
    names = tuple(failure.name for failure in FAILURES)
    jobs = [
        Job(
            seed,
            volume,
            (HEALTHY.name, BLIP) + (names if seed < REPORTING + broken else ()),
            DEFAULTS,
        )
        for seed in seeds
        for volume in VOLUMES
    ]
    endings = play_all(jobs)
    number = healthy * len(VOLUMES)
    print(f"false rollbacks per 1,000 of {number:,} healthy deployments, watched for an hour")
    print(f"{'':14}{'all':>8}" + "".join(f"{volume:>8}" for volume in VOLUMES) + "  calls a poll")
    for scenario, words in ((HEALTHY.name, "as they come"), (BLIP, "each with a blip")):
        print(words)
        for name in NAMES:
            each = [per_thousand(endings[name, scenario, volume]) for volume in VOLUMES]
            whole = per_thousand(over_volumes(endings, name, scenario))
            print(f"  {name:12}{whole:8.1f}" + "".join(f"{one:8.1f}" for one in each))
    print(f"\nfound of {broken} bad deployments each (median polls until the rollback)")
    print(f"{'':28}{'calls a poll':>12}" + "".join(f"{name:>14}" for name in NAMES))
    for name in names:
        for volume in VOLUMES:
            cells = "".join(f"{found_in(endings[policy, name, volume]):>14}" for policy in NAMES)
            print(f"{name if volume == VOLUMES[0] else '':28}{volume:>12}{cells}")
    return endings


def abandonment_only(limit: float) -> Limits:
    return LIMITS.model_copy(update={"kpis": {"abandon_rate": limit}})


def same_rate(seeds: int, *, calm: bool) -> None:
    """Print what the guide's rule and the sum find when both are as often wrong.

    Only abandonment is judged, at 200 calls a poll, over two hours.
    """
    target, volume, bake = 5.0, 200, 2 * HOUR
    grid = [
        Candidate(f"limit {limit:.1%}", "threshold", abandonment_only(limit))
        for limit in (0.08, 0.085, 0.09, 0.095, 0.1, 0.11, 0.12, 0.13, 0.15)
    ]
    grid += [
        Candidate(name, register(name, Statistical(h)), abandonment_only(0.2))
        for h in (3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 20)
        if (name := f"sum h = {h}")
    ]

    def played(first: int, scenarios: tuple[str, ...], candidates: Sequence[Candidate]) -> Endings:
        numbers = range(first, first + seeds)
        each = tuple(candidates)
        return play_all([Job(seed, volume, scenarios, each, bake, calm=calm) for seed in numbers])

    tried = played(CHOOSING, (HEALTHY.name,), grid)
    chosen = [
        min(
            (each for each in grid if each.name.startswith(kind)),
            key=lambda each: abs(per_thousand(tried[each.name, HEALTHY.name, volume]) - target),
        )
        for kind in ("limit", "sum")
    ]
    h = POLICIES[chosen[1].policy].threshold
    plain = register(f"phi = 1, h = {h:g}", Uncorrected(h))
    chosen.append(Candidate(plain, plain, abandonment_only(0.2)))
    names = tuple(failure.name for failure in FAILURES[:3])
    endings = played(REPORTING, (HEALTHY.name, *names), chosen)
    print(
        f"\nat the same rate: abandonment alone, {volume} calls a poll, two hours, "
        f"{'no bursts, blips or holidays' if calm else 'days as they come'}"
    )
    for each in chosen:
        wrong = per_thousand(endings[each.name, HEALTHY.name, volume])
        cells = "".join(
            f"   {name[12:]}: {found_in(endings[each.name, name, volume])}" for name in names
        )
        print(f"  {each.name:16} {wrong:5.1f} of 1,000 wrong{cells}")


class Choice(NamedTuple):
    """A setting, its candidates, and the failures that tell them apart."""

    setting: str
    candidates: Sequence[Candidate]
    failures: Sequence[str]
    days: int = SETTINGS.health_history_days


def choices() -> Iterator[Choice]:
    """Yield what the defaults were chosen from, one setting at a time."""
    small, gross = FAILURES[1].name, FAILURES[2].name
    half, lost = FAILURES[7].name, FAILURES[9].name

    def limited(name: str, **more: object) -> Candidate:
        return Candidate(name, "threshold", LIMITS.model_copy(update=more))

    def share(of: float) -> dict[str, float]:
        return {**LIMITS.kpis, "volume_collapse": of}

    least = [limited(str(calls), min_calls=calls) for calls in (10, 20, 30, 50, 100)]
    yield Choice("HEALTH_MIN_CALLS, threshold", least, (gross, lost))
    shares = [limited(f"{of:g}", kpis=share(of)) for of in (0.3, 0.5, 0.6, 0.7, 0.8)]
    yield Choice("HEALTH_MIN_VOLUME_SHARE, threshold", shares, (half, lost))
    rows = [limited(str(row), consecutive_breaches=row) for row in (1, 2, 3)]
    yield Choice("HEALTH_CONSECUTIVE_BREACHES, threshold", rows, (gross, lost))
    sigmas = [Candidate(f"{k:g}", register(f"relative {k:g}", Relative(k))) for k in (3, 3.5, 4, 5)]
    yield Choice("relative, k", sigmas, (small, gross))
    sums = [
        Candidate(f"{h:g}", register(f"statistical {h:g}", Statistical(h)))
        for h in (5, 7, 9, 11, 13, 15)
    ]
    yield Choice("statistical, h", sums, (small, gross))
    for days in (2, 3, 5, 7):
        one = [Candidate(str(days), "statistical")]
        yield Choice("HEALTH_HISTORY_DAYS, statistical", one, (small, gross), days)


def choose(seeds: int) -> None:
    """Print what each candidate for a default costs and finds."""
    former = ""
    for choice in choices():
        scenarios = (HEALTHY.name, BLIP, *choice.failures)
        each = tuple(choice.candidates)
        numbers = range(CHOOSING, CHOOSING + seeds)
        endings = play_all(
            [
                Job(seed, volume, scenarios, each, days=choice.days)
                for seed in numbers
                for volume in VOLUMES
            ]
        )
        if choice.setting != former:
            heads = "".join(f"{name:>28}" for name in choice.failures)
            print(f"\n{choice.setting:40}{'wrong':>8}{'blip':>8}{heads}")
        former = choice.setting
        for candidate in each:
            wrong, blip = (
                per_thousand(over_volumes(endings, candidate.name, scenario))
                for scenario in (HEALTHY.name, BLIP)
            )
            cells = "".join(
                f"{found_in(over_volumes(endings, candidate.name, name)):>28}"
                for name in choice.failures
            )
            print(f"  {candidate.name:38}{wrong:8.1f}{blip:8.1f}{cells}")


def draw(endings: Endings, path: Path, volume: int = 200) -> None:
    """Draw how the share that was rolled back grows poll by poll."""
    import matplotlib as mpl  # noqa: PLC0415 - only the plot needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    shown = [FAILURES[number].name for number in (0, 1, 2, 3, 5, 7)]
    figure, axes = plt.subplots(2, 3, figsize=(11, 6), sharex=True, sharey=True)
    polls = range(1, 17)
    for axis, name in zip(axes.flat, shown, strict=True):
        for policy in NAMES:
            for scenario, line in ((name, "-"), (HEALTHY.name, ":")):
                ended = endings[policy, scenario, volume]
                when = rolled_back(ended)
                share = [100 * sum(each <= poll for each in when) / len(ended) for poll in polls]
                axis.step(
                    polls,
                    share,
                    line,
                    where="post",
                    color=f"C{NAMES.index(policy)}",
                    label=policy if line == "-" else f"{policy}, healthy",
                )
        axis.set_title(name, fontsize=10)
        axis.grid(alpha=0.3)
    for axis in axes[1]:
        axis.set_xlabel("polls since the deployment")
    for axis in axes[:, 0]:
        axis.set_ylabel("rolled back, %")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=6, fontsize=8, frameon=False)
    figure.suptitle(f"Share of deployments rolled back, {volume} calls a poll")
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(path, dpi=110)
    print(f"\n{path} drawn")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the seeds, no plot")
    parser.add_argument("--choose", action="store_true", help="print the defaults' candidates")
    parser.add_argument("--plot", type=Path, default=Path("docs/health-detection.png"))
    given = parser.parse_args()
    part = 10 if given.quick else 1
    begun = time.monotonic()
    if given.choose:
        choose(300 // part)
    else:
        endings = report(2_000 // part, 250 // part)
        same_rate(600 // part, calm=True)
        same_rate(600 // part, calm=False)
        if not given.quick:
            draw(endings, given.plot)
    print(f"\n{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
