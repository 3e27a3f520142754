"""Each channel of docs/alerts.md, against a receiver: what a person or a program gets to see."""

import re
from collections.abc import Iterator

import apprise.plugins.pagerduty
import pytest
from apprise.plugins.slack import NotifySlack
from pydantic import SecretStr

from knowngood.alerts.alert import Alert, Urgency
from knowngood.alerts.channels import channels_for
from knowngood.alerts.channels.log_channel import LogChannel
from knowngood.alerts.channels.port import AlertNotSent, Channel
from knowngood.errors import Team
from tests.alerts.receivers import MailServer, Receiver, http_receiver, mail_server
from tests.alerts.samples import COMMAND, alert
from tests.stack import _NoDotEnv

KEY = "0123456789abcdef0123456789abcdef"


def channel(url: str) -> Channel:
    settings = _NoDotEnv(alert_urls=(SecretStr(url),))
    (opened,) = channels_for(settings, Team.OPERATIONS)
    return opened


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver() as server:
        yield server


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with mail_server("opensesame") as server:
        yield server


def test_slack_shows_what_happened_and_the_command_as_it_is_typed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NotifySlack, "webhook_url", f"{receiver.url}/services")
    channel("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7aa/#ops").send(alert())
    (posted,) = receiver.received
    assert posted.path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7aa"
    assert posted.json["channel"] == "#ops"
    (shown,) = posted.json["attachments"]
    assert shown["title"] == "knowngood: Main line: rollback needs a person"
    assert COMMAND in shown["text"]
    assert "Ada &lt;ada@example&gt; edits it." in shown["text"], "Slack wants these escaped"
    assert posted.json["mrkdwn"] is False, "Slack must not take a command's * for bold"
    assert shown["footer"] == "knowngood"
    assert "http" not in str(posted.json), "a picture would be fetched from somebody's server"


def test_teams_shows_what_happened_and_the_command_as_it_is_typed() -> None:
    with http_receiver(tls=True) as receiver:
        url = f"workflows://127.0.0.1:{receiver.port}/643e69f83c8944/4r5-abc/?verify=no"
        channel(url).send(alert())
    (posted,) = receiver.received
    assert posted.path.startswith("/workflows/643e69f83c8944/triggers/manual/paths/invoke?")
    assert "sig=4r5-abc" in posted.path
    (card,) = posted.json["attachments"]
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    texts = [block.get("text", "") for block in card["content"]["body"]]
    said = "\n".join(texts)
    assert "knowngood: Main line: rollback needs a person" in said
    # A card's text is Markdown, in which a backslash keeps the next character as it is.
    assert f"then run: {COMMAND}" in re.sub(r"\\(.)", r"\1", said)


@pytest.fixture
def pagerduty(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    where = dict.fromkeys(["us", "eu"], f"{receiver.url}/v2/enqueue")
    monkeypatch.setattr(apprise.plugins.pagerduty, "PAGERDUTY_API_LOOKUP", where)
    return receiver


def test_pagerduty_opens_one_incident_for_one_trouble(pagerduty: Receiver) -> None:
    pager = channel(f"pagerduty://{KEY}@{KEY}/knowngood/rollback")
    pager.send(alert("r-1.overdue"))
    pager.send(alert("r-1.end"))
    first, second = (posted.json for posted in pagerduty.received)
    assert first["event_action"] == second["event_action"] == "trigger"
    assert first["dedup_key"] == second["dedup_key"] == "r-1"
    assert first["routing_key"] == KEY


def test_pagerduty_s_incident_says_what_to_do_and_keeps_the_rest_as_details(
    pagerduty: Receiver,
) -> None:
    channel(f"pagerduty://{KEY}@{KEY}").send(alert())
    (posted,) = pagerduty.received
    payload = posted.json["payload"]
    assert payload["summary"].startswith("knowngood: Main line: rollback needs a person")
    assert COMMAND in payload["summary"]
    assert len(payload["summary"]) <= 1024
    assert payload["severity"] == "critical"
    assert (payload["source"], payload["component"]) == ("knowngood", "Main line")
    details = payload["custom_details"]
    assert details["what to do"].endswith(COMMAND)
    assert details["what was tried"] == "acquire_lock was tried 3 times. Waited 180 s for the lock."
    assert details["Genesys correlation id"] == "c-99"


def test_a_source_that_the_url_names_is_kept(pagerduty: Receiver) -> None:
    channel(f"pagerduty://{KEY}@{KEY}/contact-centre/voice").send(alert())
    payload = pagerduty.received[0].json["payload"]
    assert (payload["source"], payload["component"]) == ("contact-centre", "voice")


def test_pagerduty_s_incident_is_resolved_when_the_trouble_is_over(pagerduty: Receiver) -> None:
    pager = channel(f"pagerduty://{KEY}@{KEY}")
    pager.send(alert("analytics.began", dedupe_key="analytics.all"))
    pager.send(alert("analytics.ended", dedupe_key="analytics.all", urgency=Urgency.OVER))
    opened, closed = (posted.json for posted in pagerduty.received)
    assert closed["event_action"] == "resolve"
    assert closed["dedup_key"] == opened["dedup_key"]


def test_a_webhook_gets_each_field_and_what_it_needs_to_drop_a_repetition(
    receiver: Receiver,
) -> None:
    channel(f"json://127.0.0.1:{receiver.port}/hook?+Authorization=Bearer%20{KEY}").send(alert())
    (posted,) = receiver.received
    assert posted.path == "/hook"
    assert posted.headers["Authorization"] == f"Bearer {KEY}"
    assert posted.headers["Idempotency-Key"] == "r-1.end"
    told = alert()
    for name in ("alert_id", "kind", "team", "flow_id", "run_id", "what_to_do", "dedupe_key"):
        assert posted.json[name] == getattr(told, name)
    assert posted.json["type"] == "failure"


def test_a_mail_says_in_its_subject_what_is_wrong_and_in_its_text_what_to_do(
    mails: MailServer,
) -> None:
    url = f"mailto://ops:opensesame@127.0.0.1:{mails.port}?from=knowngood@example.org"
    channel(f"{url}&to=oncall@example.org&mode=insecure").send(alert())
    (mail,) = mails.mails
    assert mail["subject"] == "knowngood: Main line: rollback needs a person"
    assert mail["to"] == "oncall@example.org"
    assert "knowngood@example.org" in mail["from"]
    body = mail.get_body(("plain",))
    assert body is not None
    said = body.get_content().replace("\r\n", "\n")
    assert "Ada <ada@example> edits it." in said
    assert f"Do now: ask Ada to save and unlock, then run: {COMMAND}\n" in said


@pytest.mark.parametrize(
    "text",
    ["what_happened", "what_was_tried", "what_to_do", "flow_id", "run_id", "alert_id"],
)
def test_every_text_of_an_alert_is_in_the_message(receiver: Receiver, text: str) -> None:
    channel(f"json://127.0.0.1:{receiver.port}/").send(alert())
    assert getattr(alert(), text) in receiver.received[0].json["message"]


def test_an_alert_of_no_single_flow_says_what_it_concerns(receiver: Receiver) -> None:
    told = alert(flow_id="-", run_id="-", flow_name="all flows")
    channel(f"json://127.0.0.1:{receiver.port}/").send(told)
    message = receiver.received[0].json["message"]
    assert "Concerns all flows" in message
    assert "(-)" not in message


@pytest.mark.parametrize(
    ("urgency", "shown"),
    [(Urgency.ACT, "failure"), (Urgency.KNOW, "warning"), (Urgency.OVER, "success")],
)
def test_a_channel_shows_whether_a_person_must_act(
    receiver: Receiver, urgency: Urgency, shown: str
) -> None:
    channel(f"json://127.0.0.1:{receiver.port}/").send(alert(urgency=urgency))
    assert receiver.received[0].json["type"] == shown


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_a_channel_that_refuses_says_so_without_its_secret(receiver: Receiver, status: int) -> None:
    receiver.status = status
    opened = channel(f"json://user:{KEY}@127.0.0.1:{receiver.port}/")
    with pytest.raises(AlertNotSent) as refused:
        opened.send(alert())
    assert opened.channel_id in str(refused.value)
    assert KEY not in str(refused.value)


def test_a_mail_server_that_refuses_is_a_channel_that_did_not_take_it(mails: MailServer) -> None:
    mails.refusal = "550 no such mailbox"
    opened = channel(
        f"mailto://ops:opensesame@127.0.0.1:{mails.port}?to=a@example.org&mode=insecure"
    )
    with pytest.raises(AlertNotSent):
        opened.send(alert())


def test_a_plugin_that_breaks_is_a_channel_that_did_not_take_it(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> bool:
        raise ValueError(KEY)

    monkeypatch.setattr("apprise.plugins.custom_json.NotifyJSON.send", broken)
    with pytest.raises(AlertNotSent) as refused:
        channel(f"json://127.0.0.1:{receiver.port}/").send(alert())
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("url", ["carrier-pigeon://loft/7", "slack://", "pagerduty://only-one-key"])
def test_a_url_that_names_no_channel_is_known_before_anything_is_sent(url: str) -> None:
    with pytest.raises(AlertNotSent, match="not a URL that apprise knows"):
        channel(url).check()


@pytest.mark.parametrize(
    "url",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7aa/#ops",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7aa",
        "workflows://prod-15.uksouth.logic.azure.com:443/643e69f83c8944/4r5-abc",
        "https://prod-15.uksouth.logic.azure.com:443/workflows/643e69f83c8944/triggers/manual/paths"
        "/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=4r5-abc",
        f"pagerduty://{KEY}@{KEY}?region=eu",
        "mailtos://ops:pass%40word@mail.example.org:587?from=a@example.org&to=b@example.org",
        f"jsons://hooks.example.org/path?+Authorization=Bearer%20{KEY}",
    ],
    ids=lambda url: url.split(":")[0],
)
def test_each_documented_form_of_a_url_is_known(url: str) -> None:
    channel(url).check()


def test_integration_has_channels_of_its_own_or_those_of_operations() -> None:
    ours = _NoDotEnv(alert_urls=(SecretStr("json://ops/"),))
    both = ours.model_copy(update={"integration_alert_urls": (SecretStr("json://integration/"),)})
    ids = {
        (name, team): [each.channel_id for each in channels_for(settings, team)]
        for name, settings in (("ours", ours), ("both", both))
        for team in Team
    }
    assert ids["ours", Team.INTEGRATION] == ids["ours", Team.OPERATIONS]
    assert ids["both", Team.INTEGRATION] != ids["both", Team.OPERATIONS]


def test_without_a_channel_an_alert_is_an_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (only,) = channels_for(_NoDotEnv(), Team.OPERATIONS)
    assert isinstance(only, LogChannel)
    only.send(alert())
    assert COMMAND in caplog.text


def test_an_alert_that_was_written_before_urgency_was_known_still_reads() -> None:
    older = alert().model_dump(mode="json")
    del older["urgency"]
    assert Alert.model_validate(older).urgency is Urgency.ACT
