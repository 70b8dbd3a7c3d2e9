import json
import os
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ensemble import Benchmark, BenchmarkError, evaluate, load_benchmark, write_table

LAYERS = [["S"], ["S", "L2"], ["T"], ["ST"]]
OTHER = [["S"], ["S", "L2"], ["T"], ["S"]]
GOOD = {"architecture": {"layers": LAYERS}, "accuracy": 0.93}

PUBLISHED = {
    "epe_nas": 0.0216, "fisher": 0.2331, "flops": 0.7059, "grad_norm": 0.2486, "grad_sign": 0.5094, "grasp": -0.4157,
    "jacov": -0.0512, "l2_norm": 0.7276, "nwot": 0.1450, "params": 0.6067, "plain": 0.2465, "snip": 0.2333,
    "synflow": 0.7457, "zen": 0.7719,
}  # fmt: skip


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_a_written_table_reads_back_the_same(benchmark: Benchmark, tmp_path: Path) -> None:
    write_table(benchmark, tmp_path / "synthetic.jsonl")
    again = load_benchmark(tmp_path / "synthetic.jsonl")
    assert again.entries == benchmark.entries
    assert again.data_hash == benchmark.data_hash
    assert [path.name for path in tmp_path.iterdir()] == ["synthetic.jsonl"]


def test_a_byte_order_mark_and_a_pipe(tmp_path: Path) -> None:
    text = json.dumps(GOOD).encode("utf-8-sig")
    (tmp_path / "table.jsonl").write_bytes(text)
    os.mkfifo(tmp_path / "pipe")
    writer = Thread(target=(tmp_path / "pipe").write_bytes, args=(text,))
    writer.start()
    assert load_benchmark(tmp_path / "pipe").entries == load_benchmark(tmp_path / "table.jsonl").entries
    writer.join()


def test_order_of_rows_is_irrelevant(tmp_path: Path) -> None:
    other = {"architecture": {"layers": OTHER}, "accuracy": 0.94}
    first = load_benchmark(write(tmp_path / "a.jsonl", GOOD, "", other))
    second = load_benchmark(write(tmp_path / "b.jsonl", other, GOOD))
    assert first.entries == second.entries
    assert first.data_hash == second.data_hash
    assert sorted(first.strata) == [4, 4]


def test_scores_that_are_not_finite_become_none(tmp_path: Path) -> None:
    scores = {"a": "Nan", "b": None, "c": 2, "d": float("nan"), "e": 10**400, "f": float("inf")}
    entry = load_benchmark(write(tmp_path / "t.jsonl", {**GOOD, "scores": scores})).entries[0]
    assert entry.scores == {"a": None, "b": None, "c": 2.0, "d": None, "e": None, "f": None}
    assert entry.seconds is None


@pytest.mark.parametrize(
    ("row", "field", "allowed"),
    [
        ({**GOOD, "accuracy": 93.4}, "accuracy", "write 0.934"),
        ({**GOOD, "accuracy": -0.1}, "accuracy", "fraction"),
        ({**GOOD, "accuracy": float("nan")}, "accuracy", "fraction"),
        ({**GOOD, "accuracy": "0.9"}, "accuracy", "fraction"),
        ({**GOOD, "accuracy": True}, "accuracy", "fraction"),
        ({"architecture": {"layers": LAYERS}}, "accuracy", "missing"),
        ({"accuracy": 0.9}, "architecture", "missing"),
        ({**GOOD, "architecture": {"layers": [["S"], ["XX"], ["S"], ["S"]]}}, "layers[1][0]", "L4n"),
        ({**GOOD, "note": 1}, "note", "only the fields"),
        ({**GOOD, "seconds": -1}, "seconds", "seconds"),
        ({**GOOD, "scores": {"zen": "high"}}, "scores.zen", "number"),
        ({**GOOD, "scores": [1]}, "scores", "object"),
        ("[1, 2]", "line 2", "JSON object"),
        ("{broken", "line 2", "JSON ("),
        ("[" * 100_000, "line 2", "32 levels"),
        ('{"architecture": 1, "accuracy": 0.9, "accuracy": 0.1}', "line 2", "each name at most once"),
        ({**GOOD, "seconds": 10**400}, "seconds", "seconds"),
        ({**GOOD, "accuracy": 10**400}, "accuracy", "fraction"),
    ],
)
def test_errors_name_file_line_and_field(tmp_path: Path, row: Any, field: str, allowed: str) -> None:
    other = {"architecture": {"layers": OTHER}, "accuracy": 0.9}
    with pytest.raises(BenchmarkError) as caught:
        load_benchmark(write(tmp_path / "table.jsonl", other, row))
    assert caught.value.field.startswith("table.jsonl line 2")
    assert caught.value.field.endswith(field)
    assert allowed in caught.value.allowed


def test_a_duplicate_is_refused_with_both_lines(tmp_path: Path) -> None:
    other = {"architecture": {"layers": OTHER}, "accuracy": 0.9}
    with pytest.raises(BenchmarkError, match=r"t\.jsonl line 3.*also t\.jsonl line 1"):
        load_benchmark(write(tmp_path / "t.jsonl", GOOD, other, GOOD))


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="existing"):
        load_benchmark(tmp_path / "none")
    with pytest.raises(BenchmarkError, match="at least one"):
        load_benchmark(tmp_path)


def public_record(**changes: Any) -> dict[str, Any]:
    weights = [[0.05] * 5 + [0.12, 0.05, 0.05]] * 4
    scores = {"zen": {"score": 1.5, "time": 1.0}, "jacov": {"score": "Nan", "time": 1.0}}
    later = {"zen": {"score": 9.0, "time": 1.0}}
    record = {"weights": weights, "val_acc": 0.93, "time": 5.0, "zero_cost_scores": scores, "zero_cost_scores_3": later}
    return {"hash": {**record, **changes}}


@pytest.mark.parametrize("folder", [".", "data"])
def test_public_files(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    write(tmp_path / folder / "x.json", public_record())
    entry = load_benchmark(tmp_path).entries[0]
    assert (entry.accuracy, entry.seconds, entry.scores) == (0.93, 5.0, {"zen": 1.5, "jacov": None})


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (public_record(val_acc=93), "x.json, accuracy"),
        (public_record(weights=[[0.1]]), "x.json, weights"),
        (public_record(zero_cost_scores={"zen": 1}), "x.json, zero_cost_scores"),
        ({"hash": {"val_acc": 0.9}}, "x.json, weights"),
        ({}, "x.json"),
    ],
)
def test_public_files_that_are_wrong(tmp_path: Path, record: Any, field: str) -> None:
    write(tmp_path / "x.json", record)
    with pytest.raises(BenchmarkError) as caught:
        load_benchmark(tmp_path)
    assert caught.value.field.startswith(field)


def test_published_correlations_to_four_digits(benchmark_folder: Path) -> None:
    benchmark = load_benchmark(benchmark_folder)
    evaluation = evaluate(benchmark, repeats=1, folds=2, combiners=["ridge"], jobs=1)
    correlations = {proxy: metrics["spearman"] for proxy, metrics in evaluation["published"].items()}
    assert len(benchmark) == 593
    assert correlations == pytest.approx(PUBLISHED, abs=5e-5)
    assert evaluation["stratum"]["spearman"] == pytest.approx(0.7822, abs=5e-5)
    assert evaluation["stratum"]["within_stratum_spearman"] is None
