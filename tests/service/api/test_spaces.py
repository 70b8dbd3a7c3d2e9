"""Requests dispatch on the search space of their architectures."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from models import get_space
from service.cli.demo import server
from service.settings import SHIPPED
from tests.service.api.test_jobs import wait
from tests.service.conftest import HEADERS, SIX, SMALL, Post
from tests.waiting import PATIENCE_S, PATIENT_SERVER

GRAPH = {"space": "nas-bench-graph", "link": [0, 0, 1, 2], "ops": ["gcn", "sage", "skip", "gat"]}
IMAGE = {"space": "nas-bench-201", "ops": ["none", "skip_connect", "none", "nor_conv_1x1", "none", "none"]}
CHEAP = ["params", "flops", "sed"]


def problem(response: httpx.Response) -> Any:
    assert response.status_code == 422, response.text
    return response.json()


@pytest.mark.parametrize("architecture", [GRAPH, IMAGE], ids=["graph", "image"])
def test_scores_of_a_space_without_an_ensemble(architecture: dict[str, Any], post: Post) -> None:
    document = post("/v1/scores", architectures=[architecture], proxies=CHEAP)
    space = get_space(architecture["space"])
    assert (document["space"], document["settings"]) == (space.name, space.settings)
    (item,) = document["scores"]
    assert item["architecture"] == space.to_json(space.parse(architecture))
    cost = space.cost(space.parse(architecture), tuple(map(tuple, document["probe_batch"]["shapes"])))
    assert (item["scores"]["params"]["value"], item["scores"]["flops"]["value"]) == (cost.params, cost.flops)
    (validation,) = post("/v1/architectures/validate", architectures=[architecture])["validations"]
    assert (validation["parameters"], validation["flops"]) == (cost.params, cost.flops)
    assert validation["stratum_label"] == space.stratum_label


def test_a_proxy_that_is_not_applicable_is_neither_a_number_nor_a_failure(post: Post) -> None:
    for _ in range(2):
        (item,) = post("/v1/scores", architectures=[IMAGE], proxies=CHEAP)["scores"]
        score = item["scores"]["sed"]
        assert (score["status"], score["value"], score["log"], score["error"]) == ("not_applicable", None, None, None)
        assert "topology" in score["note"]
    assert item["cached"]


def test_an_architecture_of_another_space_is_refused_with_the_reason(post: Post) -> None:
    for path, name in (("scores", "scores"), ("predictions", "predictions"), ("architectures/validate", "validations")):
        body: dict[str, Any] = {} if "validate" in path else {"proxies": ["params"]}
        first, refused, nowhere = post(f"/v1/{path}", architectures=[SMALL, GRAPH, {"space": "darts"}], **body)[name]
        assert "error" not in first
        for item, position, space in ((refused, 1, "nas-bench-graph"), (nowhere, 2, "darts")):
            (error,) = item["error"]["errors"]
            assert error["field"] == f"architectures[{position}].space"
            assert error["value"] == repr(space)
            assert error["allowed"] == "'gcn-nas', the space of this request"


@pytest.fixture(scope="module")
def one_ensemble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server with an ensemble of one space alone."""
    folder = tmp_path_factory.mktemp("ensembles")
    (folder / "gcn-nas-ntu").symlink_to(SHIPPED / "gcn-nas-ntu", target_is_directory=True)
    with (
        server(PATIENT_SERVER | {"ARCHRANK_ENSEMBLES_DIR": str(folder)}) as url,
        httpx.Client(base_url=url, headers=HEADERS, timeout=PATIENCE_S) as client,
    ):
        yield client


def test_predictions_prefer_a_space_with_an_ensemble(one_ensemble: httpx.Client) -> None:
    body = {"architectures": [GRAPH, SMALL], "proxies": []}
    refused, predicted = one_ensemble.post("/v1/predictions", json=body).json()["predictions"]
    assert refused["error"]["errors"][0]["field"] == "architectures[0].space"
    assert predicted["rank"] == 1


def test_predictions_take_the_space_of_the_first_architecture(client: httpx.Client, post: Post) -> None:
    assert {"gcn-nas", "nas-bench-graph"} <= {card["space"] for card in client.get("/v1/ensembles").json().values()}
    for first, second in ((GRAPH, SMALL), (SMALL, GRAPH)):
        document = post("/v1/predictions", architectures=[first, second], proxies=[])
        predicted, refused = document["predictions"]
        assert (document["space"], predicted["rank"]) == (first["space"], 1)
        assert refused["error"]["errors"][0]["field"] == "architectures[1].space"


@pytest.mark.parametrize("architecture", [GRAPH, IMAGE], ids=["graph", "image"])
def test_predictions_without_an_ensemble_of_the_space(architecture: dict[str, Any], one_ensemble: httpx.Client) -> None:
    document = problem(one_ensemble.post("/v1/predictions", json={"architectures": [architecture]}))
    assert document["errors"][0]["value"] == repr(architecture["space"])
    assert "one with an ensemble: gcn-nas" in document["detail"]


def test_space_and_settings_of_a_request(client: httpx.Client, post: Post) -> None:
    unnamed = {name: value for name, value in IMAGE.items() if name != "space"}
    body = {"architectures": [unnamed], "space": "nas-bench-201", "proxies": ["params"]}
    ten = post("/v1/scores", **body, settings={"dataset": "cifar10"})
    hundred = post("/v1/scores", **body, settings={"dataset": "cifar100"})
    assert (ten["settings"]["dataset"], hundred["settings"]["dataset"]) == ("cifar10", "cifar100")
    values = [document["scores"][0]["scores"]["params"]["value"] for document in (ten, hundred)]
    assert values[0] < values[1]  # more classes
    document = problem(client.post("/v1/scores", json={**body, "settings": {"dataset": "mnist"}}))
    assert document["errors"][0]["field"] == "dataset"
    document = problem(client.post("/v1/scores", json={"architectures": [SMALL], "space": "darts"}))
    assert "one of gcn-nas, " in document["detail"]
    mismatch = {"architectures": [SMALL], "space": "nas-bench-201", "ensemble": "gcn-nas-ntu"}
    assert "'gcn-nas', the space of ensemble" in problem(client.post("/v1/predictions", json=mismatch))["detail"]


def test_probe_batch_of_a_request(client: httpx.Client, post: Post) -> None:
    body: dict[str, Any] = {"architectures": [IMAGE], "proxies": ["flops"]}
    usual, double = post("/v1/scores", **body), post("/v1/scores", **body, batch={"batch_size": 16, "seed": 1})
    assert double["probe_batch"]["shapes"][0][0] == 16
    assert double["probe_batch"]["fingerprint"] != usual["probe_batch"]["fingerprint"]
    flops = [document["scores"][0]["scores"]["flops"]["value"] for document in (usual, double)]
    sizes = [document["probe_batch"]["shapes"][0][0] for document in (usual, double)]
    assert flops[0] * sizes[1] == flops[1] * sizes[0]
    large = {**body, "batch": {"batch_size": 5 * sizes[0]}}
    assert "batch (numbers)" in problem(client.post("/v1/scores", json=large))["detail"]


def test_job_of_scores_of_another_space(client: httpx.Client) -> None:
    body = {"kind": "scores", "architectures": [IMAGE, SIX], "proxies": ["params"], "settings": {"dataset": "cifar100"}}
    headers = {"Idempotency-Key": f"spaces-{os.getpid()}"}
    job = client.post("/v1/jobs", json=body, headers=headers).json()
    assert job["ensemble"] == "nas-bench-201-cifar100"
    without = {**body, "architectures": [SIX], "settings": {"num_classes": 10}}
    assert client.post("/v1/jobs", json=without).json()["ensemble"] is None
    assert client.post("/v1/jobs", json=body, headers=headers).json()["id"] == job["id"]
    other = {**body, "settings": {"dataset": "cifar10"}}
    assert client.post("/v1/jobs", json=other, headers=headers).status_code == 409
    path = f"/v1/jobs/{job['id']}"
    assert wait(client, path)["state"] == "done"
    results = {each["position"]: each["result"] for each in client.get(f"{path}/results").json()["results"]}
    alone = {**body, "architectures": [IMAGE]}
    del alone["kind"]
    (item,) = client.post("/v1/scores", json=alone).json()["scores"]
    assert results[0]["scores"]["params"] == item["scores"]["params"]
    assert item["cached"]
    assert results[1]["error"]["errors"][0]["field"] == "architectures[1].space"


@pytest.fixture(scope="module")
def broken_plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server beside an installed distribution whose search space cannot be imported, and the server's log."""
    site, log = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("log") / "log"
    info = site / "broken_space-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-space\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[archrank.spaces]\nbroken = no_such_module:Space\n")
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    with server(PATIENT_SERVER | {"PYTHONPATH": path}, log) as url:
        yield url, log


def test_a_broken_plugin_is_a_warning_and_the_rest_works(broken_plugin: tuple[str, Path]) -> None:
    url, log = broken_plugin
    with httpx.Client(base_url=url, headers=HEADERS, timeout=PATIENCE_S) as client:
        assert "broken" not in client.get("/v1/spaces").json()
        assert client.post("/v1/predictions", json={"architectures": [SMALL], "proxies": []}).status_code == 200
        assert client.post("/v1/scores", json={"architectures": [SMALL], "proxies": ["params"]}).status_code == 200
    text = log.read_text()
    assert "plug-in 'broken' of broken-space 1.0" in text
    assert "no_such_module" in text
