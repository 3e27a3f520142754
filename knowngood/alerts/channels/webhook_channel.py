"""A webhook of one's own: the alert's fields as JSON, for programs to read."""

from collections.abc import Mapping

from pydantic import SecretStr

from knowngood.alerts.alert import Alert
from knowngood.alerts.channels.apprise_channel import AppriseChannel
from knowngood.alerts.channels.port import Channel


class WebhookChannel(AppriseChannel):
    """A URL that takes POST; `title`, `message` and `type` are apprise's, the rest is ours."""

    def options(self, alert: Alert) -> Mapping[str, str]:
        """Add each field, and a header by which a receiver drops what it has had before."""
        fields = alert.model_dump(mode="json", exclude={"title"}, exclude_none=True)
        own = {f":{name}": str(value) for name, value in fields.items()}
        return {**own, "+Idempotency-Key": alert.alert_id}


def open_webhook(url: SecretStr) -> Channel:
    """Open the receiver that `json://host/path` (or `jsons://`, with TLS) names."""
    return WebhookChannel(url)
