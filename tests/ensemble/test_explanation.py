"""Explanations and mutations on the synthetic benchmark.

Its accuracy is 0.004 for each layer plus 0.01 for L2 in slot 9.
"""

import re
from typing import Any

import numpy as np
import pytest

from ensemble import Benchmark, Ensemble, Explanation, ScoreTable
from ensemble.combiners.ridge import Ridge
from ensemble.explanation import MeanContributions
from models import Architecture
from tests.estimates import accuracy_of

L2 = 4
"""Column of the module that matters."""
ADDITIVE = ("stacked", "structure", "forest", "xgboost", "ridge")


def layer_of_slot9(arch: Architecture) -> int:
    layer: int = arch.slots.index(9)  # type: ignore[attr-defined]
    return layer


def contributions(explanation: Explanation) -> dict[str, float]:
    return {one.feature_group: one.contribution for one in explanation.attributions}


@pytest.fixture
def archs(benchmark: Benchmark) -> list[Architecture]:
    return benchmark.architectures[:12]


@pytest.mark.parametrize("combiner", ADDITIVE)
def test_base_value_and_contributions_sum_to_the_prediction(
    ensemble: Ensemble, archs: list[Architecture], scores: ScoreTable, combiner: str
) -> None:
    base_values = set()
    for arch in archs[:4]:
        row = scores.features[arch.fingerprint]
        (prediction,) = ensemble.predict([arch], [row], combiner)
        explanation = ensemble.explain(arch, row, combiner)
        assert explanation.combiner == prediction.combiner == combiner
        total = explanation.base_value + sum(contributions(explanation).values())
        assert total == pytest.approx(prediction.accuracy, abs=1e-6)
        base_values.add(explanation.base_value)
    assert len(base_values) == 1


def test_the_base_value_is_the_mean_prediction_over_the_reference_set(ensemble: Ensemble, benchmark: Benchmark) -> None:
    mean = np.mean([prediction.accuracy for prediction in ensemble.predict(benchmark.architectures)])
    assert ensemble.explain(benchmark.architectures[0]).base_value == pytest.approx(mean)


def test_attributions_are_sorted_and_each_group_is_named_once(
    ensemble: Ensemble, archs: list[Architecture], scores: ScoreTable
) -> None:
    for arch in archs:
        for combiner in ADDITIVE:
            attributions = ensemble.explain(arch, scores.features[arch.fingerprint], combiner).attributions
            sizes = [abs(one.contribution) for one in attributions]
            assert sizes == sorted(sizes, reverse=True)
            assert min(sizes) > 0
            assert len({one.feature_group for one in attributions}) == len(attributions)


def test_feature_groups_are_named_as_the_space_names_them(
    ensemble: Ensemble, archs: list[Architecture], scores: ScoreTable
) -> None:
    arch = archs[0]
    layers = ensemble.space.to_json(arch)["layers"]
    known = {f"layers[{i}] ({', '.join(modules)})" for i, modules in enumerate(layers)}
    known |= {f"{len(layers)} layers", "all layers together", "parameters and FLOPs"}
    known |= {f"proxy {name}" for name in ensemble.proxies}
    groups = set(contributions(ensemble.explain(arch, scores.features[arch.fingerprint], "xgboost")))
    assert groups <= known
    assert {"proxy zen", "proxy nwot", f"{len(layers)} layers"} <= groups
    assert not any(group.startswith("proxy") for group in contributions(ensemble.explain(arch)))


def test_the_contribution_of_the_depth_is_the_difference_of_its_mean(ensemble: Ensemble, benchmark: Benchmark) -> None:
    accuracy, depths = benchmark.accuracy, benchmark.strata
    for depth in (4, 10):
        arch = next(arch for arch in benchmark.architectures if len(arch.mask) == depth)  # type: ignore[attr-defined]
        expected = accuracy[depths == depth].mean() - accuracy.mean()
        contribution = contributions(ensemble.explain(arch))[f"{depth} layers"]
        assert contribution == pytest.approx(expected, abs=0.002)
        assert abs(contribution) > 0.008


@pytest.mark.parametrize("combiner", ["ridge", "xgboost"])
def test_all_other_contributions_are_relative_to_the_mean_at_the_same_depth(
    ensemble: Ensemble, benchmark: Benchmark, scores: ScoreTable, combiner: str
) -> None:
    archs = [arch for arch in benchmark.architectures if len(arch.mask) == 4]  # type: ignore[attr-defined]
    explanations = [ensemble.explain(arch, scores.features[arch.fingerprint], combiner) for arch in archs]
    means: dict[str, float] = {}
    for explanation in explanations:
        for group, value in contributions(explanation).items():
            name = group.split(" (")[0]  # layers[2], whatever its modules are
            means[name] = means.get(name, 0) + value / len(archs)
    depth = means.pop("4 layers")
    assert list(means.values()) == pytest.approx([0] * len(means), abs=1e-7)
    rows = [scores.features[arch.fingerprint] for arch in benchmark.architectures]
    accuracy = np.array([one.accuracy for one in ensemble.predict(benchmark.architectures, rows, combiner)])
    assert depth == pytest.approx(accuracy[benchmark.strata == 4].mean() - accuracy.mean(), abs=1e-6)


def test_the_module_that_matters_has_the_largest_contribution_beside_the_depth(
    ensemble: Ensemble, benchmark: Benchmark
) -> None:
    for arch in benchmark.architectures[:20]:
        layer = layer_of_slot9(arch)
        attributions = ensemble.explain(arch).attributions
        first = next(one for one in attributions if not re.fullmatch(r"\d+ layers", one.feature_group))
        assert first.feature_group.startswith(f"layers[{layer}] (")
        assert (first.contribution > 0) == arch.mask[layer][L2]  # type: ignore[attr-defined]


def test_the_module_that_matters_is_the_best_mutation(ensemble: Ensemble, benchmark: Benchmark) -> None:
    without = [arch for arch in benchmark.architectures if not arch.mask[layer_of_slot9(arch)][L2]]  # type: ignore[attr-defined]
    for arch in without[:10]:
        best, *others = ensemble.suggest_mutations(arch)
        assert best.mutation == {"layer": layer_of_slot9(arch), "module": "L2", "action": "add"}
        assert best.accuracy_gain == pytest.approx(0.01, abs=0.005)
        assert all(other.accuracy_gain < best.accuracy_gain / 2 for other in others)
    having = next(arch for arch in benchmark.architectures if arch not in without)
    removal = {"layer": layer_of_slot9(having), "module": "L2", "action": "remove"}
    assert all(suggested.mutation != removal for suggested in ensemble.suggest_mutations(having))


def test_mutations_are_neighbors_with_a_gain(ensemble: Ensemble, archs: list[Architecture]) -> None:
    space: Any = ensemble.space
    for arch in archs[:5]:
        (current,) = ensemble.predict([arch])
        suggested = ensemble.suggest_mutations(arch)
        neighbors = {str(space.describe_mutation(arch, neighbor)): neighbor for neighbor in space.neighbors(arch)}
        gains = [one.accuracy_gain for one in suggested]
        assert gains == sorted(gains, reverse=True)
        assert min(gains) > 0
        assert 0 < len(suggested) < len(neighbors)
        for one in (suggested[0], suggested[-1]):
            (mutated,) = ensemble.predict([neighbors[str(one.mutation)]])
            assert one.accuracy == mutated.accuracy
            assert one.accuracy_gain == accuracy_of(mutated) - accuracy_of(current)


def test_a_combiner_without_contributions_or_scores_is_replaced_by_structure(
    ensemble: Ensemble, archs: list[Architecture], scores: ScoreTable
) -> None:
    arch, row = archs[0], dict(scores.features[archs[0].fingerprint])
    structure = ensemble.explain(arch)
    assert structure.combiner == "structure"
    for combiner in ("vote", "mean", "ranknet"):
        assert ensemble.explain(arch, row, combiner) == structure
    assert ensemble.explain(arch, row).combiner == "stacked"
    assert ensemble.explain(arch, row | {"zen": None}) == structure
    assert ensemble.explain(arch, None, "xgboost") == structure
    assert ensemble.explain(arch, row | {"zen": None}, "ridge").combiner == "ridge"


def test_an_unknown_depth_is_compared_with_the_whole_reference_set(rng: np.random.Generator) -> None:
    X = np.column_stack([np.repeat([4.0, 6.0], 20), rng.normal(size=40)])
    model = Ridge().fit(X, X[:, 0] + X[:, 1])
    means = MeanContributions.from_training_rows(model, X, X[:, 0])
    assert means.strata.tolist() == [4, 6]
    for i, depth in enumerate((4, 6)):
        assert means.at(depth).sum() == pytest.approx(model.predict(X[20 * i : 20 * (i + 1)]).mean())
    assert means.at(10).sum() == pytest.approx(model.predict(X).mean())
