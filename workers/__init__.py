"""How processes run: the Celery app, its queues, signals and logging."""
