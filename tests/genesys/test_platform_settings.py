"""What the Platform API needs to be told, and how a wrong word is refused."""

import pytest
from pydantic import ValidationError

from knowngood.genesys.callers import Callers
from knowngood.genesys.regions import region_named
from knowngood.settings import Settings, refusal


def refused(name: str, value: str) -> str:
    with pytest.raises(ValidationError) as wrong:
        Settings(_env_file=None, **{name: value})
    return str(refusal(wrong.value, prefix="KNOWNGOOD_"))


def test_callers_and_test_inputs_are_read_from_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "KNOWNGOOD_GENESYS_CALLERS", '{"f": {"dnis": ["+1555"]}, "*": {"inside": true}}'
    )
    monkeypatch.setenv("KNOWNGOOD_GENESYS_TEST_ACTIONS", '{"a": {"customerId": "42"}}')
    settings = Settings(_env_file=None)
    assert settings.genesys_callers == {
        "f": Callers(dnis=("+1555",)),
        "*": Callers(inside=True),
    }
    assert settings.genesys_test_actions == {"a": {"customerId": "42"}}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{", "is no JSON"),
        ("[]", "give a JSON object"),
        ('{"f": {"queue": ["q"]}}', "f.queue"),
        ('{"f": {"queues": "q"}}', "f.queues"),
        ('{"f": {}}', "f: name one of queues, dnis and inside"),
        ('{"f": {"queues": ["q"], "inside": true}}', "f: name one of queues, dnis and inside"),
    ],
)
def test_wrong_callers_are_refused_by_name(value: str, words: str) -> None:
    said = refused("genesys_callers", value)
    assert said.startswith("KNOWNGOOD_GENESYS_CALLERS=")
    assert words in said
    assert '{"FLOW": {"queues": ["QUEUE"]}' in said


@pytest.mark.parametrize("value", ["{", "[]", '["a"]', '{"a": "42"}'])
def test_wrong_test_inputs_are_refused_by_name(value: str) -> None:
    assert refused("genesys_test_actions", value).startswith("KNOWNGOOD_GENESYS_TEST_ACTIONS=")


def test_an_unknown_dialect_is_refused_with_the_known_ones() -> None:
    said = refused("genesys_api", "rest")
    assert "KNOWNGOOD_GENESYS_API='rest'" in said
    assert "'guide' or 'platform'" in said


@pytest.mark.parametrize(
    "name", ["us_east_1", "us-east-1", "US_EAST_1", "mypurecloud.com", "api.mypurecloud.com"]
)
def test_a_region_goes_by_its_name_or_its_domain(name: str) -> None:
    region = region_named(name)
    assert (region.api, region.login) == (
        "https://api.mypurecloud.com",
        "https://login.mypurecloud.com",
    )


def test_a_wrong_region_is_refused_with_the_list() -> None:
    said = refused("genesys_region", "eu_north_9")
    assert "KNOWNGOOD_GENESYS_REGION='eu_north_9'" in said
    assert "eusc_de_east_1 (edee1.eusc-pure.cloud)" in said
    assert said.count(".pure.cloud") + said.count("mypurecloud") == 16
