"""How many watches one machine polls, and whether a rollback waits behind them.

Every watch is an hour old (eleven polls) and all fall due in the same second, which is the worst
that can happen: after an outage of the workers. A simulated org answers over HTTP on the same
cores, without latency. Then a whole interval passes with the watches spread as they are in
service. Prints, for each number of watches:

    per second    watches polled a second while all were due
    tick          what one tick takes, median and longest, ms
    rollback      from enqueue to its first step in the middle of it, median and longest, ms
    late          how long after its due time a watch was polled in the whole interval, 95th, s
    memory        bytes of Redis a watch, with its run, its journal and its polls
    queries       calls to analytics for one poll of all watches
"""

import argparse
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from celery import Celery

from knowngood.genesys.guide import GuideGateway
from knowngood.genesys.platform.gateway import PlatformGateway
from knowngood.genesys.port import FlowCounts
from knowngood.health.baseline import Baseline
from knowngood.health.limits import limits_of
from knowngood.health.measurement import measured
from knowngood.health.polling import PER_SECOND
from knowngood.health.watch import Watch, advance
from knowngood.health.watches import DUE, WatchStore, utc
from knowngood.health.windows import Window, spread
from knowngood.runs.model import Run, RunKind, WatchRequest
from knowngood.runs.store import Answer, RunStore, journal_key, new_run_id, open_key
from knowngood.settings import Settings
from tests.stack import Stack, wait_for

SIZES = (100, 1_000, 10_000)
ROLLBACKS = 7
FORMER_POLLS = 11
BATCH = 200
PER_QUERY = {each.dialect: each.flows_per_count for each in (GuideGateway, PlatformGateway)}
"""Flows in a query of each dialect."""


@dataclass
class Row:
    """One measurement; durations in ms or seconds as named."""

    api: str
    watches: int
    per_second: float = 0
    tick_ms: float = 0
    tick_longest_ms: float = 0
    rollback_ms: float = 0
    rollback_longest_ms: float = 0
    rollback_idle_ms: float = 0
    late_s: float = 0
    late_longest_s: float = 0
    bytes_per_watch: int = 0
    queries: int = 0
    interval: float = 0

    def cells(self) -> Sequence[str]:
        return (
            self.api,
            f"{self.watches:,}",
            f"{self.per_second:.0f}",
            f"{self.tick_ms:.0f} / {self.tick_longest_ms:.0f}",
            f"{self.rollback_ms:.0f} / {self.rollback_longest_ms:.0f}",
            f"{self.rollback_idle_ms:.0f}",
            f"{self.late_s:.1f} / {self.late_longest_s:.1f}",
            f"{self.bytes_per_watch:,}",
            f"{self.queries:,}",
        )


HEADERS = (
    "api",
    "watches",
    "per second",
    "tick, ms",
    "rollback, ms",
    "idle, ms",
    "late, s",
    "memory, B",
    "queries",
)


@dataclass
class Runtimes:
    """What each task took, in seconds, as the workers' events tell."""

    by_task: dict[str, list[float]] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def heard(self, broker_url: str) -> Iterator[None]:
        app = Celery(broker=broker_url)
        with app.connection() as connection:
            receiver = app.events.Receiver(
                connection,
                handlers={"task-received": self._began, "task-succeeded": self._ended},
            )
            thread = threading.Thread(target=receiver.capture, kwargs={"wakeup": False})
            thread.start()
            try:
                yield
            finally:
                receiver.should_stop = True
                thread.join()

    def _began(self, event: dict[str, Any]) -> None:
        self._names[event["uuid"]] = event["name"]

    def _ended(self, event: dict[str, Any]) -> None:
        name = self._names.pop(event["uuid"], "")
        self.by_task.setdefault(name, []).append(event["runtime"])


def former_polls(settings: Settings, now: datetime, interval: float) -> Watch:
    """Make a watch that was polled eleven times, for others to be copied from."""
    end = utc(now.timestamp() // interval * interval)
    started = end - timedelta(seconds=interval * (FORMER_POLLS + 1))
    watch = Watch(
        watch_id="-",
        flow_id="-",
        flow_name="Main line",
        version_id="2.0",
        policy=settings.health_policy,
        limits=limits_of(settings),
        interval=interval,
        window=interval,
        delay=0,
        started=started,
        bake_until=now + timedelta(days=1),
        dry_run=False,
        due=now,
    )
    for number in range(FORMER_POLLS):
        start = started + timedelta(seconds=interval * number)
        window = Window(start=start, end=start + timedelta(seconds=interval))
        counts = FlowCounts(
            flow_id="-",
            start=window.start,
            end=window.end,
            total_calls=300 + 7 * number,
            abandoned_calls=11 + number,
            error_count=number % 5,
            average_duration=183.4 + number / 7,
            average_speed_of_answer=21.3 + number / 3,
        )
        told = measured(counts, flow_id="-", window=window, source="guide")
        watch, _ = advance(watch, told, Baseline(), window.end)
    return watch.model_copy(update={"due": now})


def put_on(stack: Stack, flows: Sequence[dict[str, Any]], interval: float) -> list[str]:
    """Put a watch on each flow as its run, its journal and its polls would be by now.

    The first one goes through the journal; the others are copies of what it left in Redis.
    """
    store = stack.client.store
    watches = WatchStore(store.redis)
    now = utc(store.time())
    model = former_polls(stack.settings(), now, interval)
    first = begun(store, flows[0]["id"], (now + timedelta(days=1)).timestamp())
    for poll in model.polls:
        line = {
            "number": poll.number,
            "verdict": poll.judgement.verdict,
            "why": poll.judgement.why,
            "breaches": poll.breaches,
            "volume": poll.measurement.volume if poll.measurement else None,
            "decision": poll.decision,
        }
        store.note_runs("polled", [(first, line)])
    ids = [first.run_id, *(new_run_id() for _ in flows[1:])]
    pairs = list(zip(ids, flows, strict=True))
    for start in range(1, len(pairs), BATCH):
        copy_run(store.redis, first, pairs[start : start + BATCH])
    with ThreadPoolExecutor(4) as pool:
        made = (
            model.model_copy(
                update={"watch_id": run_id, "flow_id": flow["id"], "flow_name": flow["name"]}
            )
            for run_id, flow in pairs
        )
        list(pool.map(watches.add, made))
    return ids


def copy_run(redis: Any, first: Run, pairs: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Copy a run and all that names it for other flows."""
    run, journal = redis.hgetall(f"kg:run:{first.run_id}"), redis.dump(journal_key(first.run_id))
    flow, token = redis.hgetall(f"kg:flow:{first.flow_id}"), redis.get(f"kg:token:{first.flow_id}")
    at = first.created.timestamp()
    pipe = redis.pipeline(transaction=False)
    for run_id, each in pairs:
        pipe.hset(f"kg:run:{run_id}", mapping={**run, "run_id": run_id, "flow_id": each["id"]})
        pipe.restore(journal_key(run_id), 0, journal)
        pipe.hset(f"kg:flow:{each['id']}", mapping=flow)
        pipe.set(f"kg:token:{each['id']}", token)
        pipe.zadd("kg:runs", {run_id: at})
        pipe.zadd("kg:runs:active", {run_id: at + 86_400})
        pipe.sadd(open_key(RunKind.WATCH), run_id)
    pipe.execute()


def begun(store: RunStore, flow_id: str, until: float) -> Run:
    """Accept a watch and do its one step, as `deployment.watch` does."""
    request = WatchRequest(flow_id=flow_id, requested_by="bench")
    run_id = store.create(RunKind.WATCH, request).run_id
    token = store.get(run_id).token
    answer, run, claim = store.begin(run_id, token, RunKind.WATCH, "watch", "bench")
    if answer is not Answer.GO or run is None:
        raise SystemExit(f"watch {run_id} could not begin: {answer}")
    store.finish_step(claim, run, {"version": "2.0"}, {"flow_name": "Main line"})
    store.park(run_id, token, until, {})
    return run


def measure(api: str, number: int, interval: float) -> Row:
    row = Row(api, number, interval=interval)
    # History is read once an hour and flow; it is left out here to measure polls alone.
    with Stack(api=api, HEALTH_HISTORY_DAYS="0") as stack:
        stack.sim.reset(flows=number + 4 * ROLLBACKS)
        if api == "platform":
            stack.sim.oauth(allowed_per_token=300, allowed_per_client=3_000)
        stack.sim.settings(ledger_limit=1_000)
        flows = stack.sim.flows()
        redis: Any = stack.client.store.redis
        empty = redis.info("memory")["used_memory"]
        ids = put_on(stack, flows[:number], interval)
        row.bytes_per_watch = (redis.info("memory")["used_memory"] - empty) // number
        spare = iter([flow["id"] for flow in flows[number:]])
        stack.worker(queues="rollback", concurrency=2)
        row.rollback_idle_ms = statistics.median(delays(stack, spare))
        runtimes = Runtimes()
        with runtimes.heard(stack.env["BROKER_URL"]):
            stack.worker(queues="deployment,health,alerts", concurrency=2)
            now = stack.client.store.time()
            redis.zadd(DUE, dict.fromkeys(ids, now))
            stack.beat()
            late, began = drained(stack, ids, row, spare)
            row.queries = queries(stack)
            row.per_second = number / (late - began)
            lateness(stack, ids, row)
        ticks = [1000 * took for took in runtimes.by_task.get("health.tick", [0])]
        row.tick_ms, row.tick_longest_ms = statistics.median(ticks), max(ticks)
    return row


def drained(
    stack: Stack, ids: Sequence[str], row: Row, spare: Iterator[str]
) -> tuple[float, float]:
    """Wait until all watches were polled, with rollbacks in the middle; the end and the begin."""
    redis: Any = stack.client.store.redis
    watches, number = WatchStore(redis), len(ids)
    least = number / PER_QUERY[row.api]
    began = wait_for(lambda: taken(redis) and time.time(), timeout=60, what="the first batch")
    told = delays(stack, spare) if number >= 1_000 else []
    # Those that find no place below the rate limit are put off, and come back.
    wait_for(lambda: queries(stack) >= least and all_polled(watches, ids), timeout=600)
    ended = time.time()
    if not told:
        told = delays(stack, spare)
    if watches.count() != number:
        raise SystemExit(f"{watches.count()} of {number} watches are left")
    row.rollback_ms, row.rollback_longest_ms = statistics.median(told), max(told)
    return ended, began


def all_polled(watches: WatchStore, ids: Sequence[str]) -> bool:
    """Say whether each watch has one more poll than it was made with."""
    return all(
        watch.number > FORMER_POLLS
        for start in range(0, len(ids), BATCH)
        for watch in watches.get(ids[start : start + BATCH])
    )


def taken(redis: Any) -> int:
    """Return how many watches are out."""
    return int(redis.zcard("kg:watches:out"))


def delays(stack: Stack, flows: Iterator[str]) -> list[float]:
    """Enqueue rollbacks one after the other; return the ms from enqueue to the first step."""
    found = []
    for flow in islice(flows, ROLLBACKS):
        run_id = stack.client.rollback(flow, "bench").run_id
        for entry in stack.client.follow(run_id):
            if entry is not None and entry.event == "accepted":
                accepted = entry.at
            if entry is not None and entry.event == "step-started":
                found.append(1000 * (entry.at - accepted).total_seconds())
                break
        stack.ended(run_id)
    return found


def queries(stack: Stack) -> int:
    return int(stack.sim.counts().get("kpis", 0))


def lateness(stack: Stack, ids: Sequence[str], row: Row) -> None:
    """Let a whole interval pass and see when each watch was polled in it."""
    watches = WatchStore(stack.client.store.redis)
    interval = row.interval
    begins = utc((time.time() // interval + 1) * interval)
    until = begins.timestamp() + interval - 1
    wait_for(lambda: time.time() > until, timeout=3 * interval)
    late = []
    for start in range(0, len(ids), BATCH):
        for watch in watches.get(ids[start : start + BATCH]):
            share = spread(
                watch.watch_id, watches=len(ids), per_second=PER_SECOND, interval=interval
            )
            due = begins + timedelta(seconds=share)
            polls = [p.at for p in watch.polls if p.at >= begins]
            if not polls:
                raise SystemExit(f"watch {watch.watch_id} was not polled in its interval")
            late.append((polls[0] - due).total_seconds())
    late.sort()
    row.late_s, row.late_longest_s = late[int(0.95 * (len(late) - 1))], late[-1]


def rows(
    apis: Sequence[str] = ("guide",), sizes: Sequence[int] = SIZES, interval: float = 60
) -> list[Row]:
    """Measure each number of watches in each dialect."""
    return [measure(api, size, interval) for api in apis for size in sizes]


def table(found: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [HEADERS, ["---"] * len(HEADERS), *(row.cells() for row in found)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--api", action="append", choices=["guide", "platform"])
    parser.add_argument("--watches", action="append", type=int)
    parser.add_argument("--interval", type=float, default=60)
    given = parser.parse_args()
    found = rows(given.api or ["guide"], given.watches or SIZES, given.interval)
    print(table(found))
    for row in found:
        print(asdict(row))


if __name__ == "__main__":
    main()
