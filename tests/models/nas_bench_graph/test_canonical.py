"""Canonical form of cells, over all 157,464 descriptions."""

from collections import Counter

import numpy as np

from models.nas_bench_graph.architecture import from_key, parse
from models.nas_bench_graph.canonical import (
    ALL_SKIP,
    RAW_LINKS,
    all_keys,
    canonical_keys,
    link_and_ops,
    lookup,
)
from models.nas_bench_graph.datasets import OPERATIONS, PROTEINS_OPERATIONS
from models.nas_bench_graph.edits import support


def test_all_descriptions_but_those_of_skips_alone_have_one_of_26206_keys() -> None:
    keys = canonical_keys()
    assert keys.shape == (24, 9, 9, 9, 9)
    assert keys.size == 157_464
    assert int((keys == ALL_SKIP).sum()) == 24
    assert len(all_keys()) == 26_206
    assert ALL_SKIP not in all_keys()
    by_link = Counter((all_keys() // 10_000).tolist())
    assert [by_link[link] for link in range(9)] == [330, 2304, 2880, 2080, 4096, 1440, 5120, 3276, 4680]


def test_the_canonical_form_is_canonical() -> None:
    link, ops = link_and_ops(all_keys())
    assert np.array_equal(lookup(link, ops), all_keys())


def test_no_canonical_form_has_a_skip_leaf_that_reads_the_cells_input_through_skips_alone() -> None:
    with_skip_leaf = 0
    for arch in map(from_key, all_keys().tolist()):
        raw = [True]
        for source, op in zip(arch.link, arch.ops, strict=True):
            raw.append(raw[source] and op == "skip")
        leaves = [state for state in range(1, 5) if state not in arch.link]
        assert not any(raw[leaf] for leaf in leaves)
        with_skip_leaf += any(arch.ops[leaf - 1] == "skip" for leaf in leaves)
    assert with_skip_leaf == 2096


def test_sizes_by_depth_and_for_proteins() -> None:
    assert [len(support(OPERATIONS, depth)) for depth in (1, 2, 3, 4)] == [574, 9504, 12_032, 4096]
    assert len(support(PROTEINS_OPERATIONS)) == 2021


def test_renamed_nodes_have_the_same_key() -> None:
    """Every topological order of the same cell, by definition of the isomorphism."""
    rng = np.random.default_rng(0)
    for _ in range(500):
        link = RAW_LINKS[rng.integers(len(RAW_LINKS))]
        ops = rng.integers(9, size=4)
        order = _topological_order(link, rng)
        place = {0: 0, **{node + 1: i + 1 for i, node in enumerate(order)}}
        renamed = np.array([[place[link[node]] for node in order]])
        assert lookup(renamed, ops[order][None]) == lookup(np.array([link]), ops[None])


def _topological_order(link: tuple[int, ...], rng: np.random.Generator) -> list[int]:
    order: list[int] = []
    while len(order) < len(link):
        ready = [n for n in range(len(link)) if n not in order and (link[n] == 0 or link[n] - 1 in order)]
        order.append(int(rng.choice(ready)))
    return order


def test_moves_of_skips_by_example() -> None:
    examples = {
        ((0, 1, 2, 3), ("gcn", "skip", "gat", "skip")): "88810",  # from anywhere in a chain
        ((0, 0, 0, 0), ("gcn", "skip", "gat", "fc")): "58017",  # a leaf that reads the cell's input: all read it
        ((0, 1, 1, 1), ("gcn", "skip", "gat", "fc")): "51078",  # a leaf with siblings stays
        ((0, 1, 1, 2), ("gcn", "skip", "skip", "gat")): "78108",  # one moves, the other is a leaf with a sibling
        ((0, 0, 2, 1), ("sage", "gcn", "fc", "gat")): "31470",  # two chains in order
    }
    for (link, ops), key in examples.items():
        assert parse({"link": link, "ops": ops}).digits == key
