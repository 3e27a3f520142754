"""The URL that names Sentinels, and what is made of it."""

import pytest

from knowngood.sentinel import Sentinels, broker
from knowngood.settings import refusal
from tests.stack import _NoDotEnv

URL = "sentinel://kg:p%40ss@a:26379,b:26380,c/2?master=mymaster&sentinel_password=s3nt%2Finel"


def named(url: str) -> Sentinels:
    found = Sentinels.named_by(url)
    assert found is not None
    return found


def test_it_names_every_sentinel_the_master_and_both_passwords() -> None:
    found = named(URL)
    assert found.nodes == (("a", 26379), ("b", 26380), ("c", 26379))
    assert (found.master, found.db) == ("mymaster", 2)
    assert found.login == {"username": "kg", "password": "p@ss"}
    assert found.sentinel_login == {"password": "s3nt/inel"}


def test_celery_gets_one_url_for_each_sentinel_and_the_rest_as_options() -> None:
    url, options = broker(URL)
    assert url.split(";") == [
        "sentinel://kg:p%40ss@a:26379/2",
        "sentinel://kg:p%40ss@b:26380/2",
        "sentinel://kg:p%40ss@c:26379/2",
    ]
    assert options == {
        "master_name": "mymaster",
        "sentinel_kwargs": {"password": "s3nt/inel"},
    }


@pytest.mark.parametrize("url", ["redis://h:1/0", "rediss://h/0", "amqp://h//"])
def test_every_other_url_is_celery_s_as_it_is(url: str) -> None:
    assert Sentinels.named_by(url) is None
    assert broker(url) == (url, {})


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://:hushhush@a:26379/0",
        "sentinel:///0?master=m",
        "sentinel://:hushhush@a:port/0?master=m",
        "sentinel://:hushhush@a:1/zero?master=m",
    ],
)
@pytest.mark.parametrize("setting", ["redis_url", "broker_url"])
def test_a_wrong_one_is_refused_at_start_by_name_and_without_its_password(
    setting: str, url: str
) -> None:
    with pytest.raises(ValueError, match=setting) as refused:
        _NoDotEnv(**{setting: url})
    said = str(refusal(refused.value, prefix="KNOWNGOOD_"))  # type: ignore[arg-type]
    assert f"KNOWNGOOD_{setting.upper()}" in said
    assert "sentinel://user:password@host1:26379,host2:26379/0?master=mymaster" in said
    assert "hushhush" not in said


def test_its_passwords_are_kept_out_of_logs() -> None:
    secrets = _NoDotEnv(redis_url=URL).secret_values()
    assert {"p@ss", "p%40ss", "s3nt/inel", "s3nt%2Finel"} <= set(secrets)
    assert "p@ss" not in repr(named(URL))
