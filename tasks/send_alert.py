"""`alerts.send`: deliver one alert from the outbox to its team's channels."""

from knowngood import parts
from knowngood.alerts.deliver import deliver
from workers.app import app


@app.task(name="alerts.send")
def send_alert(alert_id: str) -> str:
    """Deliver an alert to every channel that has not had it; what fails is sent again later."""
    return str(deliver(alert_id, parts.outbox(), parts.settings()))
