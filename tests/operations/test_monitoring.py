"""The dashboard and the alert rules ask for what is exposed, in PromQL that Prometheus accepts."""

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from pydantic_settings import SettingsConfigDict

from knowngood.embedded.broker import EmbeddedBroker
from knowngood.metrics import exposition
from knowngood.settings import Settings
from tests.stack import ROOT

PROMETHEUS = ROOT / "examples" / "prometheus"
DASHBOARD = json.loads((ROOT / "examples" / "grafana" / "knowngood.json").read_text())
RULES = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ASKED = [rule["expr"] for rule in RULES]
ASKED += [target["expr"] for panel in PANELS for target in panel["targets"]]
ASKED += [each["expr"] for each in DASHBOARD["annotations"]["list"]]

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool on PATH")


class NoDotEnv(Settings):
    model_config = SettingsConfigDict(env_prefix="KNOWNGOOD_", env_file=None, frozen=True)


@pytest.fixture
def exposed(redis_client: Any, broker: EmbeddedBroker) -> bytes:
    redis_client.hset("kg:metrics:alerts", "rollback.failed", 1)
    return exposition(redis_client, NoDotEnv(broker_url=broker.url, redis_url=broker.url))


@pytest.fixture
def series(exposed: bytes) -> dict[str, dict[str, set[str]]]:
    """Every exposed series' labels with their values, by metric name."""
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(exposed.decode()):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def selectors(expr: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    for name, _, matchers in re.findall(r"(knowngood_\w+)(\{([^}]*)\})?", expr):
        yield name, re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', matchers)


def told(*command: str | Path, **more: Any) -> str:
    done = subprocess.run(
        ["promtool", *map(str, command)], capture_output=True, text=True, check=False, **more
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("expr", ASKED)
def test_what_is_asked_for_is_exposed(expr: str, series: dict[str, dict[str, set[str]]]) -> None:
    found = list(selectors(expr))
    assert found or expr == 'up{job="knowngood"} == 0'
    for name, matchers in found:
        assert name in series
        for label, _, value in matchers:
            assert set(value.split("|")) <= series[name][label], f"{name} has no {label}={value}"
    for labels in re.findall(r"by \(([^)]+)\)", expr):
        names = {label.strip() for label in labels.split(",")}
        assert all(names <= series[name].keys() for name, _ in found)


def test_every_metric_is_on_the_dashboard_or_watched_by_a_rule(
    series: dict[str, dict[str, set[str]]],
) -> None:
    asked = {name for expr in ASKED for name, _ in selectors(expr)}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in series}
    assert families == {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}


def test_the_dashboards_panels_say_what_they_show_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["description"] and panel["title"] for panel in PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = set(
            itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"]))
        )
        assert max(x for x, _ in cells) < 24
        assert not taken & cells, panel["title"]
        taken |= cells


def test_each_alert_has_a_severity_and_its_own_paragraph_in_the_documentation() -> None:
    told_of = (ROOT / "docs" / "operations.md").read_text()
    for rule in RULES:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert {"summary", "description"} <= rule["annotations"].keys()
        assert f"`{rule['alert']}`" in told_of


@needs_promtool
def test_promtool_accepts_the_configuration_and_every_rule_fires_when_it_should() -> None:
    told("check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")
    told("check", "rules", PROMETHEUS / "alerts.yml")
    told("test", "rules", PROMETHEUS / "alerts_test.yml")
    tested = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    fired = {
        case["alertname"]
        for test in tested
        for case in test["alert_rule_test"]
        if "exp_alerts" in case
    }
    assert fired == {rule["alert"] for rule in RULES}


@needs_promtool
def test_promtool_accepts_what_the_dashboard_asks(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expr.replace("$__rate_interval", "5m")}
        for number, expr in enumerate(ASKED)
    ]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    told("check", "rules", file)


@needs_promtool
def test_promtool_finds_nothing_to_mend_in_the_exposition(exposed: bytes) -> None:
    assert told("check", "metrics", input=exposed.decode()) == ""
