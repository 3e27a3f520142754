"""Tokens, permissions and request budgets."""

import httpx
import pytest

from simulator.client import SimulatorControl
from tests.simulator.conftest import CREDENTIALS, get_token

GRANT = {"grant_type": "client_credentials"}


def test_a_token_says_how_long_it_lives_and_then_ends(
    url: str, control: SimulatorControl, flow: str
) -> None:
    control.oauth(expires_in=600)
    body = httpx.post(f"{url}/oauth/token", auth=CREDENTIALS, data=GRANT).json()
    assert (body["token_type"], body["expires_in"]) == ("bearer", 600)
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    path = f"{url}/api/v2/architect/flows/{flow}"
    assert httpx.get(path, headers=headers).status_code == 200
    control.advance(601)
    late = httpx.get(path, headers=headers)
    assert (late.status_code, late.json()["code"]) == (401, "bad.credentials")


@pytest.mark.parametrize("credentials", [("simulator", "wrong"), ("nobody", "simulator")])
def test_other_credentials_are_refused(
    url: str, control: SimulatorControl, credentials: tuple[str, str]
) -> None:
    answer = httpx.post(f"{url}/oauth/token", auth=credentials, data=GRANT)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_another_grant_is_refused(url: str, control: SimulatorControl) -> None:
    answer = httpx.post(f"{url}/oauth/token", auth=CREDENTIALS, data={"grant_type": "password"})
    assert answer.status_code == 400


def test_tokens_can_be_revoked_and_clients_added(
    api: httpx.Client, url: str, control: SimulatorControl, flow: str
) -> None:
    path = f"/api/v2/flows/{flow}"
    assert api.get(path).status_code == 200
    assert control.revoke_tokens() == 1
    assert api.get(path).status_code == 401
    control.oauth(client="second", secret="s3cret")
    answer = httpx.post(f"{url}/oauth/token", auth=("second", "s3cret"), data=GRANT)
    assert answer.status_code == 200


def test_no_token_is_told_from_a_bad_one(url: str, control: SimulatorControl, flow: str) -> None:
    answer = httpx.get(f"{url}/api/v2/flows/{flow}")
    assert (answer.status_code, answer.json()["code"]) == (401, "authentication.required")


def test_a_missing_permission_is_named(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    control.oauth(remove_permissions=["architect:flow:publish", "architect:flow:unlock"])
    answer = api.post("/api/v2/flows/actions/publish", params={"flow": flow, "version": "1.0"})
    assert (answer.status_code, answer.json()["code"]) == (403, "missing.permissions")
    assert "architect:flow:publish" in answer.json()["message"]
    assert api.get(f"/api/v2/flows/{flow}").status_code == 200


def test_the_budget_of_a_token_ends_in_429_and_comes_back(
    api: httpx.Client, url: str, control: SimulatorControl, flow: str
) -> None:
    control.oauth(allowed_per_token=2)
    path = f"/api/v2/flows/{flow}"
    first, second, third = (api.get(path) for _ in range(3))
    assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)
    assert second.headers["inin-ratelimit-count"] == "2"
    assert 1 <= int(third.headers["Retry-After"]) <= 60
    assert third.json()["limit"]["key"] == "client.credentials.token.rate.per.minute"
    fresh = {"Authorization": f"Bearer {get_token(url)}"}
    assert httpx.get(url + path, headers=fresh).status_code == 200
    control.advance(60)
    assert api.get(path).status_code == 200


def test_all_tokens_of_a_client_share_a_second_budget(
    api: httpx.Client, url: str, control: SimulatorControl, flow: str
) -> None:
    control.oauth(allowed_per_client=1)
    path = f"/api/v2/flows/{flow}"
    assert api.get(path).status_code == 200
    fresh = {"Authorization": f"Bearer {get_token(url)}"}
    assert httpx.get(url + path, headers=fresh).status_code == 429


def test_every_answer_carries_a_correlation_id(
    api: httpx.Client, control: SimulatorControl, flow: str
) -> None:
    paths = [f"/api/v2/flows/{flow}", f"/api/v2/architect/flows/{flow}", "/nowhere"]
    seen = {api.get(path).headers["ININ-Correlation-Id"] for path in paths}
    assert len(seen) == 3
    assert api.delete(f"/api/v2/flows/{flow}").status_code == 405
