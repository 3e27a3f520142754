"""The run journal in Redis: every change is one atomic compare-and-set.

`journal.lua` holds the operations; this module gives them types. A caller that lost its lease
(a newer fencing token exists, or its claim ended) gets `LeaseLost` and must write nothing more.
Times are the Redis server's own unless a clock is injected. Durations are seconds.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any, Final, cast

import redis
from redis.exceptions import RedisError
from redis.sentinel import Sentinel

from knowngood.alerts.alert import Alert
from knowngood.errors import LeaseLost, Refused, Unreachable
from knowngood.runs.model import Counters, JournalEntry, Request, Run, RunKind, RunState
from knowngood.runs.workflows import NO_RETURN, position, step_at
from knowngood.sentinel import Sentinels

_SCRIPT: Final = files("knowngood.runs").joinpath("journal.lua").read_text()
HANDOVER: Final = 4.0
"""Seconds that a message may take from one step's end to the next one's begin."""
_PAGE: Final = 200
_MOST_SEARCHED: Final = 5_000
"""Runs that one search looks at, at most: it must not keep Redis from the workers."""


class Answer(StrEnum):
    """What the journal says to a step that asks to begin."""

    GO = "go"
    DONE = "done"
    BUSY = "busy"
    STALE = "stale"
    ENDED = "ended"
    GONE = "gone"


@dataclass(frozen=True)
class Accepted:
    """The answer to a request. `joined`: another run of the flow is under way, this is its id."""

    run_id: str
    answer: str

    @property
    def created(self) -> bool:
        """Say whether the request started a run of its own."""
        return self.answer in {"created", "exists"}


@dataclass(frozen=True)
class Claim:
    """The right to execute one step of a run: the fencing token and this delivery's claim."""

    run_id: str
    token: int
    claim: str


def new_run_id() -> str:
    """Return a fresh run id; it is also the entry task's id in Celery."""
    return str(uuid.uuid4())


FEED: Final = "kg:feed"
"""The stream that names each run as it changes, for whoever looks at all of them."""


def journal_key(run_id: str) -> str:
    """Return the name of a run's journal, a Redis stream."""
    return f"kg:journal:{run_id}"


def open_key(kind: RunKind) -> str:
    """Return the name of the set of a kind's runs that have not ended."""
    return f"kg:runs:open:{kind}"


def _fingerprint(request: Request) -> str:
    """Return a digest of what is asked for, whoever asks."""
    asked = request.model_dump(mode="json", exclude={"idempotency_key", "requested_by"})
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def connect(url: str) -> redis.Redis:
    """Open a pooled connection that fails in seconds, not minutes."""
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_connect_timeout": 3,
        "socket_timeout": 10,
        "health_check_interval": 15,
    }
    if sentinels := Sentinels.named_by(url):
        ask: Callable[..., Any] = Sentinel
        found = ask(**sentinels.arguments(options)).master_for(sentinels.master, db=sentinels.db)
        return cast("redis.Redis", found)
    return redis.Redis.from_url(url, **options)


class RunStore:
    """The journal of all runs."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        lease_ttl: float = 6,
        retention: float = 14 * 86_400,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.redis = client
        self.lease_ttl = lease_ttl
        self.retention = int(retention)
        self._clock = clock
        self._script = client.register_script(_SCRIPT)

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        given = self._given(arguments)
        reply = self._ask(lambda: self._script(keys=[], args=[operation, given]))
        return cast("dict[str, Any]", json.loads(reply))

    def _given(self, arguments: Mapping[str, Any]) -> str:
        given = {name: value for name, value in arguments.items() if value is not None}
        if self._clock is not None:
            given["now"] = self._clock()
        return json.dumps(given)

    def _owned(self, operation: str, claim: Claim, **arguments: Any) -> dict[str, Any]:
        reply = self._call(
            operation, run_id=claim.run_id, token=str(claim.token), claim=claim.claim, **arguments
        )
        if reply["answer"] != Answer.GO:
            raise LeaseLost(f"run {claim.run_id} is {reply['answer']} for token {claim.token}")
        return reply

    def create(
        self,
        kind: RunKind,
        request: Request,
        *,
        run_id: str | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> Accepted:
        """Accept a request: write its run, or find the run that it joins or repeats.

        A rollback takes the flow's lease; a second one joins the first. The same idempotency key
        always gives the same run. Repeating this with the same `run_id` changes nothing.

        Raises:
            Refused: the idempotency key was given before, with another request.
            Unreachable: Redis does not answer; nothing was accepted.
        """
        run_id = run_id or new_run_id()
        reply = self._call(
            "create",
            run_id=run_id,
            kind=kind,
            flow_id=request.flow_id,
            position=0,
            step=step_at(kind, 0),
            request=request.model_dump_json(exclude_none=True),
            idempotency_key=request.idempotency_key,
            # A run that is taken up again was given its target since: it is not what was asked.
            fingerprint=None if facts else _fingerprint(request),
            exclusive=kind is RunKind.ROLLBACK or None,
            facts=dict(facts or {}),
            retention=self.retention,
            grace=HANDOVER,
        )
        if reply["answer"] == "reused":
            raise Refused(
                "idempotency_key",
                request.idempotency_key,
                f"another {kind} was asked for with this key; give each request a key of its own",
            )
        return Accepted(reply["run_id"], reply["answer"])

    def dispatch(self, run_id: str) -> Run | None:
        """Say once, to one caller, that the run's first message is to be sent; else None."""
        reply = self._call("dispatch", run_id=run_id, grace=HANDOVER)
        return Run.from_hash(reply["run"]) if reply["answer"] == Answer.GO else None

    def begin(
        self, run_id: str, token: int, kind: RunKind, step: str, worker: str
    ) -> tuple[Answer, Run | None, Claim]:
        """Claim a step for this delivery, for `lease_ttl` seconds; only GO may execute it.

        The run is told with GO, and with ENDED.
        """
        claim = Claim(run_id, token, uuid.uuid4().hex)
        reply = self._call(
            "begin",
            run_id=run_id,
            token=str(token),
            position=position(kind, step),
            step=step,
            new_claim=claim.claim,
            ttl=self.lease_ttl,
            worker=worker,
        )
        run = Run.from_hash(reply["run"]) if "run" in reply else None
        return Answer(reply["answer"]), run, claim

    def renew(self, claim: Claim) -> None:
        """Hold the lease for another `lease_ttl` seconds; LeaseLost when it was taken over.

        Called as a heartbeat while a step executes, and as the fence before every write.
        """
        self._owned("renew", claim, ttl=self.lease_ttl)

    def note(self, claim: Claim, event: str, detail: Mapping[str, Any]) -> None:
        """Append a line to the journal without changing the run."""
        self._owned("note", claim, event=event, detail=json.dumps(detail))

    def note_runs(self, event: str, details: Sequence[tuple[Run, Mapping[str, Any]]]) -> list[bool]:
        """Append a line to each of many runs that no step executes, such as watches, at once.

        Returns for each whether the run took it: False once it ended.
        """
        if not details:
            return []

        def write() -> list[str]:
            pipe = self.redis.pipeline(transaction=False)
            for run, detail in details:
                given = {
                    "run_id": run.run_id,
                    "token": str(run.token),
                    "event": event,
                    "detail": json.dumps(detail),
                }
                self._script(keys=[], args=["note", self._given(given)], client=pipe)
            return cast("list[str]", pipe.execute())

        return [json.loads(reply)["answer"] == Answer.GO for reply in self._ask(write)]

    def many(self, run_ids: Sequence[str]) -> Mapping[str, Run]:
        """Read runs by id; those that Redis does not hold are left out."""
        pipe = self.redis.pipeline(transaction=False)
        for run_id in run_ids:
            pipe.hgetall(f"kg:run:{run_id}")
        rows = cast("list[dict[str, str]]", self._ask(pipe.execute))
        return {row["run_id"]: Run.from_hash(row) for row in rows if row}

    def finish_step(
        self,
        claim: Claim,
        run: Run,
        result: Mapping[str, Any],
        facts: Mapping[str, str],
        stamps: Sequence[str] = (),
    ) -> Run:
        """Record a step as done, with what it found out about the run, and return the run.

        Of the run's fields, `facts` are set as given and `stamps` to the journal's time.
        """
        reply = self._owned(
            "finish_step",
            claim,
            position=run.position,
            next_step=step_at(run.kind, run.position + 1),
            result=json.dumps(result),
            facts=dict(facts),
            stamps=list(stamps),
            grace=HANDOVER,
        )
        return Run.from_hash(reply["run"])

    def wait(
        self,
        claim: Claim,
        *,
        waiting_on: str,
        countdown: float,
        counters: Counters,
        detail: Mapping[str, Any],
    ) -> Run:
        """Record that the step is to be repeated in `countdown` seconds, and return the run."""
        reply = self._owned(
            "wait",
            claim,
            waiting_on=waiting_on,
            countdown=countdown,
            counters=counters.model_dump_json(),
            detail=json.dumps(detail),
            grace=HANDOVER,
        )
        return Run.from_hash(reply["run"])

    def rewind(
        self, claim: Claim, run: Run, step: str, facts: Mapping[str, str], detail: Mapping[str, Any]
    ) -> Run:
        """Go back to an earlier step under a new token, and return the run as it is then."""
        reply = self._owned(
            "rewind",
            claim,
            position=position(run.kind, step),
            step=step,
            facts=dict(facts),
            detail=json.dumps(detail),
            grace=HANDOVER,
        )
        return Run.from_hash(reply["run"])

    def park(self, run_id: str, token: int, until: float, facts: Mapping[str, str]) -> bool:
        """Leave a run to whatever drives it (a watch's polls) until `until`, seconds since 1970."""
        reply = self._call("park", run_id=run_id, token=str(token), until=until, facts=dict(facts))
        return bool(reply["answer"] == Answer.GO)

    def end(
        self,
        run_id: str,
        token: int,
        state: RunState,
        *,
        claim: str | None = None,
        outcome: str = "",
        error: str = "",
        result: Mapping[str, Any] | None = None,
        facts: Mapping[str, str] | None = None,
        alert: Alert | None = None,
    ) -> Run | None:
        """Write the terminal state, free the lease and put the alert in the outbox, at once.

        Returns the run as it ended, or None when another executor was first.
        """
        reply = self._call(
            "end_run",
            run_id=run_id,
            token=str(token),
            claim=claim,
            state=state,
            outcome=outcome or state,
            error=error,
            result=None if result is None else json.dumps(result),
            facts=dict(facts or {}),
            alert_id=alert.alert_id if alert else None,
            alert=alert.model_dump_json() if alert else None,
            retention=self.retention,
        )
        return Run.from_hash(reply["run"]) if reply["answer"] == Answer.GO else None

    def cancel(self, run_id: str, reason: str) -> None:
        """End a run that has not begun to change its flow.

        Raises:
            Refused: there is no such run, it has ended, or it is past the point of no return.
        """
        run_id = self.resolve(run_id)
        limits = {kind: position(kind, step) for kind, step in NO_RETURN.items()}
        reply = self._call(
            "cancel", run_id=run_id, error=reason, no_return=limits, retention=self.retention
        )
        match reply["answer"]:
            case "gone":
                raise Refused("run", run_id, "no such run; `knowngood runs` lists them")
            case "ended":
                raise Refused("run", run_id, f"it has already ended: {reply['state']}")
            case "too-late":
                raise Refused(
                    "run",
                    run_id,
                    f"step {reply['step']} is changing the flow; it goes on to its end so that the "
                    "flow is not left half-way",
                )

    def take_over(self, run_id: str, *, backlog: bool) -> Run | None:
        """Take a silent run over under a new token; None when it is alive, queued or ended."""
        reply = self._call("take_over", run_id=run_id, backlog=backlog or None, grace=HANDOVER)
        return Run.from_hash(reply["run"]) if reply["answer"] == Answer.GO else None

    def raise_alert(self, alert: Alert) -> None:
        """Put an alert in the outbox; the same alert id is put once."""
        self._call("alert", alert_id=alert.alert_id, alert=alert.model_dump_json())

    def time(self) -> float:
        """Return the journal's clock, seconds since 1970."""
        if self._clock is not None:
            return self._clock()
        seconds, microseconds = cast("tuple[int, int]", self._ask(self.redis.time))
        return seconds + microseconds / 1e6

    def silent(self, limit: int = 500) -> Sequence[str]:
        """Return the ids of runs whose time is up, the longest silent first."""
        return cast(
            "list[str]",
            self._ask(
                lambda: self.redis.zrangebyscore(
                    "kg:runs:active", "-inf", self.time(), start=0, num=limit
                )
            ),
        )

    def resolve(self, run_id: str) -> str:
        """Follow a request that joined another run to that run's id."""
        return cast("str | None", self._ask(lambda: self.redis.get(f"kg:alias:{run_id}"))) or run_id

    def find(self, run_id: str) -> Run | None:
        """Read a run, or None when Redis does not hold it."""
        fields = self._ask(lambda: self.redis.hgetall(f"kg:run:{run_id}"))
        if not fields:
            run_id = self.resolve(run_id)
            fields = self._ask(lambda: self.redis.hgetall(f"kg:run:{run_id}"))
        return Run.from_hash(cast("dict[str, str]", fields)) if fields else None

    def get(self, run_id: str) -> Run:
        """Read a run.

        Raises:
            Refused: there is no such run.
        """
        run = self.find(run_id)
        if run is None:
            raise Refused("run", run_id, "no such run; `knowngood runs` lists them")
        return run

    def recent(self, limit: int = 20) -> Sequence[Run]:
        """Read the newest runs, newest first."""
        ids = cast("list[str]", self._ask(lambda: self.redis.zrevrange("kg:runs", 0, limit - 1)))
        pipe = self.redis.pipeline(transaction=False)
        for run_id in ids:
            pipe.hgetall(f"kg:run:{run_id}")
        rows = cast("list[dict[str, str]]", self._ask(pipe.execute))
        return [Run.from_hash(row) for row in rows if row]

    def search(
        self,
        limit: int,
        *,
        states: Collection[RunState] = (),
        kinds: Collection[RunKind] = (),
        flow_id: str | None = None,
    ) -> Sequence[Run]:
        """Read the newest runs of these states and kinds (all when empty), newest first."""
        found: list[Run] = []
        for start in range(0, _MOST_SEARCHED, _PAGE):
            ids = cast(
                "list[str]",
                self._ask(lambda s=start: self.redis.zrevrange("kg:runs", s, s + _PAGE - 1)),  # type: ignore[misc]
            )
            found += (
                run
                for run in self.many(ids).values()
                if (not states or run.state in states)
                and (not kinds or run.kind in kinds)
                and flow_id in {None, run.flow_id}
            )
            if len(found) >= limit or len(ids) < _PAGE:
                break
        return found[:limit]

    def holder(self, flow_id: str) -> str | None:
        """Return the id of the rollback that holds the flow's lease, or None."""
        return cast("str | None", self._ask(lambda: self.redis.get(f"kg:lease:{flow_id}")))

    def started_by(self, kind: RunKind, idempotency_key: str) -> str | None:
        """Return the id of the run that an idempotency key has started or joined, or None."""
        key = f"kg:idem:{kind}:{idempotency_key}"
        return cast("str | None", self._ask(lambda: self.redis.get(key)))

    def last_live(self, flow_id: str) -> str | None:
        """Return the version that was live when a rollback of the flow last looked, or None."""
        return cast("str | None", self._ask(lambda: self.redis.hget(f"kg:flow:{flow_id}", "live")))

    def journal(self, run_id: str, after: str = "-") -> Sequence[JournalEntry]:
        """Read a run's journal, oldest first, after an entry id."""
        start = after if after == "-" else f"({after}"
        rows = self._ask(lambda: self.redis.xrange(journal_key(run_id), start, "+"))
        return [JournalEntry.from_stream(entry_id, fields) for entry_id, fields in rows]

    def follow(
        self, run_id: str, after: str = "0", *, block: float = 1.0
    ) -> Iterator[JournalEntry | None]:
        """Yield journal entries as they come; None after each `block` seconds without one."""
        last = after
        while True:
            streams: dict[Any, Any] = {journal_key(run_id): last}
            rows = cast(
                "list[Any] | dict[str, Any]",
                self._ask(lambda s=streams: self.redis.xread(s, block=int(block * 1000))),  # type: ignore[misc]
            )
            batches = rows.values() if isinstance(rows, dict) else [row[1] for row in rows or []]
            came = False
            for batch in batches:
                entries = batch[0] if batch and isinstance(batch[0], list) else batch
                for entry_id, fields in entries:
                    last = entry_id
                    came = True
                    yield JournalEntry.from_stream(entry_id, fields)
            if not came:
                yield None

    def active(self, kind: RunKind) -> Sequence[Run]:
        """Read the runs of a kind that have not ended."""
        ids = cast("set[str]", self._ask(lambda: self.redis.smembers(open_key(kind))))
        return list(self.many(sorted(ids)).values())

    def unarchived(self, limit: int) -> Sequence[str]:
        """Return ids of ended runs that the artifact store does not hold yet."""
        return cast(
            "list[str]", self._ask(lambda: self.redis.srandmember("kg:runs:unarchived", limit))
        )

    def archived(self, run_id: str) -> None:
        """Forget that a run is still to be archived."""
        self._ask(lambda: self.redis.srem("kg:runs:unarchived", run_id))

    def export(self, run_id: str, beside: Mapping[str, Any]) -> bytes:
        """Return a run's whole record as JSON: its journal, and what is to be kept `beside`."""
        fields = self._ask(lambda: self.redis.hgetall(f"kg:run:{run_id}"))
        entries = self._ask(lambda: self.redis.xrange(journal_key(run_id)))
        journal = [{"id": entry_id, **entry} for entry_id, entry in entries]
        whole = {**beside, "run": fields, "journal": journal}
        return json.dumps(whole, sort_keys=True).encode()

    def purge(self) -> None:
        """Drop ended runs from the index once their retention is over."""
        oldest = self.time() - self.retention
        self._ask(lambda: self.redis.zremrangebyscore("kg:runs", "-inf", oldest))

    def note_round(self) -> None:
        """Remember when a reconciler last looked for lost runs, for the metrics."""
        self._ask(lambda: self.redis.set("kg:reconciled", self.time()))

    def born(self) -> bool:
        """Say whether this Redis has been known to hold the journal."""
        return bool(self._ask(lambda: self.redis.exists("kg:born")))

    def mark_born(self) -> None:
        """Note that this Redis holds the journal from now on."""
        self._ask(lambda: self.redis.set("kg:born", self.time(), nx=True))

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except RedisError as error:
            raise Unreachable(
                f"the journal does not answer: {type(error).__name__}; see KNOWNGOOD_REDIS_URL"
            ) from error
