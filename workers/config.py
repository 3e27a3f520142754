"""The Celery settings. docs/reliability.md gives the reasons and the measurements behind them."""

from typing import Any

from beat_schedule import beat_schedule
from knowngood.runs.heartbeat import STEP_LIMIT
from knowngood.sentinel import Sentinels, broker
from knowngood.settings import Settings
from workers.queues import ROUTES, queues


def celery_config(settings: Settings) -> dict[str, Any]:
    """Return the Celery configuration for these settings."""
    url, options = broker(settings.broker_url.get_secret_value())
    redis = settings.redis_url.get_secret_value()
    config: dict[str, Any] = {
        "broker_url": url,
        "broker_connection_retry_on_startup": True,
        "broker_connection_timeout": 5,
        # The journal holds every result that somebody reads.
        "result_backend": None,
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "task_queues": queues(url),
        "task_routes": ROUTES,
        "task_default_queue": "rollback",
        "task_create_missing_queues": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "enable_utc": True,
        "timezone": "UTC",
        # Late acks with a journal: a lost message is handed out again, and takes effect once.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_failure_or_timeout": True,
        "worker_prefetch_multiplier": 1,
        "worker_pool": settings.worker_pool,
        "worker_concurrency": settings.worker_concurrency,
        # Each thread sends messages of its own.
        "broker_pool_limit": settings.worker_concurrency + 2,
        "worker_consumer": "workers.consumer:Consumer",
        # A step is a few bounded HTTP calls; one that hangs for so long is killed and taken over.
        "task_time_limit": STEP_LIMIT,
        # SIGTERM lets steps finish and hands waiting ones back to the queue.
        "worker_soft_shutdown_timeout": 15,
        "worker_enable_soft_shutdown_on_idle": True,
        "worker_hijack_root_logger": False,
        "worker_send_task_events": True,
        "task_track_started": True,
        "event_queue_ttl": 60,
        "event_queue_expires": 120,
        "beat_scheduler": "workers.beat.Scheduler",
        "beat_schedule": beat_schedule(settings),
        "beat_max_loop_interval": 1,
        "redbeat_redis_url": redis,
        "redbeat_key_prefix": "kg:beat:",
        "redbeat_lock_timeout": 5,
        "redbeat_redis_options": {"socket_connect_timeout": 3, "socket_timeout": 5},
    }
    if url.startswith(("redis", "rediss", "sentinel")):
        kind = "SentinelTransport" if url.startswith("sentinel") else "Transport"
        config["broker_transport"] = f"workers.transport:{kind}"
        config["broker_transport_options"] = {
            "visibility_timeout": 3600,
            "socket_connect_timeout": 5,
            "socket_timeout": 30,
            "health_check_interval": 15,
            **options,
        }
    if sentinels := Sentinels.named_by(redis):
        config["redbeat_redis_url"] = "redis-sentinel://"
        config["redbeat_redis_options"] = sentinels.redbeat_options
    return config
