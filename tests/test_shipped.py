"""Shipped files: the proxy scores of the benchmark, and the ensemble fitted on them."""

import json
from pathlib import Path
from typing import Any

import pytest

from ensemble import Ensemble, load_benchmark, load_scores
from ensemble.combiners import get_combiner
from ensemble.evaluation.baselines import baselines
from ensemble.evaluation.cross_validation import held_out_predictions
from ensemble.evaluation.protocol import benchmark_features, structural_folds, summarize
from models.gcn_nas.batches import MotionBatchSpec
from proxies import proxy_versions, score
from service.settings import SHIPPED

SCORES = SHIPPED.parent / "data" / "gcn-nas-ntu.scores.jsonl"
ENSEMBLE = SHIPPED / "gcn-nas-ntu"


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble.load(ENSEMBLE)


def test_scores_are_complete_and_of_the_current_proxies(benchmark_folder: Path) -> None:
    table, benchmark = load_scores(SCORES), load_benchmark(benchmark_folder)
    assert table.header["proxies"] == proxy_versions()
    assert set(table.features) == {arch.fingerprint for arch in benchmark.architectures}
    assert all(value is not None for row in table.features.values() for value in row.values())


def test_scores_are_reproduced(space: Any) -> None:
    """The shallowest architecture of the table, scored again."""
    header, *rows = (json.loads(line) for line in SCORES.read_text().splitlines())
    row = min(rows, key=lambda row: len(row["architecture"]["layers"]))
    batch = MotionBatchSpec(**header["batch"]).make(space.task)
    assert batch.fingerprint == header["batch_fingerprint"]
    network = space.build(space.parse(row["architecture"]), seed=header["seed"])
    for name, result in score(network, batch.x, batch.y, seed=header["seed"], repeats=header["repeats"]).items():
        # Rounding depends on the processor, and gradients that differ by little more than rounding dominate zico.
        rel = 1e-2 if name == "zico" else 1e-3
        stored = row["scores"][name]
        assert result.feature == pytest.approx(stored["log"] or stored["value"], rel=rel), name


def test_ensemble_is_fitted_on_these_scores(ensemble: Ensemble) -> None:
    header = load_scores(SCORES).header
    assert ensemble.manifest["proxies"] == header["proxies"]
    assert ensemble.manifest["batch_fingerprint"] == header["batch_fingerprint"]
    assert (ensemble.manifest["proxy_seed"], ensemble.manifest["proxy_repeats"]) == (header["seed"], header["repeats"])
    assert ensemble.batch is not None


def test_ensemble_has_its_cross_validated_metrics(ensemble: Ensemble) -> None:
    metrics = ensemble.manifest["metrics"]
    assert set(metrics["combiners"]) == set(ensemble.combiners)
    assert metrics["combiners"]["stacked"]["spearman"]["mean"] >= 0.80
    assert metrics["combiners"]["stacked"]["within_stratum_spearman"]["mean"] >= 0.35


def test_shipped_files_are_small() -> None:
    folders = (SCORES.parent, ENSEMBLE)
    assert sum(path.stat().st_size for folder in folders for path in folder.rglob("*")) < 8_000_000


def test_cross_validated_quality(benchmark_folder: Path) -> None:
    """One repeat of five folds: `stacked` is well above counting layers, overall and within strata."""
    benchmark = load_benchmark(benchmark_folder)
    table, y = benchmark_features(benchmark, load_scores(SCORES)), benchmark.accuracy
    folds = structural_folds(table, y, 5, seed=0)
    held_out = held_out_predictions(
        [*baselines(table.columns), get_combiner("stacked")], table, y, [folds], seed=0, jobs=1
    )
    report = summarize(held_out, benchmark)
    stacked, depth = report["combiners"]["stacked"], report["baselines"]["stratum"]
    assert stacked["spearman"]["mean"] >= 0.80 > depth["spearman"]["mean"]
    assert stacked["within_stratum_spearman"]["mean"] >= 0.35
