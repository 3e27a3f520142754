"""The queues, and which task goes where: polls can never delay a rollback."""

from typing import Any, Final

from kombu.entity import Exchange, Queue

NAMES: Final = ("rollback", "deployment", "health", "alerts")

ROUTES: Final = {
    "rollback.*": {"queue": "rollback"},
    "runs.*": {"queue": "rollback"},
    "deployment.*": {"queue": "deployment"},
    "health.*": {"queue": "health"},
    "alerts.*": {"queue": "alerts"},
}


def queues(broker_url: str) -> list[Queue]:
    """Declare the queues; on RabbitMQ as quorum queues, which survive a broker's loss."""
    arguments: dict[str, Any] = {}
    if broker_url.startswith(("amqp", "pyamqp")):
        arguments = {"x-queue-type": "quorum"}
    return [
        Queue(name, Exchange(name, type="direct"), routing_key=name, queue_arguments=arguments)
        for name in NAMES
    ]
