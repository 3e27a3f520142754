"""The job as a Dramatiq pipeline: `python -m dramatiq bench.speed.apps.dramatiq_app`."""

import os

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from bench.speed.calls import STEPS, do

broker = RedisBroker(url=os.environ["BENCH_REDIS"])
dramatiq.set_broker(broker)
_redis = redis.Redis.from_url(os.environ["BENCH_REDIS"])


@dramatiq.actor(max_retries=0)
def step(number: int, flow: str) -> None:
    do(number, flow)
    if number == STEPS - 1:
        _redis.lpush("bench:done", flow)


def submit(flow: str) -> None:
    dramatiq.pipeline(
        [
            step.message_with_options(args=(number, flow), pipe_ignore=True)
            for number in range(STEPS)
        ]
    ).run()
