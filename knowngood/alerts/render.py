"""What an alert reads like: what happened, what was tried, what to do now."""

from knowngood.alerts.alert import Alert


def title(alert: Alert) -> str:
    """Return one line for a phone's lock screen."""
    return f"knowngood: {alert.title}"


def body(alert: Alert) -> str:
    """Return the whole message as plain text, which every channel can show."""
    flow = f"Flow {alert.flow_name} ({alert.flow_id}), run {alert.run_id}"
    lines = [
        alert.what_happened,
        "",
        f"Tried: {alert.what_was_tried}",
        "",
        f"Do now: {alert.what_to_do}",
        "",
        flow if alert.flow_id != "-" else f"Concerns {alert.flow_name}",
        f"Raised {alert.raised_at:%Y-%m-%d %H:%M:%S} UTC, alert {alert.alert_id}",
    ]
    if alert.correlation_id:
        lines.append(f"Genesys correlation id {alert.correlation_id}")
    return "\n".join(lines)
