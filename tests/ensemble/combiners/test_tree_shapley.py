"""Shapley values of trees against their definition, the mean over all coalitions of columns."""

import json
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.combiners.forest import Forest
from ensemble.combiners.tree_shapley import Paths
from ensemble.combiners.xgboost import Boosting

Array = NDArray[np.float64]
Tables = dict[str, Any]


def tree(column: list[int], threshold: list[float], left: list[int], right: list[int], **rest: list[float]) -> Tables:
    """One tree's nodes; a leaf is its own child."""
    floats = {"threshold": np.array(threshold, dtype=np.float32)} | {key: np.array(part) for key, part in rest.items()}
    return {"roots": np.array([0]), "column": np.array(column), "left": np.array(left), "right": np.array(right)} | (
        floats
    )


def tables(forest: Forest) -> Tables:
    names = ("roots", "column", "threshold", "left", "right", "value", "cover")
    found = {name: getattr(forest, f"{name}_") for name in names}
    return found | {"value": found["value"] / len(forest.roots_), "cover": found["cover"].astype(np.float64)}


def expected(trees: Tables, row: Array, known: frozenset[int], node: int) -> float:
    """What a tree says where only some columns are known: the others go both ways, by the training rows' shares."""
    left, right = int(trees["left"][node]), int(trees["right"][node])
    if left == node:
        return float(trees["value"][node])
    column = int(trees["column"][node])
    if column in known:
        return expected(trees, row, known, left if row[column] <= trees["threshold"][node] else right)
    share = float(trees["cover"][left] / trees["cover"][node])
    return share * expected(trees, row, known, left) + (1 - share) * expected(trees, row, known, right)


def over_all_coalitions(trees: Tables, row: Array) -> list[float]:
    def worth(known: tuple[int, ...]) -> float:
        return sum(expected(trees, row, frozenset(known), int(root)) for root in trees["roots"])

    d = len(row)
    values = np.zeros(d + 1)
    values[-1] = worth(())
    for j in range(d):
        others = [i for i in range(d) if i != j]
        for size in range(d):
            weight = factorial(size) * factorial(d - size - 1) / factorial(d)
            values[j] += weight * sum(worth((*some, j)) - worth(some) for some in combinations(others, size))
    return list(values)


def check_against_all_coalitions(trees: Tables, rows: NDArray[np.float32]) -> None:
    ours = Paths.of(**trees).contributions(rows)
    for row, values in zip(rows, ours, strict=True):
        assert values.tolist() == pytest.approx(over_all_coalitions(trees, row), abs=1e-12)


@pytest.mark.parametrize("extra", [False, True], ids=["random forest", "extra trees"])
def test_a_forests_contributions_are_the_mean_over_all_coalitions(extra: bool, rng: np.random.Generator) -> None:
    X = rng.normal(size=(60, 5)).astype(np.float32).astype(np.float64)
    X[:, 4] = X[:, 4] > 0  # ties with a threshold
    y = X[:, 0] * X[:, 1] + X[:, 4] + 0.1 * rng.normal(size=60)
    forest = Forest(trees=4, leaf=3, share=0.6, extra=extra).fit(X, y)
    check_against_all_coalitions(tables(forest), X[:4].astype(np.float32))


@pytest.mark.parametrize("extra", [False, True], ids=["random forest", "extra trees"])
def test_a_forests_contributions_sum_to_its_prediction(extra: bool, rng: np.random.Generator) -> None:
    X = rng.normal(size=(120, 12))
    y = X[:, 0] * X[:, 1] + np.sin(X[:, 2]) + 0.1 * rng.normal(size=120)
    forest = Forest(trees=20, leaf=1, extra=extra).fit(X, y)
    new = 2 * rng.normal(size=(10, 12))
    parts = forest.contributions(new)
    assert parts.sum(axis=1) == pytest.approx(forest.predict(new), abs=1e-12)
    tops = forest.value_[forest.roots_].mean()
    assert parts[:, -1] == pytest.approx(np.full(10, tops)), "every row starts from the mean of the training rows"


def test_a_stump_by_hand() -> None:
    stump = tree([1, 0, 0], [0.5, 0, 0], [1, 1, 2], [2, 1, 2], value=[0, 1, 5], cover=[4, 3, 1])
    rows = np.array([[9, 0.5], [9, 0.6]], dtype=np.float32)
    assert Paths.of(**stump).contributions(rows).tolist() == [[0, pytest.approx(-1), 2], [0, pytest.approx(3), 2]]


def test_a_tree_of_one_leaf_moves_nothing() -> None:
    leaf = tree([0], [0], [0], [0], value=[7.0], cover=[3.0])
    assert Paths.of(**leaf).contributions(np.zeros((2, 2), dtype=np.float32)).tolist() == [[0, 0, 7], [0, 0, 7]]
    constant = Forest(trees=3).fit(np.arange(20.0)[:, None], np.full(20, 0.9))
    assert constant.contributions(np.array([[3.0]]))[0].tolist() == pytest.approx([0, 0.9])


def test_trees_of_different_height_together() -> None:
    both = tree([0, 0, 1, 0, 0], [0, 0.5, 0, 0, 0], [0, 2, 2, 3, 4], [0, 3, 2, 3, 4], value=[7, 0, 1, 5, 0],
                cover=[4, 4, 3, 1, 1])  # fmt: skip
    both["roots"] = np.array([0, 1])
    parts = Paths.of(**both).contributions(np.array([[1.0, 0.0]], dtype=np.float32))
    assert parts[0].tolist() == pytest.approx([3, 0, 9])


def test_a_column_that_comes_again_on_a_path_counts_once() -> None:
    # Column 0 at 0.8, then column 1 at 0, then column 0 at 0.3 and, inside of that, at 0.1.
    again = tree(
        [0, 1, 0, 0, 0, 0, 0, 0, 0],
        [0.8, 0.0, 0, 0.3, 0, 0.1, 0, 0, 0],
        [1, 3, 2, 5, 4, 7, 6, 7, 8],
        [2, 4, 2, 6, 4, 8, 6, 7, 8],
        value=[0, 0, 2, 0, -3, 0, 4, 1, -5],
        cover=[20, 12, 8, 7, 5, 4, 3, 1, 3],
    )
    paths = Paths.of(**again)
    assert sorted(tuple(sorted(path[path >= 0])) for path in paths.column) == [(0,), (0, 1), (0, 1), (0, 1), (0, 1)]
    rows = np.array([[x, z] for x in (0.05, 0.1, 0.2, 0.5, 0.9) for z in (-1.0, 1.0)], dtype=np.float32)
    check_against_all_coalitions(again, rows)


def test_long_paths_are_exact_whether_their_length_is_odd_or_even(rng: np.random.Generator) -> None:
    for length in (8, 9):
        inner = np.arange(length)
        chain = tree(
            [*inner, *[0] * (length + 1)],
            [*[0.0] * length, *[0] * (length + 1)],
            [*(inner + length), *(np.arange(length + 1) + length)],
            [*(inner[1:]), 2 * length, *(np.arange(length + 1) + length)],
            value=list(rng.normal(size=2 * length + 1)),
            cover=[*(2.0**-inner), *(2.0 ** -(inner + 1)), 2.0**-length],
        )
        check_against_all_coalitions(chain, rng.normal(size=(1, length)).astype(np.float32))


def of_xgboost(model: Boosting) -> Tables:
    """Its trees in our table: `x < t` is `x ≤` the float below."""
    found: dict[str, list[Any]] = {name: [] for name in ("column", "threshold", "left", "right", "value", "cover")}
    roots = []
    for text in model.model_.get_dump(dump_format="json", with_stats=True):
        roots.append(len(found["value"]))
        waiting = [json.loads(text)]
        nodes: dict[int, Any] = {}
        while waiting:
            nodes |= {node["nodeid"]: node for node in waiting}
            waiting = [child for node in waiting for child in node.get("children", [])]
        place = {number: roots[-1] + i for i, number in enumerate(sorted(nodes))}
        for number in sorted(nodes):
            node = nodes[number]
            below = np.nextafter(np.float32(node.get("split_condition", 0)), np.float32(-np.inf))
            for name, value in (
                ("column", int(node.get("split", "f0")[1:])),
                ("threshold", below),
                ("left", place[node.get("yes", number)]),
                ("right", place[node.get("no", number)]),
                ("value", node.get("leaf", 0.0)),
                ("cover", node["cover"]),
            ):
                found[name].append(value)
    return {name: np.array(values) for name, values in found.items()} | {"roots": np.array(roots)}


def test_they_agree_with_xgboosts_own(rng: np.random.Generator) -> None:
    X = rng.normal(size=(100, 6))
    y = 0.9 + 0.01 * (X[:, 0] * X[:, 1] + X[:, 2])
    model = Boosting(trees=10, depth=4, rate=0.5).fit(X, y)
    theirs = model.contributions(X[:20]) / model.scale_
    ours = Paths.of(**of_xgboost(model)).contributions(X[:20].astype(np.float32))
    assert ours[:, :-1] == pytest.approx(theirs[:, :-1], abs=1e-5)
    assert np.abs(theirs[:, :-1]).max() > 0.1
