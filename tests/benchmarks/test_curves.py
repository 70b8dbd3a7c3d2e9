"""Benchmark of early proxies and curves: a table with a telling curve and a telling proxy, and one of noise."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import curves
from ensemble import Benchmark, Curve, Entry, Training, write_table
from ensemble.data.benchmark import ProxyScores
from models import get_space


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Table of accuracies that no structure explains; its curves and the scores after two epochs show them."""
    space, rng, entries = get_space("nas-bench-graph", dataset="cora"), np.random.default_rng(0), dict[str, Entry]()
    while len(entries) < 60:
        architecture, accuracy = space.sample(rng), float(rng.uniform(0.5, 0.9))
        scores: dict[int, ProxyScores] = {0: {"noise": float(rng.normal())}, 2: {"telling": accuracy, "rare": None}}
        curve = Curve(accuracy=(float(rng.uniform(0.1, 0.2)), accuracy - 0.1))
        entries[architecture.fingerprint] = Entry(
            architecture, accuracy, trainings=(Training(0, accuracy, curve, scores),)
        )
    path = tmp_path_factory.mktemp("table") / "table.jsonl"
    write_table(Benchmark("table", space, tuple(entries[key] for key in sorted(entries))), path)
    return path


def test_gains_of_telling_inputs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, cache = tmp_path / "page.md", tmp_path / "cache.jsonl"
    page.write_text("<!-- table: curves -->\n<!-- end -->\n")
    arguments = ["--benchmark", path, "--curve-epochs", "1", "2", "--sizes", "40", "--page", page, "--cache", cache]
    for draws in ("1", "2"):  # the second run resumes
        monkeypatch.setattr("sys.argv", ["curves", *map(str, arguments), "--draws", draws])
        curves.main()
    assert len(cache.read_text().splitlines()) == 2
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.read_text().splitlines()[3:-1]]
    gains = {row[0]: float(row[1].split("(")[1].split()[0]) for row in rows if "(" in row[1]}
    assert set(gains) == {
        "+ proxies before the training",
        "+ proxies after epoch 1",
        "+ curve of the first epoch",
        "+ curve of the first 2 epochs",
    }
    assert gains["+ proxies after epoch 1"] > 0.3
    assert gains["+ curve of the first 2 epochs"] > 0.3
    assert gains["+ proxies before the training"] < 0.3
    assert gains["+ curve of the first epoch"] < 0.3


def test_late_epochs_are_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["curves", "--benchmark", str(path), "--epochs", "0", "49"])
    with pytest.raises(SystemExit):
        curves.main()
    assert "--epochs: got [49]; allowed: 0 to 47" in capsys.readouterr().err
