"""The synthetic benchmark's accuracy is 0.4 points a layer, and 1 point for L2 in slot 9."""

import re

import numpy as np
import pytest

from ensemble import Benchmark, Ensemble, Explanation, ScoreTable
from ensemble.combiners.ridge import Ridge
from ensemble.explanation import Reference
from models import Architecture

L2 = 4
"""Column of the module that matters."""
ADDITIVE = ("stacked", "structure", "forest", "xgboost", "ridge")


def layer_of_slot9(arch: Architecture) -> int:
    place: int = arch.slots.index(9)  # type: ignore[attr-defined]
    return place


def points(explanation: Explanation) -> dict[str, float]:
    return {reason.part: reason.points for reason in explanation.reasons}


@pytest.fixture
def archs(benchmark: Benchmark) -> list[Architecture]:
    return benchmark.architectures[:12]


@pytest.mark.parametrize("combiner", ADDITIVE)
def test_base_and_reasons_are_the_prediction(
    ensemble: Ensemble, archs: list[Architecture], scores: ScoreTable, combiner: str
) -> None:
    bases = set()
    for arch in archs[:4]:
        row = scores.features[arch.fingerprint]
        (prediction,) = ensemble.predict([arch], [row], combiner)
        explained = ensemble.explain(arch, row, combiner)
        assert explained.combiner == prediction.combiner == combiner
        assert explained.base + sum(points(explained).values()) / 100 == pytest.approx(prediction.accuracy, abs=1e-6)
        bases.add(explained.base)
    assert len(bases) == 1


def test_the_base_is_the_mean_prediction_over_the_population(ensemble: Ensemble, benchmark: Benchmark) -> None:
    mean = np.mean([prediction.accuracy for prediction in ensemble.predict(benchmark.architectures)])
    assert ensemble.explain(benchmark.architectures[0]).base == pytest.approx(mean)


def test_reasons_are_sorted_and_each_part_is_named_once(
    ensemble: Ensemble, archs: list[Architecture], scores: ScoreTable
) -> None:
    for arch in archs:
        for combiner in ADDITIVE:
            reasons = ensemble.explain(arch, scores.features[arch.fingerprint], combiner).reasons
            sizes = [abs(reason.points) for reason in reasons]
            assert sizes == sorted(sizes, reverse=True)
            assert min(sizes) > 0
            assert len({reason.part for reason in reasons}) == len(reasons)


def test_parts_are_named_as_the_space_names_them(
    ensemble: Ensemble, archs: list[Architecture], scores: ScoreTable
) -> None:
    arch = archs[0]
    layers = ensemble.space.to_json(arch)["layers"]
    known = {f"layers[{i}] ({', '.join(modules)})" for i, modules in enumerate(layers)}
    known |= {f"{len(layers)} layers", "all layers together", "parameters and FLOPs"}
    known |= {f"proxy {name}" for name in ensemble.proxies}
    seen = set(points(ensemble.explain(arch, scores.features[arch.fingerprint], "xgboost")))
    assert seen <= known
    assert {"proxy zen", "proxy nwot", f"{len(layers)} layers"} <= seen
    assert not any(part.startswith("proxy") for part in points(ensemble.explain(arch)))


def test_what_the_depth_brings_is_the_depths_own_reason(ensemble: Ensemble, benchmark: Benchmark) -> None:
    accuracy, depths = benchmark.accuracy, benchmark.strata
    for depth in (4, 10):
        arch = next(arch for arch in benchmark.architectures if len(arch.mask) == depth)  # type: ignore[attr-defined]
        expected = 100 * (accuracy[depths == depth].mean() - accuracy.mean())
        found = points(ensemble.explain(arch))[f"{depth} layers"]
        assert found == pytest.approx(expected, abs=0.2)
        assert abs(found) > 0.8


@pytest.mark.parametrize("combiner", ["ridge", "xgboost"])
def test_all_else_is_against_the_average_at_the_same_depth(
    ensemble: Ensemble, benchmark: Benchmark, scores: ScoreTable, combiner: str
) -> None:
    archs = [arch for arch in benchmark.architectures if len(arch.mask) == 4]  # type: ignore[attr-defined]
    said = [points(ensemble.explain(arch, scores.features[arch.fingerprint], combiner)) for arch in archs]
    totals: dict[str, float] = {}
    for part, value in (item for one in said for item in one.items()):
        name = part.split(" (")[0]  # layers[2], whatever its modules are
        totals[name] = totals.get(name, 0) + value / len(archs)
    depth = totals.pop("4 layers")
    assert list(totals.values()) == pytest.approx([0] * len(totals), abs=1e-5)
    rows = [scores.features[arch.fingerprint] for arch in benchmark.architectures]
    accuracy = np.array([one.accuracy for one in ensemble.predict(benchmark.architectures, rows, combiner)])
    assert depth == pytest.approx(100 * (accuracy[benchmark.strata == 4].mean() - accuracy.mean()), abs=1e-4)


def test_the_module_that_matters_is_the_top_reason_beside_the_depth(ensemble: Ensemble, benchmark: Benchmark) -> None:
    for arch in benchmark.architectures[:20]:
        layer = layer_of_slot9(arch)
        beside = [reason for reason in ensemble.explain(arch).reasons if not re.fullmatch(r"\d+ layers", reason.part)]
        assert beside[0].part.startswith(f"layers[{layer}] (")
        assert (beside[0].points > 0) == arch.mask[layer][L2]  # type: ignore[attr-defined]


def test_the_module_that_matters_is_the_best_edit(ensemble: Ensemble, benchmark: Benchmark) -> None:
    without = [arch for arch in benchmark.architectures if not arch.mask[layer_of_slot9(arch)][L2]]  # type: ignore[attr-defined]
    for arch in without[:10]:
        best, *others = ensemble.edits(arch)
        assert best.edit == {"layer": layer_of_slot9(arch), "module": "L2", "action": "add"}
        assert best.points == pytest.approx(1, abs=0.5)
        assert all(other.points < best.points / 2 for other in others)
    have = next(arch for arch in benchmark.architectures if arch not in without)
    assert all(edit.edit != {"layer": layer_of_slot9(have), "module": "L2", "action": "remove"}
               for edit in ensemble.edits(have))  # fmt: skip


def test_edits_are_neighbours_that_gain(ensemble: Ensemble, archs: list[Architecture]) -> None:
    space = ensemble.space
    for arch in archs[:5]:
        (own,) = ensemble.predict([arch])
        edits = ensemble.edits(arch)
        around = {str(space.edit(arch, other)): other for other in space.neighbors(arch)}
        gains = [edit.points for edit in edits]
        assert gains == sorted(gains, reverse=True)
        assert min(gains) > 0
        assert 0 < len(edits) < len(around)
        for edit in (edits[0], edits[-1]):
            (edited,) = ensemble.predict([around[str(edit.edit)]])
            assert edit.accuracy == edited.accuracy
            assert edit.points == 100 * (edited.accuracy - own.accuracy)


def test_who_only_orders_or_lacks_scores_is_explained_by_structure(
    ensemble: Ensemble, archs: list[Architecture], scores: ScoreTable
) -> None:
    arch, row = archs[0], dict(scores.features[archs[0].fingerprint])
    plain = ensemble.explain(arch)
    assert plain.combiner == "structure"
    for combiner in ("vote", "mean", "ranknet"):
        assert ensemble.explain(arch, row, combiner) == plain
    assert ensemble.explain(arch, row).combiner == "stacked"
    assert ensemble.explain(arch, row | {"zen": None}) == plain
    assert ensemble.explain(arch, None, "xgboost") == plain
    assert ensemble.explain(arch, row | {"zen": None}, "ridge").combiner == "ridge"


def test_a_depth_that_the_population_has_not_is_compared_with_all(rng: np.random.Generator) -> None:
    X = np.column_stack([np.repeat([4.0, 6.0], 20), rng.normal(size=40)])
    model = Ridge().fit(X, X[:, 0] + X[:, 1])
    reference = Reference.of(model, X, X[:, 0])
    assert reference.depths.tolist() == [4, 6]
    for i, depth in enumerate((4, 6)):
        assert reference.at(depth).sum() == pytest.approx(model.predict(X[20 * i : 20 * (i + 1)]).mean())
    assert reference.at(10).sum() == pytest.approx(model.predict(X).mean())
