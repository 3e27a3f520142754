"""Log lines say which run they are about, and never hold a secret."""

import io
import json
import logging
import pty
import subprocess
import sys
from collections.abc import Iterator
from os import read
from typing import Any

import pytest
from pydantic_settings import SettingsConfigDict

from knowngood.errors import AccessDenied
from knowngood.logs import JsonFormatter, PlainFormatter, Redaction, about
from knowngood.settings import Settings
from tests.conftest import make_flow
from tests.stack import Stack, wait_for

TOKENS = ["8f3Kq0ZxT7-vWmP2rLsY4cBnD6hJ9eGu", "Qw5eRt6yUi7oPa8sDf9gHj0kLz1xCv2b"]
HOOK = "Zr4Tn8Vb2Xm6Kc0Jq5Lw9Yf3Hd7Gs1Pa"
SECRETS: dict[str, tuple[str, list[str]]] = {
    "broker_url": ("redis://:br0ker%2Fpass@127.0.0.1:6379/0", ["br0ker%2Fpass", "br0ker/pass"]),
    "redis_url": ("redis://u:redispass@127.0.0.1:6379/0", ["redispass"]),
    "genesys_client_secret": ('s3"cret\\with-quotes', ['s3"cret\\with-quotes']),
    "flower_basic_auth": ("ops:flowerpass", ["flowerpass"]),
    "api_tokens": (f"read:{TOKENS[0]} rollback:{TOKENS[1]}", TOKENS),
    "hook_secret": (HOOK, [HOOK]),
    "alert_urls": (
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops mailto://me:mailpass@gmail.com",
        ["T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ", "mailpass"],
    ),
    "integration_alert_urls": (
        "pagerduty://K3Y00000aa@ap1k3y0000bb",
        ["K3Y00000aa", "ap1k3y0000bb"],
    ),
}


class NoDotEnv(Settings):
    model_config = SettingsConfigDict(env_prefix="KNOWNGOOD_", env_file=None, frozen=True)


def settings() -> Settings:
    values: dict[str, Any] = {name: value for name, (value, _) in SECRETS.items()}
    return NoDotEnv(**values)


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter(Redaction(settings().secret_values())))
    log = logging.getLogger("test.logs")
    log.addHandler(handler)
    log.propagate = False
    yield out
    log.removeHandler(handler)


@pytest.mark.parametrize(
    "secret", [secret for _, secrets in SECRETS.values() for secret in secrets]
)
def test_no_configured_secret_reaches_a_line(stream: io.StringIO, secret: str) -> None:
    log = logging.getLogger("test.logs")
    try:
        int(f"could not use {secret}")
    except ValueError:
        log.exception("failed with %s", secret)
    log.warning("%r", {"nested": [secret]})
    told = json.loads(stream.getvalue().splitlines()[0])
    assert secret not in "".join(told.values())
    for form in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]):
        assert form not in stream.getvalue()
    assert "could not use ***" in told["exception"]


def test_every_secret_setting_is_under_test() -> None:
    secret = {name for name, f in Settings.model_fields.items() if "Secret" in str(f.annotation)}
    assert secret <= set(SECRETS), f"add to SECRETS: {secret - set(SECRETS)}"


def test_an_access_token_is_redacted_though_no_setting_holds_it(stream: io.StringIO) -> None:
    logging.getLogger("test.logs").warning("sent Authorization: Bearer abc.DEF-123456")
    assert json.loads(stream.getvalue())["message"] == "sent Authorization: Bearer ***"


def test_what_is_no_secret_stays_readable(stream: io.StringIO) -> None:
    line = "redis://127.0.0.1:6379/0 at gmail.com for ops"
    logging.getLogger("test.logs").warning("%s", line)
    assert json.loads(stream.getvalue())["message"] == line


def test_a_line_is_one_json_object_with_the_run_it_is_about(stream: io.StringIO) -> None:
    token = about.set({"run_id": "r-1", "step": "publish", "flow": "Sales"})
    logging.getLogger("test.logs").info("first\nsecond")
    logging.getLogger("test.logs").warning("first\nsecond")
    about.reset(token)
    logging.getLogger("test.logs").warning("later")
    first, later = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["message"] == "first\nsecond"
    assert (first["run_id"], first["step"], first["flow"]) == ("r-1", "publish", "Sales")
    assert first["time"].endswith("+00:00")
    assert first["level"] == "WARNING"
    assert "run_id" not in later


def test_an_error_of_genesys_carries_its_correlation_id(stream: io.StringIO) -> None:
    log = logging.getLogger("test.logs")
    log.error("x", exc_info=AccessDenied("no", action="x", correlation_id="c-1"))
    log.error("x", extra={"correlation_id": "c-2"})
    log.error("x")
    told = [json.loads(line).get("correlation_id") for line in stream.getvalue().splitlines()]
    assert told == ["c-1", "c-2", None]


def test_a_plain_line_ends_with_its_run_unless_it_names_it() -> None:
    formatter = PlainFormatter(Redaction(["hunter22"]))
    token = about.set({"run_id": "r-1"})
    said = [
        formatter.format(logging.LogRecord("n", 30, "f", 1, text, None, None))
        for text in ("password hunter22", "run r-1 is silent")
    ]
    about.reset(token)
    assert said[0].endswith("password *** [run r-1]")
    assert said[1].endswith("run r-1 is silent")


SAY = "import logging; from knowngood.logs import configure_logging as c; c('INFO'); "
SAY += "logging.getLogger('x').info('hello')"


def test_a_terminal_gets_plain_lines_and_anything_else_json() -> None:
    piped = subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True, check=True)
    assert json.loads(piped.stderr)["message"] == "hello"
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", SAY], stderr=theirs, check=True)
    assert read(ours, 1000).decode().strip().endswith("INFO MainProcess x: hello")


@pytest.mark.slow
def test_a_workers_lines_name_the_run_the_step_and_genesys_correlation_id(stack: Stack) -> None:
    flow = make_flow(stack)
    run = stack.rollback(flow)
    worker = next(process for process in stack.processes if process.name.startswith("worker"))

    def lines() -> list[dict[str, str]]:
        said = [line for line in worker.log.read_text().splitlines() if line.startswith("{")]
        told = [json.loads(line) for line in said]
        return [
            line
            for line in told
            if line.get("run_id") == run.run_id and "publish answered 200" in line["message"]
        ]

    line = wait_for(lines, what="the line about the publish")[0]
    assert line["step"] == line["task"].removeprefix("rollback.") == "publish"
    assert line["flow"] in {flow, run.flow_name}
    assert line["correlation_id"]
    assert line["logger"] == "knowngood.genesys.transport"
