"""Static checks of the Dockerfile, the Compose files and the files in `deploy/`, without a container engine."""

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
INCLUDED = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
COPIED = " ".join(re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, flags=re.MULTILINE)).split()
TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
GPU: dict[str, Any] = yaml.safe_load((ROOT / "compose.gpu.yaml").read_text())
KUBERNETES: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text()))
UNIT = (ROOT / "deploy" / "archrank.service").read_text()
CLOSING_S = 10
"""Seconds for connections to close after the running work has finished."""


def default(text: Any) -> str:
    """Return the value that Compose substitutes in an empty environment."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(text))


@pytest.mark.parametrize("source", COPIED)
def test_copied_files_exist_and_are_not_ignored(source: str) -> None:
    assert (ROOT / source).exists()
    assert source == "." or any(fnmatch(source, pattern) for pattern in INCLUDED)


def test_installed_files_are_not_ignored() -> None:
    packages = ("common", "models", "proxies", "ensemble", "search", "study", "training", "evolution", "service")
    for name in ("pyproject.toml", "README.md", "LICENSE", *packages):
        assert name in INCLUDED


def test_secrets_are_neither_copied_nor_committed() -> None:
    assert not {"secrets", ".env"} & set(INCLUDED)
    assert {"/secrets/", ".env"} <= set((ROOT / ".gitignore").read_text().split())


def test_health_check_is_python_and_requests_readiness() -> None:
    (command,) = re.findall(r'CMD \["python", "-c", "(.*)"\]', DOCKERFILE)
    code = command.replace('\\"', '"')
    compile(code, "HEALTHCHECK", "exec")
    assert "/health/ready" in code


def test_container_runs_as_an_unprivileged_user_that_owns_its_data() -> None:
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, flags=re.MULTILINE)
    (folder,) = re.findall(r"^VOLUME (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    assert int(user) >= 10000
    assert f"--uid {user} " in DOCKERFILE
    assert f"ARCHRANK_DATA_DIR={folder}" in DOCKERFILE
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE


def test_images_are_of_an_exact_version() -> None:
    (base,) = re.findall(r"^ARG BASE=(\S+)", DOCKERFILE, flags=re.MULTILINE)
    images = [base, default(COMPOSE["services"]["postgres"]["image"])]
    for image in images:
        assert re.fullmatch(r"\w+:\d+\.\d+(\.\d+)?-\w[\w-]*(@sha256:[0-9a-f]{64})?", image)


def test_compose_refers_to_defined_names() -> None:
    services = COMPOSE["services"]
    assert set(services["archrank"]["depends_on"]) <= services.keys()
    assert services["postgres"]["healthcheck"]
    for kind in ("secrets", "networks"):
        assert {name for service in services.values() for name in service[kind]} == COMPOSE[kind].keys()
    mounted = {volume.split(":")[0] for service in services.values() for volume in service["volumes"]}
    assert mounted == COMPOSE["volumes"].keys()
    assert set(GPU["services"]) <= services.keys()
    for file in COMPOSE["secrets"].values():
        assert file["file"].startswith("./secrets/")


def test_compose_service_is_unprivileged_and_published_on_loopback_only() -> None:
    service = COMPOSE["services"]["archrank"]
    assert service["read_only"] is True
    assert [service["cap_drop"], service["security_opt"]] == [["ALL"], ["no-new-privileges:true"]]
    assert all(default(port).startswith("127.0.0.1:") for port in service["ports"])
    assert "ports" not in COMPOSE["services"]["postgres"]
    assert COMPOSE["networks"]["store"]["internal"] is True
    written = [volume.split(":")[1] for volume in service["volumes"]]
    written += [mount.split(":")[0] for mount in service["tmpfs"]]
    assert sorted(written) == ["/tmp", "/var/lib/archrank"]


def test_no_password_in_compose() -> None:
    assert not re.search(r"password: *\S", TEXT, flags=re.IGNORECASE)
    assert not re.search(r"://\w+:", TEXT)


def test_secrets_are_named_as_settings() -> None:
    names = {f"archrank_{name}" for name in Settings.model_fields}
    assert set(COMPOSE["services"]["archrank"]["secrets"]) <= names


def test_example_environment_has_every_default() -> None:
    documented = re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    used = re.findall(r"\$\{(\w+):-([^}]*)\}", TEXT + (ROOT / "compose.gpu.yaml").read_text())
    assert dict(documented) == dict(used)


def environments() -> dict[str, dict[str, str]]:
    """Return the environment variables of the service, by file."""
    (container,) = KUBERNETES[0]["spec"]["template"]["spec"]["containers"]
    composed = COMPOSE["services"]["archrank"]["environment"]
    unit = " ".join(re.findall(r"^Environment=(.*)$", UNIT, flags=re.MULTILINE))
    return {
        "Dockerfile": dict(re.findall(r"(ARCHRANK_\w+)=(\S+)", DOCKERFILE)),
        "compose.yaml": {name: default(value) for name, value in composed.items()},
        "compose.gpu.yaml": GPU["services"]["archrank"]["environment"],
        "archrank.service": dict(word.split("=") for word in unit.split()),
        "kubernetes.yaml": {variable["name"]: variable["value"] for variable in container["env"]},
    }


@pytest.mark.parametrize("file", environments())
def test_variables_are_settings_with_allowed_values(file: str) -> None:
    variables = {name: value for name, value in environments()[file].items() if name.startswith("ARCHRANK_")}
    names = {f"ARCHRANK_{name.upper()}": name for name in Settings.model_fields}
    assert set(variables) <= names.keys()
    absent = {"ARCHRANK_SECRETS_DIR"}  # exists only in the container
    values: dict[str, Any] = {names[name]: value for name, value in variables.items() if name in names.keys() - absent}
    Settings(**values)


@pytest.mark.parametrize(
    ("file", "seconds"),
    [
        ("compose.yaml", COMPOSE["services"]["archrank"]["stop_grace_period"].removesuffix("s")),
        ("archrank.service", re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, flags=re.MULTILINE)[0]),
        ("kubernetes.yaml", KUBERNETES[0]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]),
    ],
)
def test_stop_timeouts_exceed_the_shutdown_settings(file: str, seconds: str | int) -> None:
    variables = environments()[file]
    needed = float(variables["ARCHRANK_SHUTDOWN_DELAY"]) + float(variables["ARCHRANK_SHUTDOWN_TIMEOUT"]) + CLOSING_S
    assert float(seconds) > needed


def test_kubernetes_pod_is_unprivileged_and_has_the_right_probes() -> None:
    pod = KUBERNETES[0]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"USER {pod['securityContext']['runAsUser']}:" in DOCKERFILE
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    paths = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}
    assert paths == {
        "startupProbe": "/health/live",
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_nginx_accepts_the_largest_body_of_a_job() -> None:
    (megabytes,) = re.findall(r"client_max_body_size (\d+)m;", (ROOT / "deploy" / "nginx.conf").read_text())
    assert int(megabytes) * 2**20 == Settings.model_fields["max_job_body_bytes"].default


def test_prometheus_sends_a_key() -> None:
    (job,) = yaml.safe_load((ROOT / "deploy" / "prometheus.yaml").read_text())["scrape_configs"]
    assert (job["metrics_path"], job["authorization"]["type"]) == ("/metrics", "Bearer")
