"""A bare Celery app with the worker settings of knowngood: the chain that a rollback is held to."""

import os
import time

import redis
from celery import Celery

from knowngood import settings
from workers.config import celery_config

app = Celery("bare")
app.conf.update(celery_config(settings.load()))
app.conf.task_routes = {"bare.*": {"queue": "rollback"}}
if seconds := os.environ.get("KNOWNGOOD_VISIBILITY_TIMEOUT"):
    app.conf.broker_transport_options = {"visibility_timeout": float(seconds)}
_redis = redis.Redis.from_url(settings.load().redis_url.get_secret_value())


@app.task(name="bare.noop")
def noop(run: str, *, last: bool = False) -> None:
    """Do nothing; the last one of a chain says so."""
    if last:
        _redis.lpush(f"bare:{run}", "done")


@app.task(name="bare.hold")
def hold(run: str) -> None:
    """Say that it began, and stay."""
    _redis.lpush(f"bare:{run}", "begun")
    time.sleep(300)
