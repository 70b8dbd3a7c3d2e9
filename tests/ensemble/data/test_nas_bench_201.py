"""Reader of the published tables of NAS-Bench-201."""

import math
from pathlib import Path
from typing import Any

import pytest

from ensemble.data.loading import load_benchmark
from ensemble.errors import BenchmarkError
from models import get_space

ACCURACY = "index,ops,c10,c100,in16\n0,421211,85.8633,52.9133,26.6333\n1,334131,93.66,70.2933,44.0333\n"
SCORES = "dataset,ops,synflow,nwot,zen\nc10,421211,44.5,754.5,63.4\nc10,334131,60,-100000000,\nin16,421211,0,3,4\n"


def space(dataset: str = "cifar10") -> Any:
    return get_space("nas-bench-201", dataset=dataset)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "accuracy.csv").write_text(ACCURACY)
    (tmp_path / "scores.csv").write_text(SCORES)
    return tmp_path


def test_accuracies_are_those_of_the_data_set(folder: Path) -> None:
    for dataset, accuracy in (("cifar10", 0.858633), ("cifar100", 0.529133), ("imagenet16-120", 0.266333)):
        benchmark = load_benchmark(folder / "accuracy.csv", space(dataset))
        by_digits = {entry.architecture.digits: entry.accuracy for entry in benchmark.entries}  # type: ignore[attr-defined]
        assert by_digits["421211"] == pytest.approx(accuracy)
        assert len(benchmark) == 2
        assert benchmark.proxies == ()


def test_scores_are_joined_to_the_accuracies_beside_them(folder: Path) -> None:
    benchmark = load_benchmark(folder / "scores.csv", space())
    entries = {entry.architecture.digits: entry for entry in benchmark.entries}  # type: ignore[attr-defined]
    assert entries["421211"].scores == {"synflow": pytest.approx(math.exp(44.5)), "nwot": 754.5, "zen": 63.4}
    assert entries["334131"].scores == {"synflow": pytest.approx(math.exp(60)), "nwot": None, "zen": None}
    assert entries["334131"].accuracy == pytest.approx(0.9366)
    other = load_benchmark(folder / "scores.csv", space("imagenet16-120"))
    assert [entry.scores["synflow"] for entry in other.entries] == [None]


def test_the_published_tables(benchmark_folder: Path) -> None:
    folder = benchmark_folder.parent / "nas-bench-201"
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist")
    sizes = {"accuracy.csv": 15_625, "proxies.csv": 1_104, "proxies_9445.csv": 9_445}
    for name, size in sizes.items():
        benchmark = load_benchmark(folder / name, space("imagenet16-120"))
        assert len(benchmark) == size
        assert len(benchmark.proxies) == {"accuracy.csv": 0, "proxies.csv": 12, "proxies_9445.csv": 13}[name]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,c10\n0,90\n", r"table.csv line 1, ops: got .*a header line with the column ops"),
        ("", "table.csv line 1, ops"),
        ("ops,c10\n", "table.csv: got 'no rows'"),
        ("ops,c10\n421211,ninety\n", "table.csv line 2, c10: got 'ninety'; allowed: a number"),
        ("ops,c10\n421211,\n", "table.csv line 2, c10: got ''; allowed: an accuracy in percent"),
        ("ops,c10\n421211,900\n", "table.csv line 2, accuracy"),
        ("ops,c10\n521211,90\n", "table.csv line 2, digits: got '521211'"),
        ("ops,c10\n421211,90\n421211,91\n", "each architecture once"),
        ("ops,c10\n421211,90,1\n", "table.csv line 2: got .*2 values"),
        ("ops,c10\n421211\n", "table.csv line 2: got .*2 values"),
        ("ops,dataset,c10\n421211,cifar100,90\n", "table.csv, dataset: got 'cifar10'"),
        ("ops,zen\n333333,1\n", "table.csv line 2, ops: got '333333'; allowed: an architecture that accuracy.csv has"),
        ('ops,c10\n"421211,90\n', "comma-separated values"),
        ("ops,c10,c10\n421211,90,80\n", "table.csv line 1: got .*each column once"),
        ("ops,c10,synflow\n421211,90,710\n", "table.csv line 2, synflow: got 710.0; allowed: a logarithm up to 709"),
        ("ops,c10,synflow\n421211,90,inf\n", "table.csv line 2, synflow: got inf; allowed: a logarithm up to 709"),
    ],
)
def test_malformed_tables_are_refused(folder: Path, text: str, message: str) -> None:
    path = folder / "table.csv"
    path.write_text(text)
    with pytest.raises(BenchmarkError, match=message):
        load_benchmark(path, space())


def test_scores_without_accuracies_are_refused(folder: Path) -> None:
    (folder / "accuracy.csv").unlink()
    with pytest.raises(BenchmarkError, match=r"scores\.csv, c10: got None; allowed: accuracies"):
        load_benchmark(folder / "scores.csv", space())


def test_an_architecture_has_one_accuracy(folder: Path) -> None:
    (folder / "accuracy.csv").write_text(ACCURACY + "2,421211,90,60,30\n")
    with pytest.raises(BenchmarkError, match=r"accuracy\.csv line 4, ops: got '421211'; .*each .* once"):
        load_benchmark(folder / "scores.csv", space())
