"""Who may do what: closed by default, one role above the other, and no token anywhere else."""

from typing import Any

import httpx
import pytest

from knowngood.api.access import Role, Tokens
from tests.api.conftest import NoDotEnv, Open
from tests.api.served import DEPLOY, READ, ROLLBACK

FLOW = {"flow_id": "f-1"}


def routes(api: httpx.Client) -> list[tuple[str, str]]:
    paths: dict[str, dict[str, Any]] = api.get("/openapi.json").json()["paths"]
    return [
        (method.upper(), path.format(run_id="r-1", flow_id="f-1"))
        for path, methods in paths.items()
        for method in methods
    ]


def test_without_a_token_only_the_probes_answer(api: httpx.Client, open_api: Open) -> None:
    stranger = open_api(None)
    for method, path in [*routes(api), ("GET", "/openapi.json"), ("GET", "/no/such/place")]:
        answer = stranger.request(method, path, json={})
        if path in {"/healthz", "/readyz"}:
            assert answer.status_code == 200
        elif path == "/v1/hooks/generic":
            assert answer.json()["type"] == "urn:knowngood:problem:not-signed"
        else:
            assert answer.status_code == 401, path
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="knowngood"'


def test_an_api_without_tokens_is_closed_and_says_how_to_open_it(open_api: Open) -> None:
    api = open_api("whatever-it-is-1234", api_tokens=(), hook_secret=None)
    for path in ("/v1/runs", "/metrics", "/openapi.json", "/"):
        answer = api.get(path)
        assert answer.status_code == 403
        assert "KNOWNGOOD_API_TOKENS" in answer.json()["detail"]
    hook = api.post("/v1/hooks/generic", json={"kind": "snapshot", "request": FLOW})
    assert hook.status_code == 403
    assert "KNOWNGOOD_HOOK_SECRET" in hook.json()["detail"]
    assert api.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "least"),
    [
        ("GET", "/v1/runs", None, Role.READ),
        ("GET", "/metrics", None, Role.READ),
        ("GET", "/openapi.json", None, Role.READ),
        ("POST", "/v1/snapshots", FLOW, Role.DEPLOY),
        ("POST", "/v1/watches", FLOW, Role.DEPLOY),
        ("POST", "/v1/rollbacks", FLOW | {"reason": "a test"}, Role.ROLLBACK),
        ("POST", "/v1/hooks/alertmanager", {}, Role.ROLLBACK),
    ],
)
def test_each_role_may_do_what_the_lower_ones_may_and_no_more(
    open_api: Open, method: str, path: str, body: Any, least: Role
) -> None:
    for role, token in ((Role.READ, READ), (Role.DEPLOY, DEPLOY), (Role.ROLLBACK, ROLLBACK)):
        answer = open_api(token).request(method, path, json=body)
        assert (answer.status_code == 403) == (role < least), (role, answer.text)
        if role < least:
            assert answer.json()["detail"] == f"this needs a token of role {least}; yours is {role}"


@pytest.mark.parametrize(
    "sent",
    [
        "Bearer nobody-knows-this-one",
        f"Basic {ROLLBACK}",
        f"Bearer{ROLLBACK}",
        "Bearer",
        "Bearer é",
    ],
)
def test_what_is_no_known_bearer_token_is_no_token(open_api: Open, sent: str) -> None:
    answer = open_api(None).get("/v1/runs", headers={"Authorization": sent.encode()})
    assert answer.status_code == 401


def test_a_token_in_a_url_is_not_accepted_and_the_answer_says_why(open_api: Open) -> None:
    answer = open_api(None).get("/v1/runs", params={"access_token": ROLLBACK})
    assert answer.status_code == 401
    assert "a token in a URL ends up in logs" in answer.json()["detail"]
    assert ROLLBACK not in answer.text


def test_a_token_with_two_roles_has_the_higher_one() -> None:
    settings = NoDotEnv(api_tokens=(f"read:{ROLLBACK}", f"deploy:{ROLLBACK}"))
    tokens = Tokens(settings.api_tokens)
    assert tokens.role_of(ROLLBACK) is Role.DEPLOY
    assert tokens.role_of(READ) is None


def test_every_answer_tells_browsers_to_be_careful(api: httpx.Client, open_api: Open) -> None:
    for answer in (api.get("/v1/runs"), open_api(None).get("/v1/runs"), api.get("/nowhere")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_an_answer_carries_the_callers_correlation_id_or_one_of_its_own(api: httpx.Client) -> None:
    named = api.get("/v1/runs", headers={"X-Correlation-ID": "deploy-41.a"})
    assert named.headers["X-Correlation-ID"] == "deploy-41.a"
    strange = api.get("/v1/runs", headers={"X-Correlation-ID": "two words"})
    assert strange.headers["X-Correlation-ID"] not in {"two words", ""}
