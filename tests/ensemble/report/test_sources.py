import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ensemble import Benchmark, BenchmarkError, ScoreTable, append_scores, load_benchmark, start_scores, write_table
from ensemble.report import costs, load_epochs, proxies, published_seconds, score_seconds, write_report, writer


def public_files(benchmark: Benchmark, folder: Path) -> Path:
    """Write three public files; the third lacks epoch 7."""
    (folder / "data").mkdir(parents=True)
    for i, entry in enumerate(benchmark.entries[:3]):
        mask = entry.architecture.mask  # type: ignore[attr-defined]
        record: dict[str, Any] = {
            "weights": [[0.2 if cell else 0.05 for cell in row] for row in mask],
            "val_acc": entry.accuracy,
            "time": 5.0,
            "zero_cost_scores": {"zen": {"score": 1.0 + i, "time": 0.5 + i}, "snip": {"score": 2.0}},
            "zero_cost_scores_0": {"zen": {"score": 10.0 + i, "time": 1.0}},
        }
        if i < 2:
            record["zero_cost_scores_7"] = {"zen": {"score": "Nan", "time": 1.0}, "snip": {"score": 3, "time": 1.0}}
        (folder / "data" / f"{i}.json").write_text(json.dumps({f"hash{i}": record}))
    return folder


def change(folder: Path, **fields: Any) -> None:
    path = folder / "data" / "1.json"
    content = json.loads(path.read_text())
    content["hash1"] |= fields
    path.write_text(json.dumps(content))


@pytest.fixture
def folder(benchmark: Benchmark, tmp_path: Path) -> Path:
    return public_files(benchmark, tmp_path / "public")


def test_epochs(folder: Path) -> None:
    benchmark = load_benchmark(folder)
    epochs = load_epochs(folder, benchmark)
    assert list(epochs) == [0, 7]
    for trained in epochs.values():
        assert trained.data_hash == benchmark.data_hash
        assert trained.architectures == benchmark.architectures
    for before, after in zip(benchmark.entries, epochs[0].entries, strict=True):
        assert after.scores == {"zen": (before.scores["zen"] or 0) + 9}
    assert [entry.scores for entry in epochs[7].entries].count({"zen": None, "snip": 3.0}) == 2
    assert [entry.scores for entry in epochs[7].entries].count({}) == 1
    assert load_epochs(folder / "data", benchmark).keys() == epochs.keys()


def test_a_table_contains_no_epochs(benchmark: Benchmark, tmp_path: Path) -> None:
    write_table(benchmark, tmp_path / "table.jsonl")
    assert load_epochs(tmp_path / "table.jsonl", benchmark) == {}
    assert published_seconds(tmp_path / "table.jsonl", benchmark) == {}


def test_published_seconds(folder: Path) -> None:
    benchmark = load_benchmark(folder)
    seconds = published_seconds(folder, benchmark)
    assert set(seconds) == {"zen"}  # snip has no times
    expected = [entry.scores["zen"] - 0.5 for entry in benchmark.entries]  # type: ignore[operator]
    assert seconds["zen"].tolist() == expected


def test_our_seconds(benchmark: Benchmark, scores: ScoreTable, tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    start_scores(path, scores.header)
    for i, arch in enumerate(benchmark.architectures[:5]):
        row = {
            "zen": {"value": 1.0, "log": None, "status": "ok", "seconds": float(i)},
            "nwot": {"value": 1.0, "status": "ok"},
        }
        append_scores(path, {"fingerprint": arch.fingerprint, "scores": row})
    with path.open("a") as file:
        file.write('{"fingerprint": "half')
    seconds = score_seconds(path, benchmark)
    assert set(seconds) == {"zen"}
    assert seconds["zen"][:5].tolist() == [0, 1, 2, 3, 4]
    assert np.isnan(seconds["zen"][5:]).all()
    with pytest.raises(BenchmarkError, match="existing"):
        score_seconds(tmp_path / "none", benchmark)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"zero_cost_scores_0": [1]}, r"1\.json, zero_cost_scores_0"),
        ({"zero_cost_scores_0": {"zen": 1}}, r"1\.json, zero_cost_scores_0"),
        ({"zero_cost_scores_0": {"zen": {"score": "high"}}}, r"1\.json, zero_cost_scores_0, scores\.zen"),
        ({"zero_cost_scores_0": {"zen": {"score": True}}}, r"1\.json, zero_cost_scores_0, scores\.zen"),
        ({"weights": [[0.1]]}, r"1\.json, weights"),
        ({"weights": [[0.2] * 8] * 4}, r"1\.json, weights"),
    ],
)
def test_wrong_files_are_named(folder: Path, fields: dict[str, Any], place: str) -> None:
    benchmark = load_benchmark(folder)
    change(folder, **fields)
    with pytest.raises(BenchmarkError, match=place):
        load_epochs(folder, benchmark)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"hash": {}}', '{"hash": 1}', "{"])
def test_files_without_an_architecture(folder: Path, content: str) -> None:
    benchmark = load_benchmark(folder)
    (folder / "data" / "1.json").write_text(content)
    with pytest.raises(BenchmarkError, match=r"1\.json"):
        load_epochs(folder, benchmark)


def test_the_published_benchmark(benchmark_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = load_benchmark(benchmark_folder)
    epochs = load_epochs(benchmark_folder, benchmark)
    assert set(range(10)) <= set(epochs)
    assert max(epochs) == 69
    file = benchmark_folder / "data" / "006b3152cb93773bb29dda50b8737a4479f000634687e17794acc7294428477a.json"
    (record,) = json.loads(file.read_text()).values()
    fingerprint = benchmark.space.parse({"weights": record["weights"]}).fingerprint
    (entry,) = (entry for entry in epochs[9].entries if entry.architecture.fingerprint == fingerprint)
    assert entry.scores["zen"] == record["zero_cost_scores_9"]["zen"]["score"]
    seconds = published_seconds(benchmark_folder, benchmark)
    assert sum(column.sum() for column in seconds.values()) / 3600 == pytest.approx(4.88, abs=0.01)
    monkeypatch.setattr(
        writer, "SECTIONS", (proxies.correlations, costs.training_time)
    )  # the other sections take seconds
    page = write_report(benchmark, None, {}, tmp_path / "report", by_epoch={0: epochs[0]}, published_seconds=seconds)
    assert "number of layers,0.782" in (page.parent / "correlations.csv").read_text()
    assert "1\u202f614 times" in page.read_text()
