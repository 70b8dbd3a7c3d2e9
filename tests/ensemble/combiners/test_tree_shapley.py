"""Shapley values of trees against their definition, the mean over all coalitions of features."""

import json
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.combiners.forest import MAX_FORESTS_WITH_PATHS, Forest
from ensemble.combiners.tree_shapley import NO_FEATURE, DecisionPaths
from ensemble.combiners.xgboost import Boosting

Array = NDArray[np.float64]
Nodes = dict[str, Any]
"""Keyword arguments of `DecisionPaths.from_nodes`."""


def tree(
    feature: list[int],
    threshold: list[float],
    children_left: list[int],
    children_right: list[int],
    value: list[float],
    n_node_samples: list[float],
) -> Nodes:
    """Nodes of one tree; a leaf is its own child."""
    return {
        "roots": np.array([0]),
        "feature": np.array(feature),
        "threshold": np.array(threshold, dtype=np.float32),
        "children_left": np.array(children_left),
        "children_right": np.array(children_right),
        "value": np.array(value),
        "n_node_samples": np.array(n_node_samples),
    }


def forest_nodes(forest: Forest) -> Nodes:
    names = ("roots", "feature", "threshold", "children_left", "children_right")
    return {name: getattr(forest, f"{name}_") for name in names} | {
        "value": forest.value_ / len(forest.roots_),
        "n_node_samples": forest.weighted_n_node_samples_.astype(np.float64),
    }


def conditional_value(trees: Nodes, row: Array, known: frozenset[int], node: int) -> float:
    """Expected value below a node; an unknown feature takes both branches, weighted by the training rows."""
    left, right = int(trees["children_left"][node]), int(trees["children_right"][node])
    if left == node:
        return float(trees["value"][node])
    feature = int(trees["feature"][node])
    if feature in known:
        return conditional_value(trees, row, known, left if row[feature] <= trees["threshold"][node] else right)
    weight = float(trees["n_node_samples"][left] / trees["n_node_samples"][node])
    branches = (conditional_value(trees, row, known, child) for child in (left, right))
    return sum(part * value for part, value in zip((weight, 1 - weight), branches, strict=True))


def shapley_values(trees: Nodes, row: Array) -> list[float]:
    """Shapley values by their definition, and last the expected value."""

    def worth(known: tuple[int, ...]) -> float:
        return sum(conditional_value(trees, row, frozenset(known), int(root)) for root in trees["roots"])

    d = len(row)
    values = np.zeros(d + 1)
    values[-1] = worth(())
    for j in range(d):
        others = [i for i in range(d) if i != j]
        for size in range(d):
            weight = factorial(size) * factorial(d - size - 1) / factorial(d)
            values[j] += weight * sum(worth((*some, j)) - worth(some) for some in combinations(others, size))
    return list(values)


def check_against_definition(trees: Nodes, rows: NDArray[np.float32]) -> None:
    contributions = DecisionPaths.from_nodes(**trees).contributions(rows)
    for row, values in zip(rows, contributions, strict=True):
        assert values.tolist() == pytest.approx(shapley_values(trees, row), abs=1e-12)


@pytest.mark.parametrize("extra", [False, True], ids=["random forest", "extra trees"])
def test_a_forests_contributions_are_shapley_values(extra: bool, rng: np.random.Generator) -> None:
    X = rng.normal(size=(60, 5)).astype(np.float32).astype(np.float64)
    X[:, 4] = X[:, 4] > 0  # ties with a threshold
    y = X[:, 0] * X[:, 1] + X[:, 4] + 0.1 * rng.normal(size=60)
    forest = Forest(n_estimators=4, min_samples_leaf=3, max_features=0.6, extra_trees=extra).fit(X, y)
    check_against_definition(forest_nodes(forest), X[:4].astype(np.float32))


@pytest.mark.parametrize("extra", [False, True], ids=["random forest", "extra trees"])
def test_a_forests_contributions_sum_to_its_prediction(extra: bool, rng: np.random.Generator) -> None:
    X = rng.normal(size=(120, 12))
    y = X[:, 0] * X[:, 1] + np.sin(X[:, 2]) + 0.1 * rng.normal(size=120)
    forest = Forest(n_estimators=20, min_samples_leaf=1, extra_trees=extra).fit(X, y)
    new = 2 * rng.normal(size=(10, 12))
    contributions = forest.contributions(new)
    assert contributions.sum(axis=1) == pytest.approx(forest.predict(new), abs=1e-12)
    base_value = forest.value_[forest.roots_].mean()
    assert contributions[:, -1] == pytest.approx(np.full(10, base_value)), "the mean over the training rows"


def test_a_stump_by_hand() -> None:
    stump = tree([1, 0, 0], [0.5, 0, 0], [1, 1, 2], [2, 1, 2], value=[0, 1, 5], n_node_samples=[4, 3, 1])
    rows = np.array([[9, 0.5], [9, 0.6]], dtype=np.float32)
    contributions = DecisionPaths.from_nodes(**stump).contributions(rows)
    assert contributions.tolist() == [[0, pytest.approx(-1), 2], [0, pytest.approx(3), 2]]


def test_a_single_leaf_attributes_nothing() -> None:
    leaf = tree([0], [0], [0], [0], value=[7.0], n_node_samples=[3.0])
    contributions = DecisionPaths.from_nodes(**leaf).contributions(np.zeros((2, 2), dtype=np.float32))
    assert contributions.tolist() == [[0, 0, 7], [0, 0, 7]]
    constant = Forest(n_estimators=3).fit(np.arange(20.0)[:, None], np.full(20, 0.9))
    assert constant.contributions(np.array([[3.0]]))[0].tolist() == pytest.approx([0, 0.9])


def test_trees_of_different_height_together() -> None:
    both = tree(
        [0, 0, 1, 0, 0],
        [0, 0.5, 0, 0, 0],
        [0, 2, 2, 3, 4],
        [0, 3, 2, 3, 4],
        value=[7, 0, 1, 5, 0],
        n_node_samples=[4, 4, 3, 1, 1],
    )
    both["roots"] = np.array([0, 1])
    contributions = DecisionPaths.from_nodes(**both).contributions(np.array([[1.0, 0.0]], dtype=np.float32))
    assert contributions[0].tolist() == pytest.approx([3, 0, 9])


def test_a_feature_that_occurs_repeatedly_on_a_path_counts_once() -> None:
    # Feature 0 at 0.8, then feature 1 at 0, then feature 0 at 0.3 and, below that, at 0.1.
    repeated = tree(
        [0, 1, 0, 0, 0, 0, 0, 0, 0],
        [0.8, 0.0, 0, 0.3, 0, 0.1, 0, 0, 0],
        [1, 3, 2, 5, 4, 7, 6, 7, 8],
        [2, 4, 2, 6, 4, 8, 6, 7, 8],
        value=[0, 0, 2, 0, -3, 0, 4, 1, -5],
        n_node_samples=[20, 12, 8, 7, 5, 4, 3, 1, 3],
    )
    paths = DecisionPaths.from_nodes(**repeated)
    features = sorted(tuple(sorted(path[path != NO_FEATURE])) for path in paths.feature)
    assert features == [(0,), (0, 1), (0, 1), (0, 1), (0, 1)]
    rows = np.array([[x, z] for x in (0.05, 0.1, 0.2, 0.5, 0.9) for z in (-1.0, 1.0)], dtype=np.float32)
    check_against_definition(repeated, rows)


def test_long_paths_of_odd_and_even_length_are_exact(rng: np.random.Generator) -> None:
    for length in (8, 9):
        inner = np.arange(length)
        chain = tree(
            [*inner, *[0] * (length + 1)],
            [*[0.0] * length, *[0] * (length + 1)],
            [*(inner + length), *(np.arange(length + 1) + length)],
            [*(inner[1:]), 2 * length, *(np.arange(length + 1) + length)],
            value=list(rng.normal(size=2 * length + 1)),
            n_node_samples=[*(2.0**-inner), *(2.0 ** -(inner + 1)), 2.0**-length],
        )
        check_against_definition(chain, rng.normal(size=(1, length)).astype(np.float32))


def xgboost_nodes(model: Boosting) -> Nodes:
    """The nodes of XGBoost's trees; `x < t` becomes `x ≤` the preceding float."""
    names = ("feature", "threshold", "children_left", "children_right", "value", "n_node_samples")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    roots = []
    for text in model.booster_.get_dump(dump_format="json", with_stats=True):
        roots.append(len(columns["value"]))
        level = [json.loads(text)]
        nodes: dict[int, Any] = {}
        while level:
            nodes |= {node["nodeid"]: node for node in level}
            level = [child for node in level for child in node.get("children", [])]
        index = {node_id: roots[-1] + i for i, node_id in enumerate(sorted(nodes))}
        for node_id, node in sorted(nodes.items()):
            threshold = np.nextafter(np.float32(node.get("split_condition", 0)), np.float32(-np.inf))
            children = index[node.get("yes", node_id)], index[node.get("no", node_id)]
            values = (int(node.get("split", "f0")[1:]), threshold, *children, node.get("leaf", 0.0), node["cover"])
            for name, value in zip(names, values, strict=True):
                columns[name].append(value)
    return {name: np.array(values) for name, values in columns.items()} | {"roots": np.array(roots)}


def test_contributions_agree_with_xgboosts(rng: np.random.Generator) -> None:
    X = rng.normal(size=(100, 6))
    y = 0.9 + 0.01 * (X[:, 0] * X[:, 1] + X[:, 2])
    model = Boosting(n_estimators=10, max_depth=4, learning_rate=0.5).fit(X, y)
    expected = model.contributions(X[:20]) / model.y_scale_
    contributions = DecisionPaths.from_nodes(**xgboost_nodes(model)).contributions(X[:20].astype(np.float32))
    assert contributions[:, :-1] == pytest.approx(expected[:, :-1], abs=1e-5)
    assert np.abs(expected[:, :-1]).max() > 0.1


def test_decision_paths_are_those_of_a_forest_and_its_last_fit(rng: np.random.Generator) -> None:
    X, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    forests = [Forest(n_estimators=2, random_state=seed).fit(X, y) for seed in range(MAX_FORESTS_WITH_PATHS + 1)]
    for _ in range(2):
        for i, forest in enumerate(forests):
            expected = DecisionPaths.from_nodes(**forest_nodes(forest)).contributions(X.astype(np.float32))
            assert np.array_equal(forest.contributions(X), expected)
            forest.fit(X, y + i * X[:, 0])
