"""Benchmark of all proxies: statistics of known answer, files of scores, and a page from a small table."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.markdown import insert_tables
from benchmarks.proxies_measured import results as measured
from benchmarks.proxies_measured.__main__ import PAGE
from benchmarks.proxies_measured.correlations import KINDS, Material, bootstrap, correlations, given_stratum, interval
from benchmarks.proxies_measured.figure import write_figure
from benchmarks.proxies_measured.gains import MODELS, is_significant, measure_gains, training_ranks
from benchmarks.proxies_measured.populations import POPULATIONS, PROXIES, PUBLISHED_GRAPHS, read_features
from benchmarks.proxies_measured.results import Correlated, Scored
from benchmarks.proxies_measured.scatter import agreement, relative_scatter
from benchmarks.proxies_measured.scoring import add_features, lacking
from benchmarks.proxies_measured.tables import SPACES, make_tables
from ensemble import Benchmark
from ensemble.data.benchmark import Entry
from ensemble.evaluation.metrics import partial_spearman, prediction_metrics, spearman
from models import get_space

N = 240
RNG = np.random.default_rng(0)
STRATA = RNG.integers(3, size=N)
PARAMETERS = STRATA + RNG.normal(size=N)
HIDDEN = RNG.normal(size=N)
ACCURACY = 2.0 * STRATA + PARAMETERS + HIDDEN
MATERIAL = Material(ACCURACY, STRATA, PARAMETERS, np.arange(N))
SCORES = np.column_stack([HIDDEN, RNG.normal(size=N), np.exp(PARAMETERS), STRATA.astype(np.float64), ACCURACY])
TELLING, NOISE, SIZE, DEPTH, PERFECT = range(5)


def test_correlations_are_those_of_the_evaluation() -> None:
    found = correlations(SCORES, MATERIAL)
    for i, column in enumerate(SCORES.T):
        metrics = prediction_metrics(column, ACCURACY, STRATA)
        for row, name in enumerate(("spearman", "within_stratum_spearman", "partial_spearman")):
            expected = np.nan if metrics[name] is None else metrics[name]
            assert found[row, i] == pytest.approx(expected, nan_ok=True), (i, name)
    assert found[0, PERFECT] == pytest.approx(1)
    assert np.isnan(found[1:, DEPTH]).all()
    partial = [partial_spearman(column, ACCURACY, STRATA) or np.nan for column in SCORES.T]
    np.testing.assert_allclose(given_stratum(SCORES, ACCURACY, STRATA), partial)


def test_correlation_given_parameters_is_that_of_residuals() -> None:
    found = correlations(SCORES, MATERIAL)[3]
    assert np.isnan(found[SIZE])
    ranks = [np.argsort(np.argsort(column)) + 1.0 for column in (HIDDEN, ACCURACY, PARAMETERS)]
    known = np.column_stack([*(np.equal(STRATA, stratum) for stratum in range(3)), ranks[2]]).astype(np.float64)
    left, right = (side - known @ np.linalg.lstsq(known, side, rcond=None)[0] for side in ranks[:2])
    assert found[TELLING] == pytest.approx(np.corrcoef(left, right)[0, 1])
    assert found[TELLING] > 0.9
    assert abs(found[NOISE]) < 0.2


def test_parameters_that_the_stratum_tells_leave_the_correlation() -> None:
    found = correlations(SCORES, replace(MATERIAL, parameters=STRATA.astype(np.float64)))
    np.testing.assert_allclose(found[3], found[2])


def test_bootstrap_over_known_rows() -> None:
    scores = SCORES.copy()
    scores[: N // 2, TELLING] = np.nan
    scores[:, NOISE] = np.nan
    values, draws = bootstrap(scores, MATERIAL, 30)
    low, high = interval(draws)
    kept = np.arange(N // 2, N)
    np.testing.assert_allclose(values[:, [TELLING]], correlations(scores[kept][:, [TELLING]], MATERIAL.take(kept)))
    assert np.isnan(values[:, NOISE]).all()
    assert np.isnan([low[:, NOISE], high[:, NOISE]]).all()
    assert (low[:, TELLING] < values[:, TELLING]).all()
    assert (values[:, TELLING] < high[:, TELLING]).all()
    np.testing.assert_array_equal(draws, bootstrap(scores, MATERIAL, 30)[1])
    expected = spearman(SCORES[:, DEPTH], ACCURACY)
    assert values[0, DEPTH] == pytest.approx(expected)


def test_scatter_of_known_variances() -> None:
    rng = np.random.default_rng(1)
    strata = np.repeat([0, 1], 400)
    architectures = rng.normal(size=800) + 5.0 * strata
    noisy = architectures + rng.normal(scale=0.5, size=(5, 800))
    scores = np.stack([noisy, np.broadcast_to(architectures, noisy.shape), np.ones_like(noisy)], axis=2)
    scatter, rho = relative_scatter(scores, strata), agreement(scores, strata)
    # The mean over five seeds still has a fifth of the variance over seeds.
    assert scatter[0] == pytest.approx(0.5 / (1 + 0.25 / 5) ** 0.5, rel=0.1)
    assert scatter[1] == pytest.approx(0, abs=1e-9)
    assert rho[0] == pytest.approx(1 / (1 + 0.25), abs=0.05)
    assert rho[1] == pytest.approx(1)
    assert np.isnan([scatter[2], rho[2]]).all()


@pytest.mark.parametrize("model", MODELS)
def test_gains_of_a_telling_input_and_of_noise(model: str) -> None:
    structure = np.column_stack([STRATA, PARAMETERS])
    inputs = [SCORES[:, [TELLING]], SCORES[:, [NOISE]]]
    gain = measure_gains(model, structure, inputs, MATERIAL, 80, 3)
    assert 0.2 < gain.base < 0.8
    assert gain.mean[0] > 0.1
    assert is_significant(gain.mean, gain.error, 2).tolist() == [True, False]
    assert 0 < gain.error[0] < 0.1


def test_twins_are_no_further_evidence() -> None:
    """A second copy of every architecture changes neither intervals nor errors, and no test row has a training twin."""
    twice = np.tile(np.arange(N), 2)
    alone, twins = (bootstrap(SCORES[rows], MATERIAL.take(rows), 30) for rows in (np.arange(N), twice))
    np.testing.assert_allclose(twins[0], alone[0])
    np.testing.assert_allclose(twins[1], alone[1])
    seen = np.column_stack([STRATA, np.arange(N)]).astype(np.float64)  # an identity, which tells of twins alone
    material = replace(MATERIAL, accuracy=STRATA + HIDDEN).take(twice)
    gain = measure_gains("trees", seen[twice], [SCORES[twice][:, [TELLING]]], material, 80, 2)
    assert abs(gain.base) < 0.3
    assert gain.mean[0] > 0.3


def test_a_gain_needs_more_evidence_among_more_comparisons() -> None:
    mean, error = np.array([0.02, 0.04, 0.04]), np.array([0.01, 0.01, 0.0])
    assert is_significant(mean, error, 1).tolist() == [True, True, False]
    assert is_significant(mean, error, 26).tolist() == [False, True, False]


def test_ranks_are_those_among_the_training_rows() -> None:
    scores = np.array([[3.0], [1.0], [2.0], [9.0], [np.nan], [2.0]])
    ranks = training_ranks(scores, np.array([1, 2, 3, 4]))
    np.testing.assert_allclose(ranks[:, 0], [2 / 3, 1 / 6, 1 / 2, 5 / 6, 0.5, 0.5])
    scores[[0, 5]] *= 100  # other rows do not change those of the training rows
    np.testing.assert_array_equal(training_ranks(scores, np.array([1, 2, 3, 4]))[1:5], ranks[1:5])


def test_columns_are_added_to_a_file_of_scores(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    assert read_features(path) == ("fingerprint", {})
    add_features(path, {"b": {"zen": 1 / 3}, "a": {"zen": None}}, ["zen", "sed"])
    add_features(path, {"a": {"near": 2e-9}, "c": {"near": 4.0}}, ["near"])
    assert read_features(path)[1] == {
        "a": {"zen": None, "sed": None, "near": 2e-9},
        "b": {"zen": 0.333333333, "sed": None, "near": None},
        "c": {"zen": None, "sed": None, "near": 4.0},
    }


def test_architectures_without_scores_are_those_that_lack_them() -> None:
    population = POPULATIONS["nas-bench-201-cifar10"]
    space = get_space("nas-bench-201", dataset="cifar10")
    known, unknown = (space.parse({"digits": digits}) for digits in ("330440", "333333"))
    benchmark = Benchmark("two", space, (Entry(known, 0.9), Entry(unknown, 0.9)))
    cells, names = lacking(population, benchmark, 0)
    assert cells.architectures == [unknown]
    assert names == list(PROXIES)
    assert lacking(population, benchmark, 1) == (replace(benchmark, entries=()), [])


def scored() -> Scored:
    """Population with three proxies, one of which no architecture has a score of."""
    repeated = np.stack([SCORES[:20, :2] + seed * 1e-3 * SCORES[:20, [NOISE]] for seed in range(5)])
    structure = np.column_stack([STRATA, PARAMETERS])
    keys = tuple(map(str, range(N)))
    return Scored(keys, ("zen", "sed"), SCORES[:, :2], structure, MATERIAL, np.arange(20), repeated)


def test_mean_over_populations_of_the_same_architectures() -> None:
    first = Correlated.measure(scored(), 20)
    mean = Correlated.mean([first, first])
    assert mean.rows == first.rows
    assert first.rows["zen"]["overall"][0] == pytest.approx(spearman(HIDDEN, ACCURACY), abs=1e-4)
    half = scored().restrict([str(i) for i in range(100)])
    assert Correlated.measure(half, 20).rows["zen"]["overall"][0] == pytest.approx(
        spearman(HIDDEN[:100], ACCURACY[:100]), abs=1e-4
    )


def test_page_from_a_small_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "DRAWS", dict.fromkeys(MODELS, 2))
    monkeypatch.setattr(measured, "RESULTS", tmp_path / "results.json")
    population, gains = scored(), dict[str, Any]()
    saved: list[int] = []
    measured.add_gains(population, (40, 80), gains, lambda: saved.append(len(gains)))
    assert saved == [1, 2, 3, 4]
    measured.add_gains(population, (40, 80), gains, lambda: saved.append(0))
    assert 0 not in saved
    correlations_of = Correlated.measure(population, 20).rows
    row = {
        "n": N,
        "counts": population.counts,
        "correlations": correlations_of,
        "scatter": measured.measure_scatter(population),
        "gains": gains,
    }
    results = dict.fromkeys([*SPACES, *PUBLISHED_GRAPHS], row)
    measured.write_results(results)
    tables = make_tables(measured.read_results())
    page = tmp_path / "page.md"
    page.write_text("".join(f"<!-- table: {name} -->\n<!-- end -->\n" for name in tables))
    insert_tables(page, tables)
    text = page.read_text()
    assert "| `zen` | ridge 40, 80; trees 40, 80 | " in text
    assert "| `sed` | never | never | never |" in text
    assert "| `zen` | 0.00 / 1.00 | " in text
    assert set(correlations_of["zen"]) == set(KINDS)
    write_figure(results, tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").read_text().count("<svg") == 1


def test_page_shows_the_results() -> None:
    text = PAGE.read_text()
    for name, table in make_tables(measured.read_results()).items():
        assert f"<!-- table: {name} -->\n{table}<!-- end -->" in text, name


def test_populations_have_every_proxy_of_the_registry() -> None:
    assert {"zen", "synflow"} <= set(PROXIES)
    assert len(PUBLISHED_GRAPHS) == 6
    assert all(path.exists() for population in POPULATIONS.values() for path in population.first_scores)


def test_files_with_scores_of_the_same_architectures_agree() -> None:
    """Otherwise their batches, seeds or proxies would differ, and no file's scores would go on with another's."""
    population = POPULATIONS["nas-bench-201-cifar10"]
    shipped, evolution = map(population.read, population.first_scores)
    assert (len(shipped), len(evolution), len(shipped.keys() & evolution.keys())) == (300, 1000, 300)
    for key, row in shipped.items():
        common = {name: value for name, value in row.items() if name in evolution[key]}
        assert len(common) == 17
        assert common == pytest.approx(evolution[key], rel=1e-6), key
