"""The job as a Huey pipeline: `huey_consumer bench.speed.apps.huey_app.huey`."""

import os

import redis
from huey import RedisHuey

from bench.speed.calls import STEPS, do

huey = RedisHuey("bench", url=os.environ["BENCH_REDIS"], results=False)
_redis = redis.Redis.from_url(os.environ["BENCH_REDIS"])


@huey.task()
def step(flow: str, number: int) -> None:
    do(number, flow)
    if number == STEPS - 1:
        _redis.lpush("bench:done", flow)


def submit(flow: str) -> None:
    job = step.s(flow, number=0)
    for number in range(1, STEPS):
        job.then(step, flow, number=number)
    huey.enqueue(job)
