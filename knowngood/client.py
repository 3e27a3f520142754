"""The typed client for Python services: enqueue a snapshot, a watch or a rollback, and wait.

```python
from knowngood.client import Client

run = Client().rollback("2f1e…", reason="error rate after deploy 41").run_id
```

Input is checked here, before anything is enqueued. Times are UTC, durations are seconds.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from knowngood import settings as settings_module
from knowngood.errors import Unreachable
from knowngood.genesys.port import Dependency
from knowngood.runs.entry import checked
from knowngood.runs.model import JournalEntry, Request, Run, RunKind
from knowngood.runs.store import Accepted, RunStore, connect, new_run_id
from knowngood.sentinel import broker
from knowngood.settings import Settings
from workers.queues import queues

ENTRY_TASKS = {
    RunKind.ROLLBACK: ("rollback.start", "rollback"),
    RunKind.SNAPSHOT: ("deployment.snapshot", "deployment"),
    RunKind.WATCH: ("deployment.watch", "deployment"),
}
"""The task that starts each kind of run, and its queue."""


class Client:
    """Starts runs and reads how they fare."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or settings_module.load()

    @cached_property
    def store(self) -> RunStore:
        """The run journal."""
        return RunStore(
            connect(self.settings.redis_url.get_secret_value()),
            lease_ttl=self.settings.lease_ttl,
            retention=self.settings.run_retention,
        )

    @cached_property
    def celery(self) -> Celery:
        """The Celery app that messages are sent with."""
        url, options = broker(self.settings.broker_url.get_secret_value())
        app = Celery("knowngood.client", broker=url)
        app.conf.update(
            task_queues=queues(url),
            task_ignore_result=True,
            broker_connection_timeout=3,
            broker_transport_options={
                "socket_connect_timeout": 3,
                "socket_timeout": 10,
                **options,
            },
            task_publish_retry=False,
        )
        return app

    def rollback(
        self,
        flow_id: str,
        reason: str,
        target_version_id: str | None = None,
        requested_by: str | None = None,
        idempotency_key: str | None = None,
        *,
        from_version_id: str | None = None,
        blame: bool = True,
    ) -> Accepted:
        """Roll a flow back. A rollback of the flow that is under way is joined.

        With `blame`, what is rolled back from is marked as bad.

        Raises:
            Refused: a value is wrong; nothing was enqueued.
            Unreachable: the journal or the broker does not answer; nothing was enqueued.
        """
        return self.start(
            RunKind.ROLLBACK,
            flow_id=flow_id,
            reason=reason,
            target_version_id=target_version_id,
            requested_by=requested_by,
            idempotency_key=idempotency_key,
            from_version_id=from_version_id,
            blame=blame,
        )

    def snapshot(
        self,
        flow_id: str,
        description: str | None = None,
        *,
        revision: str | None = None,
        routing: Mapping[str, Any] | None = None,
        dependencies: Sequence[Dependency] | None = None,
        requested_by: str | None = None,
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Record a flow before a deployment; the arguments are those of `SnapshotRequest`.

        Raises:
            Refused, Unreachable: as for `rollback`.
        """
        return self.start(
            RunKind.SNAPSHOT,
            flow_id=flow_id,
            description=description,
            revision=revision,
            routing=routing,
            dependencies=dependencies,
            requested_by=requested_by,
            idempotency_key=idempotency_key,
        )

    def watch(
        self,
        flow_id: str,
        *,
        version_id: str | None = None,
        policy: str | None = None,
        bake_time: float | None = None,
        interval: float | None = None,
        dry_run: bool | None = None,
        standing: bool = False,
        requested_by: str | None = None,
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Watch a flow's health after a deployment; None takes the setting. Seconds.

        Raises:
            Refused, Unreachable: as for `rollback`.
        """
        return self.start(
            RunKind.WATCH,
            flow_id=flow_id,
            version_id=version_id,
            policy=policy,
            bake_time=bake_time,
            interval=interval,
            dry_run=dry_run,
            standing=standing,
            requested_by=requested_by,
            idempotency_key=idempotency_key,
        )

    def start(self, kind: RunKind, **fields: Any) -> Accepted:
        """Check a request, write its run and enqueue it."""
        request = checked(kind, fields)
        # First, so that a broker that is down leaves no accepted run behind.
        self._broker_answers(ENTRY_TASKS[kind][1])
        accepted = self.store.create(kind, request, run_id=new_run_id())
        if accepted.created:
            self._enqueue(kind, accepted.run_id, request)
        return accepted

    def _broker_answers(self, queue: str) -> None:
        """Ask the broker for a queue, over the connection that the message will be sent by."""
        try:
            with self.celery.producer_or_acquire() as producer:

                def declare() -> None:
                    self.celery.amqp.queues[queue].queue_declare(channel=producer.channel)

                kept = producer.connection
                kept.ensure_connection(max_retries=1, interval_start=0.1, timeout=3)
                # A kept connection may have gone stale: that is no broker which is down.
                kept.ensure(producer, declare, max_retries=1, interval_start=0.1)()
        except (OperationalError, OSError) as error:
            raise Unreachable(
                f"the broker does not answer: {type(error).__name__}; see KNOWNGOOD_BROKER_URL"
            ) from None

    def _enqueue(self, kind: RunKind, run_id: str, request: Request) -> None:
        task, queue = ENTRY_TASKS[kind]
        arguments = request.model_dump(mode="json", exclude_none=True)
        try:
            self.celery.send_task(task, kwargs=arguments, queue=queue, task_id=run_id)
        except (OperationalError, OSError) as error:
            self.store.cancel(run_id, "could not be enqueued")
            raise Unreachable(
                f"the broker did not take the run: {type(error).__name__}; nothing was started"
            ) from None

    def check(self) -> None:
        """Return when runs can be accepted.

        Raises:
            Unreachable: the journal or the broker does not answer.
        """
        self.store.time()
        self._broker_answers(ENTRY_TASKS[RunKind.ROLLBACK][1])

    def cancel(self, run_id: str, reason: str = "cancelled by a person") -> None:
        """End a run that has not begun to change its flow.

        Raises:
            Refused: no such run, ended, or past the point of no return.
        """
        self.store.cancel(run_id, reason)

    def get(self, run_id: str) -> Run:
        """Read a run; Refused when there is none."""
        return self.store.get(run_id)

    def follow(self, run_id: str, after: str = "0") -> Iterator[JournalEntry | None]:
        """Yield the run's journal as it grows; None each second without news."""
        return self.store.follow(self.store.resolve(run_id), after)

    def wait(self, run_id: str, timeout: float | None = None) -> Run:
        """Wait until a run ends, or `timeout` seconds; return it as it is then."""
        deadline = None if timeout is None else time.monotonic() + timeout
        run = self.get(run_id)
        for _ in self.follow(run.run_id):
            run = self.get(run.run_id)
            if run.state.terminal or (deadline is not None and time.monotonic() >= deadline):
                break
        return run
