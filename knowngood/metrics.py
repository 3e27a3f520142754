"""What Prometheus reads: `exposition` renders the counts that live in Redis, and the queues' depth.

Nothing is counted in a process: pool children are many and short-lived, and a scrape reaches one
process. Counts start from zero when Redis loses its data, which Prometheus takes for a restart.
`examples/prometheus/alerts.yml` watches these metrics; docs/operations.md says what each tells.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Final, NamedTuple, cast

import redis
from kombu.connection import Connection
from kombu.exceptions import ChannelError, OperationalError
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from knowngood.errors import Unreachable, Waiting
from knowngood.genesys.purpose import Priority
from knowngood.health.judgement import Verdict
from knowngood.runs.model import RunKind, RunState
from knowngood.runs.workflows import STEPS
from knowngood.sentinel import broker
from knowngood.settings import Settings
from knowngood.tally import ALERT_DELIVERIES, ALERT_FAILURES, HEALTH_POLLS, key

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
"""The media type of an exposition."""

QUEUES: Final = ("rollback", "deployment", "health", "alerts")

_TERMINAL: Final = tuple(state for state in RunState if state.terminal)
_UNDER_WAY: Final = tuple(state for state in RunState if not state.terminal)
_EACH_STEP: Final = tuple((kind, step) for kind, steps in STEPS.items() for step in steps)

Labels = tuple[str, ...]


class _Counts(NamedTuple):
    """A hash of counts. `known` are the labels that show as 0 before they first happen.

    Without those zeros Prometheus' `increase` would miss each series' first event.
    """

    family: str
    metric: type[CounterMetricFamily] | type[GaugeMetricFamily]
    name: str
    tells: str
    labels: Sequence[str]
    known: Sequence[Labels] = ()


_COUNTS: Final = (
    _Counts(
        "runs",
        GaugeMetricFamily,
        "knowngood_runs",
        "Runs under way",
        ("kind", "state"),
        tuple(product(RunKind, _UNDER_WAY)),
    ),
    _Counts(
        "ended",
        CounterMetricFamily,
        "knowngood_runs_ended",
        "Runs that ended, by their terminal state",
        ("kind", "state"),
        tuple(product(RunKind, _TERMINAL)),
    ),
    _Counts(
        "reconciled",
        CounterMetricFamily,
        "knowngood_runs_reconciled",
        "Runs that the reconciler took over because their executor was silent",
        ("kind",),
        tuple((kind,) for kind in RunKind),
    ),
    _Counts(
        "leases_lost",
        CounterMetricFamily,
        "knowngood_leases_lost",
        "Steps whose executor lost its lease while it worked",
        ("kind",),
        tuple((kind,) for kind in RunKind),
    ),
    _Counts(
        "waits",
        CounterMetricFamily,
        "knowngood_step_waits",
        "Countdowns of steps, by what they waited for; a poll for the live version waits on api",
        ("kind", "step", "on"),
        tuple((kind, step, on) for (kind, step), on in product(_EACH_STEP, Waiting)),
    ),
    _Counts(
        "wait_seconds",
        CounterMetricFamily,
        "knowngood_step_wait_seconds",
        "Seconds of those countdowns",
        ("kind", "step", "on"),
        tuple((kind, step, on) for (kind, step), on in product(_EACH_STEP, Waiting)),
    ),
    _Counts(
        "api_calls",
        CounterMetricFamily,
        "knowngood_api_calls",
        "Calls to Genesys Cloud that took a place below the rate limit, by what they were made for",
        ("priority",),
        tuple((priority,) for priority in Priority),
    ),
    _Counts(
        "rate_limited",
        CounterMetricFamily,
        "knowngood_rate_limited",
        "Calls that found no place: held by our own limiter, or refused by Genesys with a 429",
        ("priority", "by"),
        tuple(product(Priority, ("held", "refused"))),
    ),
    _Counts(
        HEALTH_POLLS,
        CounterMetricFamily,
        "knowngood_health_polls",
        "Polls of watches, by verdict",
        ("verdict",),
        tuple((verdict,) for verdict in Verdict),
    ),
    _Counts(
        "alerts",
        CounterMetricFamily,
        "knowngood_alerts_raised",
        "Alerts put into the outbox",
        ("kind",),
    ),
    _Counts(
        ALERT_DELIVERIES,
        CounterMetricFamily,
        "knowngood_alert_deliveries",
        "Alerts that a channel took, and tries that some channel did not take",
        ("result",),
        (("sent",), ("failed",)),
    ),
    _Counts(
        ALERT_FAILURES,
        CounterMetricFamily,
        "knowngood_alert_failures",
        "Tries that a channel did not take",
        ("channel",),
    ),
)


class _Durations(NamedTuple):
    """A hash of durations in seconds; its bounds are those of journal.lua."""

    family: str
    name: str
    tells: str
    bounds: Sequence[float]
    labels: Sequence[str] = ()
    known: Sequence[Labels] = ((),)


_DURATIONS: Final = (
    _Durations(
        "steps",
        "knowngood_step_duration_seconds",
        "Seconds from a step's first begin to its end, its waits included",
        (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900),
        ("kind", "step"),
        tuple((str(kind), step) for kind, step in _EACH_STEP),
    ),
    _Durations(
        "restore",
        "knowngood_restore_duration_seconds",
        "Seconds from holding the lock until callers hear the known-good version",
        (1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 300, 900),
    ),
)


class _Amount(NamedTuple):
    """A number that Redis holds anyway."""

    name: str
    tells: str
    ask: Callable[[Any], Any]


_AMOUNTS: Final = (
    _Amount("knowngood_watches", "Watches that are on", lambda r: r.zcard("kg:watches:due")),
    _Amount(
        "knowngood_alerts_undelivered",
        "Alerts that some channel has not taken yet",
        lambda r: r.zcard("kg:alerts:due"),
    ),
    _Amount(
        "knowngood_runs_unarchived",
        "Ended runs that the artifact store does not hold yet",
        lambda r: r.scard("kg:runs:unarchived"),
    ),
    _Amount(
        "knowngood_reconciler_last_round_timestamp_seconds",
        "When the reconciler last looked for lost runs, seconds since 1970; 0: never",
        lambda r: r.get("kg:reconciled"),
    ),
)


def exposition(client: redis.Redis, settings: Settings) -> bytes:
    """Render every metric in Prometheus' text format; `client` must decode its responses.

    Raises:
        Unreachable: the journal does not answer. A broker that does not is a metric itself.
    """
    registry = CollectorRegistry()
    registry.register(_Journal(client))
    registry.register(_Broker(settings.broker_url.get_secret_value()))
    return generate_latest(registry)


class _Journal(Collector):
    """What Redis holds, read in one round trip."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        pipe = self._client.pipeline(transaction=False)
        for family in (*_COUNTS, *_DURATIONS):
            pipe.hgetall(key(family.family))
        for amount in _AMOUNTS:
            amount.ask(pipe)
        try:
            found = iter(pipe.execute())
        except RedisError as error:
            raise Unreachable(
                f"the journal does not answer: {type(error).__name__}; see KNOWNGOOD_REDIS_URL"
            ) from error
        for counts in _COUNTS:
            yield _counts(counts, next(found))
        for durations in _DURATIONS:
            yield _durations(durations, next(found))
        for amount in _AMOUNTS:
            yield GaugeMetricFamily(amount.name, amount.tells, value=float(next(found) or 0))


class _Broker(Collector):
    """How many messages wait in each queue that no worker has taken."""

    def __init__(self, url: str) -> None:
        self._url = url

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("knowngood_broker_up", "Whether the broker answers", value=None)
        waiting = GaugeMetricFamily(
            "knowngood_queue_messages", "Messages that no worker has taken yet", labels=["queue"]
        )
        try:
            for queue, messages in _depths(self._url).items():
                waiting.add_metric([queue], messages)
            up.add_metric([], 1)
        except (OperationalError, RedisError, OSError):
            up.add_metric([], 0)
        yield up
        yield waiting


def _depths(url: str) -> Mapping[str, int]:
    url, named = broker(url)
    by_redis = url.startswith(("redis", "sentinel"))
    options = {"socket_connect_timeout": 3, "socket_timeout": 3, **named} if by_redis else {}
    connect: Callable[..., Any] = Connection
    with connect(url, connect_timeout=3, transport_options=options) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=3)
        return {queue: _depth(connection, queue) for queue in QUEUES}


def _depth(connection: Any, queue: str) -> int:
    # RabbitMQ closes a channel on which it was asked for a queue that is not there.
    channel = connection.channel()
    try:
        return int(channel.queue_declare(queue, passive=True).message_count)
    except ChannelError:
        return 0
    finally:
        channel.close()


def _counts(counts: _Counts, found: Mapping[str, str]) -> Metric:
    family = counts.metric(counts.name, counts.tells, labels=list(counts.labels))
    values = dict.fromkeys(counts.known, 0.0)
    values |= {tuple(field.split("|")): float(value) for field, value in found.items()}
    for labels, value in values.items():
        family.add_metric([str(label) for label in labels], value)
    return family


def _durations(durations: _Durations, found: Mapping[str, str]) -> Metric:
    family = HistogramMetricFamily(durations.name, durations.tells, labels=list(durations.labels))
    by_labels: dict[Labels, dict[str, float]] = {labels: {} for labels in durations.known}
    for field, value in found.items():
        *names, part = field.split("|")
        by_labels.setdefault(tuple(names), {})[part] = float(value)
    for labels, parts in by_labels.items():
        buckets, total = [], 0.0
        for bound in (*(f"{bound:g}" for bound in durations.bounds), "+Inf"):
            total += parts.get(bound, 0)
            buckets.append((bound, total))
        family.add_metric([str(x) for x in labels], cast("Any", buckets), parts.get("sum", 0.0))
    return family
