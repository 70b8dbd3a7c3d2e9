"""Commands on tables as they were published, of a data set that is a setting of the space."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.nas_bench_graph import NasBenchGraph
from service.cli import app


def test_evaluate_reads_a_table_of_nas_bench_graph(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    space, rng = NasBenchGraph("photo"), np.random.default_rng(0)
    table = {}
    for _ in range(30):
        arch = space.sample(rng)
        accuracy = 0.9 - 0.1 * space.features(arch)["sum.nodes"] + 0.01 * rng.random()
        table[int(arch.digits)] = {"perf": accuracy, "para": np.float64(space.cost(arch).params / 1e6)}
    path = tmp_path / "photo.bench"
    table[next(iter(table))]["para"] += 1.0
    path.write_bytes(pickle.dumps(table, protocol=3))
    options = ["--space", space.name, "--setting", "dataset=photo", "--repeats", "1", "--folds", "2", "--jobs", "1"]
    result = CliRunner().invoke(app, ["evaluate", "--benchmark", str(path), *options, "--json"])
    assert result.exit_code == 0, result.output
    assert f"photo.bench: 1 of {len(table)} architectures left out" in caplog.text
    benchmark = json.loads(result.stdout)["benchmark"]
    assert (benchmark["space"], benchmark["settings"]) == (space.name, {"dataset": "photo"})
    assert benchmark["size"] == len(table) - 1
    wrong = ["--setting", "dataset=cora"]
    result = CliRunner().invoke(app, ["evaluate", "--benchmark", str(path), "--space", space.name, *wrong])
    assert result.exit_code != 0
    assert "another data set" in result.stderr


def test_a_published_table_names_its_space(tmp_path: Path) -> None:
    space, rng = NasBenchGraph("photo"), np.random.default_rng(0)
    archs = [space.sample(rng) for _ in range(3)]
    table = {arch.digits: {"perf": 0.9, "para": np.float64(space.cost(arch).params / 1e6)} for arch in archs}
    (tmp_path / "photo.bench").write_bytes(pickle.dumps(table, protocol=3))
    result = CliRunner().invoke(app, ["benchmark", "validate", str(tmp_path / "photo.bench")])
    assert result.stdout.startswith(f"{len(table)} architectures of nas-bench-graph")
    options = ["--out", str(tmp_path / "scores.jsonl"), "--proxies", "params", "--jobs", "1"]
    result = CliRunner().invoke(app, ["benchmark", "score", str(tmp_path / "photo.bench"), *options])
    assert result.exit_code == 0, result.output
    header = json.loads((tmp_path / "scores.jsonl").read_text().splitlines()[0])
    assert (header["space"], header["settings"]) == ("nas-bench-graph", {"dataset": "photo"})
