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


def test_the_name_of_a_published_table_implies_space_and_data_set(tmp_path: Path) -> None:
    space = NasBenchGraph("photo")
    arch = space.sample(np.random.default_rng(0))
    path, scores = tmp_path / "photo.bench", tmp_path / "scores.jsonl"
    table = {int(arch.digits): {"perf": 0.9, "para": np.float64(space.cost(arch).params / 1e6)}}
    path.write_bytes(pickle.dumps(table, protocol=3))
    result = CliRunner().invoke(app, ["benchmark", "validate", str(path)])
    assert result.exit_code == 0, result.output
    assert f"1 architectures of {space.name}" in result.output
    options = ["--proxies", "params", "--jobs", "1", "--device", "cpu"]
    result = CliRunner().invoke(app, ["benchmark", "score", str(path), "--out", str(scores), *options])
    assert result.exit_code == 0, result.output
    header = json.loads(scores.read_text().splitlines()[0])
    assert (header["space"], header["settings"]) == (space.name, space.settings)
