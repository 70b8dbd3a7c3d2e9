import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau, shapiro, spearmanr

from ensemble import Benchmark
from ensemble.report.proxies import min_max_scaled, shapiro_wilk
from ensemble.report.tables import Column, Table, format_number


def read(page: Path, name: str) -> dict[str, dict[str, str]]:
    """Read the rows of a CSV file by their first field."""
    with (page.parent / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {next(iter(row.values())): row for row in rows}


def column(benchmark: Benchmark, proxy: str) -> np.ndarray:
    return np.array([entry.scores[proxy] for entry in benchmark.entries], dtype=float)


def test_correlations_are_those_of_scipy(page: Path, benchmark: Benchmark) -> None:
    rows = read(page, "correlations")
    for proxy in benchmark.proxies:
        scores = column(benchmark, proxy)
        for source in ("published", "ours"):
            rho = spearmanr(scores, benchmark.accuracy).statistic
            assert float(rows[proxy][f"{source}_spearman"]) == pytest.approx(rho, abs=1e-12)
            tau = kendalltau(scores, benchmark.accuracy).statistic
            assert float(rows[proxy][f"{source}_kendall"]) == pytest.approx(tau, abs=1e-12)
            assert float(rows[proxy][f"{source}_n"]) == len(benchmark)
    layers = spearmanr(benchmark.strata, benchmark.accuracy).statistic
    assert float(rows["number of layers"]["ours_spearman"]) == pytest.approx(layers, abs=1e-12)
    assert rows["number of layers"]["ours_within_stratum_spearman"] == ""


def test_normality_is_that_of_scipy(page: Path, benchmark: Benchmark) -> None:
    rows = read(page, "normality")
    assert set(rows) == {"accuracy", *benchmark.proxies}
    for name, row in rows.items():
        values = benchmark.accuracy if name == "accuracy" else column(benchmark, name)
        expected = shapiro(values)
        assert float(row["published_w"]) == pytest.approx(expected.statistic, abs=1e-12)
        assert float(row["ours_p"]) == pytest.approx(expected.pvalue, abs=1e-12)


def test_normality_of_degenerate_samples() -> None:
    assert shapiro_wilk(np.array([1.0, np.nan, 2.0])) == (None, None, 2)
    assert shapiro_wilk(np.ones(10)) == (None, None, 10)
    assert shapiro_wilk(np.append(np.arange(10.0), np.nan)).n == 10


def test_the_matrix_is_symmetric(page: Path, benchmark: Benchmark) -> None:
    rows = read(page, "matrix_published")
    for first in benchmark.proxies:
        for second in benchmark.proxies:
            rho = spearmanr(column(benchmark, first), column(benchmark, second)).statistic
            assert float(rows[first][second]) == pytest.approx(rho, abs=1e-12)


def test_best_epoch(page: Path, by_epoch: dict[int, Benchmark]) -> None:
    """Epoch 5 has the largest ρ, but scores for half of the architectures only."""
    rho = {}
    for epoch, trained in by_epoch.items():
        scored = [entry for entry in trained.entries if entry.scores]
        scores, accuracy = [entry.scores["zen"] for entry in scored], [entry.accuracy for entry in scored]
        rho[epoch] = spearmanr(np.array(scores, dtype=float), accuracy).statistic
    assert rho[5] > rho[1] > rho[0]
    row = read(page, "best_epochs")["zen"]
    assert float(row["best_spearman_epoch"]) == 1
    assert float(row["best_spearman_rho"]) == pytest.approx(rho[1], abs=1e-12)
    epochs = read(page, "epochs")
    assert list(epochs) == ["-1", "0", "1", "5"]
    assert float(epochs["5"]["zen"]) == pytest.approx(rho[5], abs=1e-12)


def test_hours_and_their_ratio(page: Path, benchmark: Benchmark) -> None:
    rows = read(page, "cost")
    training = 10.0 * len(benchmark) / 3600
    published = 0.15 * len(benchmark) * len(benchmark.proxies) / 3600
    assert float(rows["training"]["hours"]) == pytest.approx(training)
    assert float(rows["scoring, published"]["hours"]) == pytest.approx(published)
    assert float(rows["scoring, ours"]["training_ratio"]) == pytest.approx(10.0 / 0.015)
    assert float(read(page, "seconds")["zen"]["ours_median_seconds"]) == pytest.approx(0.015)


def test_fractions_of_accuracy_are_percentage_points(page: Path, evaluation: dict[str, dict]) -> None:  # type: ignore[type-arg]
    mae = evaluation["combiners"]["ridge"]["mae"]
    row = read(page, "combiners")["ridge"]
    assert float(row["mae_points"]) == pytest.approx(100 * mae["mean"])
    assert float(row["mae_points_std"]) == pytest.approx(100 * mae["std"])
    width = evaluation["intervals"]["combiners"]["ridge"]["interval_width"]["by_stratum"]["4"]["mean"]
    assert float(read(page, "interval_width")["ridge"]["stratum_4"]) == pytest.approx(100 * width)


def test_votes_name_the_source_of_their_scores(page: Path) -> None:
    rows = read(page, "votes")
    assert rows["majority vote, published"]["fitted"] == "cross-validated"  # both sources have the same scores
    subsets = read(page, "vote_subsets_published")
    assert len(subsets) == 10
    assert float(subsets["1"]["pairwise_accuracy"]) >= float(subsets["2"]["pairwise_accuracy"])
    assert any("−grasp" in row["members"] for row in subsets.values())


def test_min_max_scaled() -> None:
    scaled = min_max_scaled(np.array([1.0, np.nan, 3.0, 2.0]))
    assert scaled is not None
    assert scaled.tolist() == pytest.approx([0, np.nan, 1, 0.5], nan_ok=True)
    assert min_max_scaled(np.ones(3)) is None
    assert min_max_scaled(np.full(3, np.nan)) is None


@pytest.mark.parametrize(
    ("value", "style", "shown"),
    [
        (None, "correlation", "–"),
        (-0.12345, "correlation", "−0.123"),
        (-0.0001, "correlation", "0.000"),
        (12345.0, "count", "12\u202f345"),
        (0.04, "p", "0.040"),
        (1.234e-30, "p", "1.2e−30"),
        (0.000639, "seconds", "0.000639"),
        (0.0, "seconds", "0"),
        (4026.2, "seconds", "4\u202f026"),
        (99.96, "seconds", "100"),
    ],
)
def test_format_number(value: float | None, style: str, shown: str) -> None:
    assert format_number(value, style) == shown  # type: ignore[arg-type]


def test_columns_of_a_table_are_of_one_length() -> None:
    with pytest.raises(ValueError, match="lengths"):
        Table("x", "X", (Column("a", "a", [1.0]), Column("b", "b", [1.0, 2.0])))


def test_many_values_are_tested_without_a_warning() -> None:
    assert shapiro_wilk(np.random.default_rng(0).normal(size=5001)).p is not None
