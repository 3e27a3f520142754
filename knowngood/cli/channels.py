"""Tries every alert channel once."""

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import uuid4

from knowngood import settings as settings_module
from knowngood.alerts.alert import Alert, Urgency
from knowngood.alerts.channels import channels_for
from knowngood.alerts.channels.log_channel import LogChannel
from knowngood.alerts.channels.port import AlertNotSent, Channel
from knowngood.cli.requester import requester
from knowngood.errors import Team


class Trial(NamedTuple):
    """One channel and what came of a test alert: `sent`, or why not."""

    team: str
    channel: str
    result: str


def try_channels() -> list[Trial]:
    """Send one test alert to each channel of each team."""
    settings = settings_module.load()
    return [
        Trial(str(team), channel.channel_id, _try(channel, team))
        for team in Team
        for channel in channels_for(settings, team)
    ]


def _try(channel: Channel, team: Team) -> str:
    if isinstance(channel, LogChannel):
        return "reaches nobody but the worker's log: set KNOWNGOOD_ALERT_URLS"
    try:
        channel.send(_test_alert(team))
    except AlertNotSent as error:
        return str(error)
    return "sent"


def _test_alert(team: Team) -> Alert:
    test_id = f"test-{uuid4()}"
    return Alert(
        alert_id=test_id,
        kind="alert.test",
        team=team,
        urgency=Urgency.KNOW,
        title="this is a test",
        flow_id="-",
        flow_name="no flow",
        run_id="-",
        what_happened=f"{requester()} tried this channel with `knowngood alert-test`.",
        what_was_tried="Nothing: no flow is affected.",
        what_to_do="Nothing. Real alerts say here what a person must do.",
        raised_at=datetime.now(UTC),
        dedupe_key=test_id,
    )
