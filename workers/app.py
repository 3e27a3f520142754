"""The Celery app: `celery -A workers.app worker`, `beat` and `flower` start from here."""

import pkgutil
from importlib.util import find_spec

from celery import Celery

from knowngood import settings
from workers.config import celery_config


def _task_modules() -> list[str]:
    spec = find_spec("tasks")
    places = spec.submodule_search_locations if spec else None
    return [f"tasks.{module.name}" for module in pkgutil.iter_modules(places or [])]


app = Celery("knowngood", include=[*_task_modules(), "workers.signals"])
app.conf.update(celery_config(settings.load()))
