"""Training noise in the report of a build."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from models import get_space
from training import EpochRecord, Recipe, TrainingResult
from training.benchmark import BuildSpecification
from training.benchmark.report import make_report, report_page
from training.benchmark.sampling import RandomSample

RECIPE = Recipe(epochs=1)


def report(strata: Sequence[int], number: int, repeat: float) -> dict[str, Any]:
    """Report of a build with random accuracies; the first architectures are repeated."""
    space, rng = get_space("gcn-nas"), np.random.default_rng(0)
    architectures = RandomSample(space, strata=strata).extend([], number)
    specification = BuildSpecification(space, RECIPE, repeat=repeat)
    trainings = specification.trainings(architectures, architectures[: round(number * repeat)])
    results = {}
    for training in trainings:
        accuracy = float(rng.uniform(0.5, 0.9))
        record = EpochRecord(0, 1.0, 1.0, accuracy, None, None, 0.1, 1.0, seconds=36.0)
        results[training] = TrainingResult((record,), accuracy)
    return make_report(specification, architectures, trainings, results)


def test_both_parts_and_ceilings_are_reported() -> None:
    made = report((4, 6), 24, 0.25)
    noise = made["noise"]
    assert (noise["degrees_of_freedom"], noise["own_degrees_of_freedom"]) == (6, 4)
    for ceilings in noise["ceilings"].values():
        assert 0 <= ceilings["reliability"]["low"] <= ceilings["reliability"]["high"] <= 1
    page = report_page(made)
    for label in ("in all", "of an architecture alone", "shared by architectures of the same number of layers"):
        assert f"| {label} | 0." in page
    for label in ("within the same number of layers", "over all"):
        assert f"| {label} | 0." in page
    assert made["hours"] == pytest.approx(0.3)


def test_the_sum_alone_is_reported_where_no_stratum_has_two_repeats() -> None:
    made = report((4, 6), 12, 2 / 12)
    assert made["noise"]["own_std"] is made["noise"]["shared_std"] is None
    page = report_page(made)
    assert "of an architecture alone" not in page
    assert "no two of them have two seeds in common; the agreement is at least as stated" in page
    assert "| over all | 0." in page


def test_few_architectures_have_no_ceilings() -> None:
    made = report((4,), 4, 0.5)
    assert made["noise"]["ceilings"] == {"within_stratum": None, "overall": None}
    assert "| over all | – | – | – |" in report_page(made)


def test_no_repeats() -> None:
    made = report((4,), 4, 0.0)
    assert made["noise"] is None
    assert "Training noise is unknown" in report_page(made)
