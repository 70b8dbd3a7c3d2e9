"""A proxy that `archrank evolve` wrote, scored over HTTP by a server that was started after it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from ensemble.data.scores import append_scores, start_scores
from evolution.layer_statistics import Measure, Network
from models import get_space
from proxies import proxy_versions, registry
from service.cli import app
from service.workers.errors import ClusterError
from service.workers.ray_backend import RayOptions
from tests.real_server import Server, serving

ROWS = 60
SPACE = get_space("nas-bench-201")


def archrank(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "80"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a benchmark whose accuracy is that of a formula, and of its scores."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    names = ("flops", "nwot", "zen")
    header = {"space": SPACE.name, "settings": SPACE.settings, "proxies": proxy_versions(names)}
    start_scores(folder / "scores.jsonl", header)
    lines, seen = list[str](), set[str]()
    while len(lines) < ROWS:
        architecture = SPACE.sample(rng)
        if architecture.fingerprint in seen:
            continue
        seen.add(architecture.fingerprint)
        scores = dict(zip(names, rng.uniform(1, 100, 3).tolist(), strict=True))
        values = {name: {"value": value, "log": None, "status": "ok", "seconds": 0.1} for name, value in scores.items()}
        append_scores(folder / "scores.jsonl", {"fingerprint": architecture.fingerprint, "scores": values})
        accuracy = 0.5 + 0.1 * (np.log1p(scores["nwot"]) - np.log1p(scores["zen"]))
        lines.append(json.dumps({"architecture": SPACE.to_json(architecture), "accuracy": accuracy}))
    (folder / "table.jsonl").write_text("\n".join(lines))
    return folder


def evolve(tables: Path, out: Path, *more: str) -> Result:
    options = ("--population", "30", "--generations", "3", "--folds", "2", "--parts", "1", "--jobs", "1", *more)
    inputs = ("--benchmark", tables / "table.jsonl", "--scores", tables / "scores.jsonl")
    return archrank("evolve", *inputs, "--out", out, "--name", "mine", *options)


@pytest.fixture(scope="module")
def evolved(tables: Path) -> Path:
    """Folder with an evolved proxy."""
    result = evolve(tables, tables / "evolved")
    assert result.exit_code == 0, result.stderr
    for shown in ("table, evolved", "table, hand-written", "table, shuffled labels", "within", "evolved:mine in"):
        assert shown in result.stdout
    assert max(len(line) for line in result.stdout.splitlines() if str(tables) not in line) <= 80
    return tables / "evolved"


def test_a_restarted_server_scores_the_evolved_proxy(
    evolved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads((evolved / "mine.json").read_text())
    folder = tmp_path / "folder"
    folder.mkdir()
    body = {"architectures": [SPACE.to_json(SPACE.sample(np.random.default_rng(1)))], "proxies": ["evolved:mine"]}
    settings: dict[str, Any] = {"evolved_dir": folder}
    with serving(tmp_path / "data", **settings) as server:
        assert _status(server, body) == 422
        (folder / "mine.json").write_bytes((evolved / "mine.json").read_bytes())
    with serving(tmp_path / "data", **settings) as server:
        response = server.client.post("/v1/scores", json=body)
        assert response.status_code == 200, response.text
        over_http = response.json()["scores"][0]["scores"]["evolved:mine"]
        cards = {card["name"]: card for card in server.client.get("/v1/proxies").json()}
    card = cards["evolved:mine"]
    assert card["formula"]["expression"] == document["expression"]
    assert card["formula"]["latex"]
    assert card["formula"]["words"]
    assert card["version"] == f"1.{document['hash'][:12]}"
    assert cards["zen"]["formula"] is None

    assert over_http["status"] == "ok"
    monkeypatch.setenv("ARCHRANK_EVOLVED_DIR", str(folder))
    registry.proxies_by_name.cache_clear()
    try:
        (tmp_path / "request.json").write_text(json.dumps(body))
        result = archrank("score", tmp_path / "request.json", "--json")
        assert result.exit_code == 0, result.stderr
        score = json.loads(result.stdout)["scores"][0]["scores"]["evolved:mine"]
        assert score["value"] == pytest.approx(over_http["value"], rel=1e-4)
    finally:
        registry.proxies_by_name.cache_clear()


def _status(server: Server, body: Any) -> int:
    return server.client.post("/v1/scores", json=body).status_code


def test_a_finished_evolution_is_read_from_its_checkpoints(tables: Path, evolved: Path) -> None:
    before = (evolved / "mine.json").read_bytes()
    report = json.loads((evolved / "mine" / "report.json").read_text())
    result = evolve(tables, evolved, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == report
    assert (evolved / "mine.json").read_bytes() == before
    assert report["formula"]["expression"] == report["expression"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--objective", "best"), "objective"),
        (("--name", "Mine"), "name"),
        (("--folds", "61"), "folds"),
        (("--test", "nowhere"), "nowhere"),
        (("--seed", "1"), "remove it to begin anew"),
        (("--backend", "ray"), "only the layers of --layers"),
    ],
)
def test_bad_options_are_one_line(tables: Path, evolved: Path, options: tuple[str, str], message: str) -> None:
    result = evolve(tables, evolved, *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_each_benchmark_has_its_table(tables: Path, tmp_path: Path) -> None:
    table = tables / "table.jsonl"
    result = archrank(
        *("evolve", "--benchmark", table, "--benchmark", table, "--scores", tables / "scores.jsonl"),
        *("--out", tmp_path, "--name", "mine"),
    )
    assert result.exit_code == 2
    assert "one for each benchmark" in result.stderr
    result = archrank("evolve", "--benchmark", table, "--out", tmp_path, "--name", "mine")
    assert result.exit_code == 2
    assert "a table of `archrank benchmark score` for table" in result.stderr


def test_a_cluster_measures_layers(tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Network] = []

    def in_cluster(options: RayOptions) -> Measure:
        def measure(networks: Sequence[Network]) -> Iterator[tuple[str, Any]]:
            asked.extend(networks)
            yield from ()
            raise ClusterError(f"no cluster at {options.address} with {options.max_workers} nodes")

        return measure

    monkeypatch.setattr("service.workers.ray_layers.in_cluster", in_cluster)
    monkeypatch.setenv("ARCHRANK_RAY_ADDRESS", "head:6379")
    result = evolve(tables, tmp_path, "--layers", "--limit", "4", "--backend", "ray")
    assert result.exit_code == 2
    assert "no cluster at head:6379 with 1 nodes" in result.stderr
    assert [network.space for network in asked] == ["nas-bench-201"] * 4
