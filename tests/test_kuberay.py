"""Static checks of the files for a Ray cluster on Kubernetes, without a cluster."""

import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from service.settings import Settings
from tests.service.workers.ray_clusters import skip_without_ray

ROOT = Path(__file__).resolve().parents[1]
CLUSTER, CLUSTER_POLICY, SERVER_POLICY = yaml.safe_load_all((ROOT / "deploy" / "kuberay.yaml").read_text())
DEPLOYMENT: dict[str, Any] = next(yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text()))
PATCH: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "kuberay-deployment.yaml").read_text())
SCHEMA: dict[str, Any] = yaml.safe_load((ROOT / "tests" / "data" / "kuberay.yaml").read_text())
HEAD = CLUSTER["spec"]["headGroupSpec"]
(GPU,) = CLUSTER["spec"]["workerGroupSpecs"]
POD_SCHEMA = {"$defs": SCHEMA["$defs"], "$ref": "#/$defs/template"}


def merge(base: Any, patch: Any) -> Any:
    """Apply a strategic merge patch: maps are merged, lists of named objects by name."""
    if isinstance(patch, dict) and isinstance(base, dict):
        return base | {key: merge(base.get(key), value) for key, value in patch.items()}
    if isinstance(patch, list) and isinstance(base, list):
        by_name = {item["name"]: item for item in base}
        return list((by_name | {item["name"]: merge(by_name.get(item["name"]), item) for item in patch}).values())
    return patch


POD = merge(DEPLOYMENT, PATCH)["spec"]["template"]["spec"]


def container(template: dict[str, Any]) -> dict[str, Any]:
    (only,) = template["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def test_cluster_fits_the_schema_of_the_operator() -> None:
    jsonschema_rs.validator_for(SCHEMA).validate(CLUSTER)


@pytest.mark.parametrize("template", [DEPLOYMENT["spec"]["template"], {"spec": POD}], ids=["deployment", "patched"])
def test_pods_of_the_server_fit_the_schema(template: dict[str, Any]) -> None:
    jsonschema_rs.validator_for(POD_SCHEMA).validate(template)


def test_schema_refuses_a_misspelt_field_and_a_wrong_type() -> None:
    validator = jsonschema_rs.validator_for(SCHEMA)
    for field, value in (("enableInTreeAutoScaling", True), ("rayVersion", 2.6)):
        wrong = deepcopy(CLUSTER)
        wrong["spec"][field] = value
        assert not validator.is_valid(wrong)


def test_cluster_scales_from_no_gpu_and_runs_nothing_on_its_head() -> None:
    spec = CLUSTER["spec"]
    assert spec["enableInTreeAutoscaling"] is True
    assert spec["autoscalerOptions"]["version"] == "v2"
    assert spec["autoscalerOptions"]["idleTimeoutSeconds"] > 0
    assert HEAD["rayStartParams"]["num-cpus"] == "0"
    assert (GPU["replicas"], GPU["minReplicas"]) == (0, 0) < (0, GPU["maxReplicas"])
    assert container(GPU["template"])["resources"]["limits"]["nvidia.com/gpu"] == "1"
    for template in (HEAD["template"], GPU["template"]):
        assert template["spec"]["restartPolicy"] == "Never"  # autoscaler v2 identifies a node by its pod


def test_token_of_the_cluster_is_required_and_mounted_in_the_server() -> None:
    assert CLUSTER["spec"]["authOptions"] == {"mode": "token"}
    assert tuple(map(int, CLUSTER["spec"]["rayVersion"].split("."))) >= (2, 52)
    (server,) = POD["containers"]
    variables = {variable["name"]: variable for variable in server["env"]}
    assert variables["RAY_AUTH_MODE"]["value"] == "token"
    secret = variables["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert secret == {"name": CLUSTER["metadata"]["name"], "key": "auth_token"}


def test_ports_of_the_cluster_are_open_to_its_own_pods_and_the_server_alone() -> None:
    members = {"matchLabels": {"ray.io/cluster": CLUSTER["metadata"]["name"]}}
    servers = {"matchLabels": DEPLOYMENT["spec"]["template"]["metadata"]["labels"]}
    for policy in (CLUSTER_POLICY, SERVER_POLICY):
        assert (policy["apiVersion"], policy["kind"]) == ("networking.k8s.io/v1", "NetworkPolicy")
        assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert CLUSTER_POLICY["spec"]["podSelector"] == members
    assert CLUSTER_POLICY["spec"]["ingress"] == [{"from": [{"podSelector": members}, {"podSelector": servers}]}]
    assert SERVER_POLICY["spec"]["podSelector"] == servers
    for rule in SERVER_POLICY["spec"]["ingress"]:
        assert rule in ({"ports": [{"protocol": "TCP", "port": "http"}]}, {"from": [{"podSelector": members}]})


def test_image_is_the_same_everywhere_and_has_the_version_of_ray() -> None:
    pods = (HEAD["template"]["spec"], GPU["template"]["spec"], POD)
    images = {each["image"] for pod in pods for each in pod["containers"]}
    assert len(images) == 1
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    assert CLUSTER["spec"]["rayVersion"] == pins["ray"]


def test_pods_are_unprivileged_and_probed_without_the_dashboard() -> None:
    for template, port in (
        (HEAD["template"], 6379),
        (GPU["template"], int(GPU["rayStartParams"]["node-manager-port"])),
    ):
        only = container(template)
        assert template["spec"]["securityContext"] == DEPLOYMENT["spec"]["template"]["spec"]["securityContext"]
        assert only["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert only["livenessProbe"]["tcpSocket"] == only["readinessProbe"]["tcpSocket"] == {"port": port}
        assert {mount["name"] for mount in only["volumeMounts"]} == {
            each["name"] for each in template["spec"]["volumes"]
        }


def test_server_joins_the_cluster_with_room_for_the_files_of_a_node() -> None:
    (server,) = POD["containers"]
    variables = {each["name"]: each.get("value") for each in server["env"]}
    assert variables["ARCHRANK_RAY_ADDRESS"] == f"{CLUSTER['metadata']['name']}-head-svc:6379"
    assert (variables["ARCHRANK_BACKEND"], variables["ARCHRANK_RAY_JOIN"]) == ("ray", "true")
    assert {"/tmp", "/dev/shm"} <= {mount["mountPath"] for mount in server["volumeMounts"]}
    assert {mount["name"] for mount in server["volumeMounts"]} == {volume["name"] for volume in POD["volumes"]}


def test_variables_of_the_server_are_settings() -> None:
    names = {each["name"] for each in POD["containers"][0]["env"]}
    prefix = Settings.model_config["env_prefix"]
    settings = {f"{prefix}{name.upper()}" for name in Settings.model_fields}
    assert {name for name in names if name.startswith(prefix)} <= settings


def test_server_asks_for_as_many_actors_as_the_gpus_hold() -> None:
    variables = {each["name"]: each.get("value", "") for each in POD["containers"][0]["env"]}
    per_gpu = 1 / float(variables["ARCHRANK_RAY_NUM_GPUS"])
    assert int(variables["ARCHRANK_RAY_MAX_WORKERS"]) == GPU["maxReplicas"] * per_gpu
    cores = int(container(GPU["template"])["resources"]["limits"]["cpu"])
    assert cores >= per_gpu * int(variables["ARCHRANK_NUM_THREADS"])


@pytest.mark.parametrize("parameters", [HEAD["rayStartParams"], GPU["rayStartParams"]], ids=["head", "gpu"])
def test_parameters_are_options_of_ray_start(parameters: dict[str, str]) -> None:
    skip_without_ray()
    code = "from ray.scripts.scripts import start; print(*(option for each in start.params for option in each.opts))"
    options = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {f"--{name}" for name in parameters} <= set(options)
