"""The job as a plain Celery chain with Celery's defaults: `celery -A bench.speed.apps.celery_app`.

Its messages are acknowledged before they are worked on, and no events are sent.
"""

import os

import redis
from celery import Celery, chain

from bench.speed.calls import STEPS, do

app = Celery("bench", broker=os.environ["BENCH_REDIS"])
app.conf.task_ignore_result = True
_redis = redis.Redis.from_url(os.environ["BENCH_REDIS"])


@app.task(name="bench.step")
def step(flow: str, number: int) -> None:
    do(number, flow)
    if number == STEPS - 1:
        _redis.lpush("bench:done", flow)


def submit(flow: str) -> None:
    chain(*(step.si(flow, number) for number in range(STEPS))).apply_async()
