"""Entropies on graphs small enough to compute by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from models import ProbeBatch
from models.topology import UnitTopology
from proxies import score
from proxies.base import Need
from proxies.sed import EPSILON, Sed, aggregation_entropy, entropy_changes

CHAIN = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=bool)
"""Chain of three joints."""
UNIFORM = np.full((1, 3, 3), 1 / 3)


def sed(*units: UnitTopology) -> float:
    return Sed().compute({Need.TOPOLOGY: units})


def test_a_unit_that_only_skips_changes_nothing() -> None:
    skip = UnitTopology(CHAIN, (), 1, 1, 1)
    assert entropy_changes(skip) == [0, 0]
    assert sed(skip, skip) == -1  # every path only skips


def test_kernel_and_stride() -> None:
    assert sed(UnitTopology(CHAIN, (), 1, 9, 2)) == pytest.approx(0.5 * math.log(9) - 0.5 * math.log(2) - 1)


def test_small_changes_count_by_their_sign() -> None:
    assert sed(UnitTopology(CHAIN, (), 1, 2, 3)) == pytest.approx(0.5 * math.log(2) - 0.5 * math.log(3) - 1)


def test_share_of_the_paths_that_only_skip() -> None:
    identity = np.sqrt(1 - EPSILON) * np.eye(3)[None]  # h = 0 exactly
    first, second = UnitTopology(CHAIN, (identity,), 1, 1, 1), UnitTopology(CHAIN, (identity, identity), 2, 1, 1)
    assert aggregation_entropy(identity, CHAIN) == pytest.approx(0)
    assert sed(first, second) == pytest.approx(-(1 / 2) * (2 / 4))
    assert sed(first, UnitTopology(CHAIN, (identity,), 0, 1, 1)) == pytest.approx(0)


def test_the_average_over_all_joints() -> None:
    """The covariance is 1/3 everywhere; balls of 2, 3 and 2 joints."""
    two = math.log(EPSILON) + math.log(EPSILON + 2 / 3)
    three = 2 * math.log(EPSILON) + math.log(EPSILON + 3 / 3)
    assert aggregation_entropy(UNIFORM, CHAIN) == pytest.approx(0.5 * (2 * two + three) / 3)


def test_covariance_is_of_the_columns() -> None:
    """x·P that copies joint 0 to joint 1 makes these two equal; P·Pᵀ would drop two joints instead."""
    copies = np.array([[[1.0, 1, 0], [0, 0, 0], [0, 0, 1]]])
    equal, other = math.log((1 + EPSILON) ** 2 - 1), math.log(1 + EPSILON)
    assert aggregation_entropy(copies, CHAIN) == pytest.approx(0.5 * (equal + (equal + other) + 2 * other) / 3)


def test_matrices_of_one_aggregation_add_their_covariances() -> None:
    scaled = np.stack([np.eye(3), 2 * np.eye(3)])
    sizes = CHAIN.sum(axis=1)
    assert aggregation_entropy(scaled, CHAIN) == pytest.approx(0.5 * sizes.mean() * math.log(5 + EPSILON))


def test_neither_data_nor_weights_matter(space: Any, batch: ProbeBatch) -> None:
    arch = space.parse([["L2", "S"]] * 4)
    ours = score(space.build(arch), batch.x, batch.y, ["sed"])["sed"]
    other = score(space.build(arch, seed=1), torch.zeros_like(batch.x), batch.y, ["sed"])["sed"]
    assert ours.value is not None
    assert ours.value == other.value
