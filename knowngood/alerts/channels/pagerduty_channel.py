"""PagerDuty: one incident for each trouble, resolved when knowngood says that it is over."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import SecretStr

from knowngood.alerts.alert import Alert
from knowngood.alerts.channels.apprise_channel import AppriseChannel
from knowngood.alerts.channels.port import Channel


class PagerDutyChannel(AppriseChannel):
    """A service of PagerDuty, by Events API v2."""

    def text(self, alert: Alert) -> str:
        """Return the summary's second line: what to do, for a summary is all that is read out."""
        return f"Do now: {alert.what_to_do}"

    def options(self, alert: Alert) -> Mapping[str, str]:
        """Name the incident, so that an alert sent twice opens one, and give its details."""
        details = {
            "what happened": alert.what_happened,
            "what was tried": alert.what_was_tried,
            "what to do": alert.what_to_do,
            "flow": f"{alert.flow_name} ({alert.flow_id})",
            "run": alert.run_id,
            "alert": alert.alert_id,
            "Genesys correlation id": alert.correlation_id,
        }
        named = {f"+{name}": text for name, text in details.items() if text}
        if not urlsplit(self._url.get_secret_value()).path.strip("/"):
            named |= {"source": "knowngood", "component": alert.flow_name}
        return {"action": "map", "dedup": alert.dedupe_key, "class": alert.kind, **named}


def open_pagerduty(url: SecretStr) -> Channel:
    """Open the service that `pagerduty://integration_key@api_key` names."""
    return PagerDutyChannel(url)
