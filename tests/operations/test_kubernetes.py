"""The Kubernetes example: the API's own schemas, and what each manifest takes for granted."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.stack import ROOT
from workers.queues import NAMES

MANIFESTS = ROOT / "examples" / "kubernetes"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
OLDEST = "1.31"
"""The oldest Kubernetes that the manifests are checked against; the newest is the checker's."""


def documents(kind: str | None = None) -> Iterator[Mapping[str, Any]]:
    for name in yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]:
        for document in yaml.safe_load_all((MANIFESTS / name).read_text()):
            if kind is None or document["kind"] == kind:
                yield document


def named(kind: str) -> dict[str, Mapping[str, Any]]:
    return {document["metadata"]["name"]: document for document in documents(kind)}


DEPLOYMENTS = named("Deployment")
OURS = [each for each in documents() if "keda" not in each["apiVersion"]]


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("document", OURS, ids=lambda d: f"{d['kind']}-{d['metadata']['name']}")
def test_a_manifest_is_what_kubernetes_accepts(document: Mapping[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def container(name: str) -> Mapping[str, Any]:
    (only,) = DEPLOYMENTS[name]["spec"]["template"]["spec"]["containers"]
    found: Mapping[str, Any] = only
    return found


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_pod_runs_what_compose_runs_with_no_more_rights(name: str) -> None:
    assert container(name)["command"] == COMPOSE["services"][name]["command"]
    pod = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    rights = container(name)["securityContext"]
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_pod_s_probe_asks_what_compose_asks(name: str) -> None:
    probe = container(name)["livenessProbe"]
    asked = COMPOSE["services"][name]["healthcheck"]["test"]
    if "exec" in probe:
        assert probe["exec"]["command"] == asked[1:]
    else:
        ready = container(name)["readinessProbe"]["httpGet"]
        assert f"{container(name)['ports'][0]['containerPort']}{ready['path']}" in asked[-1]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_finds_its_own_pods(name: str) -> None:
    spec = DEPLOYMENTS[name]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    mounted = {each["name"] for each in container(name)["volumeMounts"]}
    assert mounted == {each["name"] for each in spec["template"]["spec"]["volumes"]}


@pytest.mark.parametrize("name", named("Service"))
def test_a_service_leads_to_a_port_that_is_open(name: str) -> None:
    spec = named("Service")[name]["spec"]
    assert {spec["ports"][0]["targetPort"]} == {each["name"] for each in container(name)["ports"]}
    assert spec["selector"] == DEPLOYMENTS[name]["spec"]["selector"]["matchLabels"]


def test_every_queue_is_counted_for_the_workers_that_take_from_it() -> None:
    counted = {
        trigger["metadata"]["listName"]: scaled["spec"]["scaleTargetRef"]["name"]
        for scaled in documents("ScaledObject")
        for trigger in scaled["spec"]["triggers"]
    }
    assert set(counted) == set(NAMES)
    for queue, worker in counted.items():
        command = container(worker)["command"]
        assert queue in command[command.index("-Q") + 1].split(",")


def test_what_scales_a_deployment_never_scales_it_to_nothing_and_can_log_in() -> None:
    logins = named("TriggerAuthentication")
    for scaled in documents("ScaledObject"):
        assert scaled["spec"]["minReplicaCount"] >= 2
        # Two that set the number of replicas would undo each other at each `apply`.
        assert "replicas" not in DEPLOYMENTS[scaled["spec"]["scaleTargetRef"]["name"]]["spec"]
        for trigger in scaled["spec"]["triggers"]:
            assert trigger["type"] == "redis"
            assert trigger["metadata"].keys() <= {"listName", "listLength", "databaseIndex"}
            assert trigger["authenticationRef"]["name"] in logins


def test_the_checker_refuses_a_manifest_that_is_wrong(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((MANIFESTS / "beat.yaml").read_text().replace("replicas: 2", "replica: 2"))
    check = [Path(sys.executable).parent / "kubernetes-validate", "--strict", wrong]
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0
