import json
from typing import Any

import numpy as np
import pytest

from ensemble import Benchmark, Ensemble, Entry, FeatureTable, card, get_combiner, shortcomings
from ensemble.evaluation.baselines import BASELINES
from ensemble.evaluation.cross_validation import held_out_predictions
from ensemble.evaluation.protocol import structural_folds, summary

Metrics = dict[str, Any]


def said(**measures: float | None) -> Metrics:
    return {name: None if value is None else {"mean": value, "sd": 0.01} for name, value in measures.items()}


@pytest.fixture
def metrics() -> Metrics:
    """Of an ensemble that is better than counting, with honest intervals."""
    good, intervals = said(spearman=0.9, within_depth=0.5, mae=0.002), said(coverage=0.9, width=0.02)
    pairs = {"all": said(brier=0.1), "within_depth": said(brier=0.2)}
    return {
        "method": {"repeats": 2, "folds": 10, "seed": 0},
        "baselines": {
            "depth": said(spearman=0.8, within_depth=None),
            "params": said(spearman=0.7, within_depth=0.2),
        },
        "combiners": {"stacked": good, "structure": good},
        "intervals": {"level": 0.9, "combiners": {"stacked": intervals, "structure": intervals}},
        "pairs": {"combiners": {"stacked": pairs}},
    }


def carded(ensemble: Ensemble, metrics: Metrics) -> Metrics:
    return card(ensemble.manifest | {"metrics": metrics})


def test_what_beats_counting_has_no_shortcomings(metrics: Metrics) -> None:
    assert shortcomings(metrics) == []


def test_shortcomings_name_combiner_measure_and_both_numbers(metrics: Metrics) -> None:
    metrics["combiners"]["stacked"] = said(spearman=0.75, within_depth=0.2)
    assert shortcomings(metrics) == [
        "stacked does not beat counting layers in ρ: 0.750, counting layers 0.800",
        "stacked does not beat counting parameters in ρ within depth: 0.200, counting parameters 0.200",
    ]


def test_a_measure_that_is_not_defined_is_a_shortcoming_said_once(metrics: Metrics) -> None:
    metrics["combiners"]["structure"] = said(spearman=None, within_depth=0.5)
    assert shortcomings(metrics) == ["structure has no ρ that is defined in every repeat"]


def test_only_combiners_that_answer_by_default_have_shortcomings(metrics: Metrics) -> None:
    metrics["combiners"] = {"ridge": said(spearman=0.1, within_depth=0.0)}
    assert shortcomings(metrics) == []
    assert shortcomings({}) == shortcomings({"spearman": 0.5}) == []


def test_noise_beats_nothing(benchmark: Benchmark, table: FeatureTable) -> None:
    """Where accuracies are shuffled, the structure's order is no better than counting something."""
    shuffled = benchmark.accuracy[np.random.default_rng(5).permutation(len(benchmark))]
    entries = tuple(Entry(entry.architecture, float(y)) for entry, y in zip(benchmark.entries, shuffled, strict=True))
    infos = [*BASELINES, get_combiner("structure")]
    held = held_out_predictions(infos, table, shuffled, [structural_folds(table, shuffled, 2, 0)])
    metrics = summary(held, Benchmark("noise", benchmark.space, entries))
    (own,) = metrics["combiners"].values()
    found = shortcomings(metrics)
    assert found
    for sentence in found:
        assert sentence.startswith("structure does not beat counting ")
        assert f"{own['within_depth' if 'within depth' in sentence else 'spearman']['mean']:.3f}" in sentence
    real = held_out_predictions(infos, table, benchmark.accuracy, [structural_folds(table, benchmark.accuracy, 2, 0)])
    assert shortcomings(summary(real, benchmark)) == []


def test_a_card_is_plain_data_about_the_ensemble(ensemble: Ensemble, benchmark: Benchmark, metrics: Metrics) -> None:
    found = carded(ensemble, metrics)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["name"], found["space"], found["combiners"]) == ("test", "gcn-nas", list(ensemble.combiners))
    assert found["interval_level"] == 0.9
    assert found["method"] == metrics["method"]
    assert found["benchmark"] == benchmark.summary
    assert found["features"] == {
        "proxies": 4,
        "structure": len(benchmark.space.features(benchmark.architectures[0])),
        "cost": 2,
    }
    assert found["baselines"] == ["depth", "params"]
    assert set(found["measured"]) == {"depth", "params", "stacked", "structure"}
    assert found["measured"]["stacked"] == {
        **dict.fromkeys(("partial", "kendall", "pairwise")),
        **said(spearman=0.9, within_depth=0.5, mae=0.002, coverage=0.9, width=0.02),
        "brier, all": {"mean": 0.1, "sd": 0.01},
        "brier, within_depth": {"mean": 0.2, "sd": 0.01},
    }


def test_what_was_not_measured_is_none(ensemble: Ensemble, metrics: Metrics) -> None:
    structure = carded(ensemble, metrics)["measured"]["structure"]
    assert structure["brier, all"] is structure["brier, within_depth"] is structure["kendall"] is None
    del metrics["intervals"]
    assert carded(ensemble, metrics)["measured"]["stacked"]["coverage"] is None
    several: list[Metrics] = [{}, {"spearman": 0.5}, {"combiners": {"stacked": {}}}]
    for few in several:
        found = carded(ensemble, few)
        assert found["method"] is None
        assert json.dumps(found)
        assert set(found["measured"]) == set(few.get("combiners", {}))
    assert carded(ensemble, {"combiners": {"stacked": {}}})["measured"]["stacked"]["spearman"] is None


def test_limits_say_what_it_knows_and_what_proxies_change(
    ensemble: Ensemble, benchmark: Benchmark, metrics: Metrics
) -> None:
    metrics["combiners"]["stacked"] = said(spearman=0.9, within_depth=0.53)
    limits = carded(ensemble, metrics)["limits"]
    y = benchmark.accuracy
    assert limits[0].startswith(
        f"It knows 60 networks of 4, 6, 8, 10 layers with accuracies from {y.min():.4f} to {y.max():.4f}"
    )
    assert "Proxies change the ρ within depth of the default prediction by +0.030." in limits
    assert not any("intervals" in limit or "noise" in limit for limit in limits)
    assert len(limits) == 3


def test_a_difference_that_rounds_to_nothing_has_no_sign(ensemble: Ensemble, metrics: Metrics) -> None:
    for name, within_depth in (("stacked", 0.5), ("structure", 0.5002)):
        metrics["combiners"][name] = said(spearman=0.9, within_depth=within_depth)
    limits = carded(ensemble, metrics)["limits"]
    assert "Proxies change the ρ within depth of the default prediction by less than 0.001." in limits


def test_limits_hold_shortcomings_and_noise(ensemble: Ensemble, metrics: Metrics) -> None:
    metrics["combiners"]["structure"] = said(spearman=0.1, within_depth=0.5)
    metrics["noise"] = {"sd": 0.00123, "within_depth": 0.654}
    limits = carded(ensemble, metrics)["limits"]
    assert limits[1:3] == shortcomings(metrics)
    assert any("standard deviation of about 0.12 points" in limit and "about 0.65" in limit for limit in limits)


@pytest.mark.parametrize(("coverage", "honest"), [(0.879, False), (0.88, True), (0.93, True), (0.931, False)])
def test_intervals_that_cover_too_few_or_too_many_are_said(
    ensemble: Ensemble, metrics: Metrics, coverage: float, honest: bool
) -> None:
    intervals = {"coverage": {"mean": coverage, "sd": 0}, "coverage, depth=8": {"mean": coverage, "sd": 0}}
    metrics["intervals"]["combiners"]["structure"] = intervals | {"coverage, depth=6": None}
    found = [limit for limit in carded(ensemble, metrics)["limits"] if "intervals" in limit]
    if honest:
        assert found == []
    else:
        share = f"90% intervals of structure cover {coverage:.1%}"
        assert found == [f"{share}.", f"{share} at 8 layers."]


def test_the_card_of_an_ensemble_that_measured_itself(plain: Ensemble) -> None:
    found = card(plain.manifest)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found["measured"]) == {"depth", "params", "ridge", "structure"}
    for name, measured in found["measured"].items():
        missing = {key for key, value in measured.items() if value is None}
        assert missing <= ({"partial", "within_depth"} if name == "depth" else set())
    assert found["method"] == {"repeats": 1, "folds": 2, "seed": 0}
    assert found["features"]["proxies"] == 0
