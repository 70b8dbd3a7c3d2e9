import json
from typing import Any

import numpy as np
import pytest

from ensemble import Benchmark, Ensemble, Entry, FeatureTable, card, get_combiner, shortcomings
from ensemble.evaluation.baselines import baselines
from ensemble.evaluation.cross_validation import held_out_predictions
from ensemble.evaluation.protocol import structural_folds, summarize
from models import EncodedSpace, require

Metrics = dict[str, Any]


def of(metrics: Metrics) -> Metrics:
    """Manifest of a `gcn-nas` ensemble, as far as shortcomings depend on it."""
    return {"space": "gcn-nas", "settings": {}, "metrics": metrics}


def summary(mean: float | None) -> dict[str, float] | None:
    return None if mean is None else {"mean": mean, "std": 0.01}


def row(**means: float | None) -> Metrics:
    return {name: summary(mean) for name, mean in means.items()}


def interval_metric(mean: float, **by_stratum: float | None) -> Metrics:
    return {"overall": summary(mean), "by_stratum": {name[1:]: summary(value) for name, value in by_stratum.items()}}


@pytest.fixture
def metrics() -> Metrics:
    """Metrics of an ensemble that exceeds the baselines, with calibrated intervals."""
    good = row(spearman=0.9, within_stratum_spearman=0.5, mae=0.002)
    intervals = {"coverage": interval_metric(0.9, _4=0.9), "interval_width": interval_metric(0.02, _4=0.02)}
    return {
        "method": {"repeats": 2, "folds": 10, "seed": 0},
        "baselines": {
            "stratum": row(spearman=0.8, within_stratum_spearman=None),
            "params": row(spearman=0.7, within_stratum_spearman=0.2),
        },
        "combiners": {"stacked": good, "structure": good},
        "intervals": {"level": 0.9, "combiners": {"stacked": intervals, "structure": intervals}},
        "pairs": {"combiners": {"stacked": {"brier": row(overall=0.1, within_stratum=0.2)}}},
    }


def card_with(ensemble: Ensemble, metrics: Metrics) -> Metrics:
    return card(ensemble.manifest | {"metrics": metrics})


def test_an_ensemble_above_the_baselines_has_no_shortcomings(metrics: Metrics) -> None:
    assert shortcomings(of(metrics)) == []


def test_shortcomings_name_combiner_metric_and_both_numbers(metrics: Metrics) -> None:
    metrics["combiners"]["stacked"] = row(spearman=0.75, within_stratum_spearman=0.2)
    assert shortcomings(of(metrics)) == [
        "The ρ of stacked, 0.750, does not exceed that of the number of layers, 0.800.",
        "The within-stratum ρ of stacked, 0.200, does not exceed that of the number of parameters, 0.200.",
    ]


def test_a_metric_that_is_not_defined_is_one_shortcoming(metrics: Metrics) -> None:
    metrics["combiners"]["structure"] = row(spearman=None, within_stratum_spearman=0.5)
    assert shortcomings(of(metrics)) == ["The ρ of structure is not defined in every repeat."]


def test_only_default_combiners_have_shortcomings(metrics: Metrics) -> None:
    metrics["combiners"] = {"ridge": row(spearman=0.1, within_stratum_spearman=0.0)}
    assert shortcomings(of(metrics)) == []
    assert shortcomings(of({})) == shortcomings(of({"spearman": 0.5})) == []


def test_predictions_of_noise_exceed_no_baseline(benchmark: Benchmark, table: FeatureTable) -> None:
    shuffled = benchmark.accuracy[np.random.default_rng(5).permutation(len(benchmark))]
    entries = tuple(Entry(entry.architecture, float(y)) for entry, y in zip(benchmark.entries, shuffled, strict=True))
    infos = [*baselines(table.columns), get_combiner("structure")]
    held_out = held_out_predictions(infos, table, shuffled, [structural_folds(table, shuffled, 2, 0)])
    metrics = summarize(held_out, Benchmark("noise", benchmark.space, entries))
    (structure,) = metrics["combiners"].values()
    sentences = shortcomings(of(metrics))
    assert sentences
    for sentence in sentences:
        assert "structure" in sentence
        assert "does not exceed that of the number of" in sentence
        metric = "within_stratum_spearman" if "within-stratum" in sentence else "spearman"
        assert f"{structure[metric]['mean']:.3f}" in sentence
    y = benchmark.accuracy
    honest = held_out_predictions(infos, table, y, [structural_folds(table, y, 2, 0)])
    assert shortcomings(of(summarize(honest, benchmark))) == []


def test_a_card_is_plain_data_about_the_ensemble(ensemble: Ensemble, benchmark: Benchmark, metrics: Metrics) -> None:
    result = card_with(ensemble, metrics)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["name"], result["space"], result["combiners"]) == ("test", "gcn-nas", list(ensemble.combiners))
    assert result["interval_level"] == 0.9
    assert result["method"] == metrics["method"]
    assert result["benchmark"] == benchmark.summary
    assert result["features"] == {
        "sources": 0,
        "proxies": 4,
        "curve": 0,
        "structure": len(require(benchmark.space, EncodedSpace).feature_names),
        "cost": 2,
    }
    assert result["baselines"] == ["stratum", "params"]
    assert set(result["metrics"]) == {"stratum", "params", "stacked", "structure"}
    assert result["metrics"]["stacked"] == {
        **dict.fromkeys(("partial_spearman", "kendall", "pairwise_accuracy")),
        **row(spearman=0.9, within_stratum_spearman=0.5, mae=0.002),
        "coverage": interval_metric(0.9, _4=0.9),
        "interval_width": interval_metric(0.02, _4=0.02),
        "brier": row(overall=0.1, within_stratum=0.2),
    }


def test_a_metric_that_is_not_known_is_none(ensemble: Ensemble, metrics: Metrics) -> None:
    structure = card_with(ensemble, metrics)["metrics"]["structure"]
    assert structure["brier"] is structure["kendall"] is None
    del metrics["intervals"]
    assert card_with(ensemble, metrics)["metrics"]["stacked"]["coverage"] is None
    several: list[Metrics] = [{}, {"spearman": 0.5}, {"combiners": {"stacked": {}}}]
    for incomplete in several:
        result = card_with(ensemble, incomplete)
        assert result["method"] is None
        assert json.dumps(result)
        assert set(result["metrics"]) == set(incomplete.get("combiners", {}))
    assert card_with(ensemble, {"combiners": {"stacked": {}}})["metrics"]["stacked"]["spearman"] is None


def test_limitations_name_the_data_and_the_gain_of_proxies(
    ensemble: Ensemble, benchmark: Benchmark, metrics: Metrics
) -> None:
    metrics["combiners"]["stacked"] = row(spearman=0.9, within_stratum_spearman=0.53)
    limitations = card_with(ensemble, metrics)["limitations"]
    y = benchmark.accuracy
    assert limitations[0].startswith(
        f"Fitted on 60 networks (number of layers: 4, 6, 8, 10) with accuracy from {y.min():.4f} to {y.max():.4f} "
        "on ntu, trained with one recipe."
    )
    assert "Proxies change the within-stratum ρ of the default prediction by +0.030." in limitations
    assert not any("intervals" in limitation or "noise" in limitation for limitation in limitations)
    assert len(limitations) == 3


def test_a_difference_that_rounds_to_zero_has_no_sign(ensemble: Ensemble, metrics: Metrics) -> None:
    for name, within_stratum in (("stacked", 0.5), ("structure", 0.5002)):
        metrics["combiners"][name] = row(spearman=0.9, within_stratum_spearman=within_stratum)
    limitations = card_with(ensemble, metrics)["limitations"]
    assert "Proxies change the within-stratum ρ of the default prediction by less than 0.001." in limitations


def test_limitations_contain_shortcomings_and_noise(ensemble: Ensemble, metrics: Metrics) -> None:
    metrics["combiners"]["structure"] = row(spearman=0.1, within_stratum_spearman=0.5)
    metrics["noise"] = {"std": 0.00123, "spearman_ceiling": {"within_stratum": 0.654}}
    limitations = card_with(ensemble, metrics)["limitations"]
    assert limitations[1:3] == shortcomings(of(metrics))
    assert any(
        "about 0.12 percentage points" in limitation and "about 0.65" in limitation for limitation in limitations
    )


@pytest.mark.parametrize(("coverage", "nominal"), [(0.879, False), (0.88, True), (0.93, True), (0.931, False)])
def test_coverage_far_from_the_nominal_level_is_a_limitation(
    ensemble: Ensemble, metrics: Metrics, coverage: float, nominal: bool
) -> None:
    metrics["intervals"]["combiners"]["structure"] = {"coverage": interval_metric(coverage, _6=None, _8=coverage)}
    limitations = [text for text in card_with(ensemble, metrics)["limitations"] if "intervals" in text]
    if nominal:
        assert limitations == []
    else:
        sentence = f"90% intervals of structure cover {coverage:.1%}"
        assert limitations == [f"{sentence}.", f"{sentence} for number of layers 8."]


def test_sentences_name_the_metric_in_words(ensemble: Ensemble, metrics: Metrics) -> None:
    metrics["noise"] = {"std": 0.001, "spearman_ceiling": {"within_stratum": 0.6}}
    proteins = {"space": "nas-bench-graph", "settings": {"dataset": "proteins"}, "metrics": metrics}
    result = card(ensemble.manifest | proteins)
    assert result["task"]["metric"] == {"name": "roc_auc", "label": "ROC-AUC", "low": 0.0, "high": 1.0}
    text = "\n".join(result["limitations"])
    assert text.count("ROC-AUC") == 3
    assert "roc_auc" not in text
    assert "accuracy" not in text


def test_the_card_of_an_ensemble_with_its_own_evaluation(plain: Ensemble) -> None:
    result = card(plain.manifest)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert set(result["metrics"]) == {"stratum", "params", "ridge", "structure"}
    for name, metrics in result["metrics"].items():
        unknown = {metric for metric, value in metrics.items() if value is None}
        assert unknown <= ({"partial_spearman", "within_stratum_spearman"} if name == "stratum" else set())
    assert result["method"] == {"repeats": 1, "folds": 2, "seed": 0}
    assert result["features"]["proxies"] == 0
