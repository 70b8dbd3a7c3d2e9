"""Training curves: their tables, their means and the features of their first epochs."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ensemble import Benchmark, BenchmarkError, Curve, CurveFeatures, Entry, Training, load_benchmark, write_table
from ensemble.data.curve import prefix_statistics
from models import InputError, get_space

ARCHITECTURE = {"layers": [["S"], ["S", "L2"], ["T"], ["ST"]]}
CURVE = {"training_loss": [2.0, 1.0, 0.75], "validation_loss": [1.5, 1.25, 1.0], "accuracy": [0.25, 0.5, 0.625]}
TRAINING = {"seed": 3, "accuracy": 0.75, "curve": CURVE, "scores": {"0": {"zen": 1.5}, "2": {"zen": None}}}
ROW = {"architecture": ARCHITECTURE, "accuracy": 0.75, "seconds": 60, "epochs": 3, "trainings": [TRAINING]}


def load(folder: Path, row: Any) -> Benchmark:
    path = folder / "table.jsonl"
    path.write_text(json.dumps(row) + "\n")
    return load_benchmark(path)


def test_a_row_with_trainings_reads_and_writes_the_same(tmp_path: Path) -> None:
    benchmark = load(tmp_path, ROW)
    (entry,) = benchmark.entries
    assert entry.epochs == 3
    assert entry.trainings[0].seed == 3
    assert entry.trainings[0].scores == {0: {"zen": 1.5}, 2: {"zen": None}}
    assert entry.curve == Curve((2.0, 1.0, 0.75), (1.5, 1.25, 1.0), (0.25, 0.5, 0.625))
    write_table(benchmark, tmp_path / "again.jsonl")
    assert load_benchmark(tmp_path / "again.jsonl").entries == benchmark.entries


def test_a_row_without_trainings_has_no_curve(tmp_path: Path) -> None:
    (entry,) = load(tmp_path, {"architecture": ARCHITECTURE, "accuracy": 0.75}).entries
    assert (entry.curve, entry.trainings, entry.epochs) == (None, (), None)


@pytest.mark.parametrize(
    ("change", "field", "allowed"),
    [
        ({"trainings": {}}, "trainings", "a list of trainings"),
        ({"trainings": [1]}, "trainings[0]", "an object"),
        ({"trainings": [TRAINING, {"lr": 1}]}, "trainings[1].lr", "only the fields"),
        ({"trainings": [{"seed": -1}]}, "trainings[0].seed", "whole number"),
        ({"trainings": [{"accuracy": 75}]}, "trainings[0].accuracy", "fraction"),
        ({"trainings": [{"scores": {"two": {}}}]}, "trainings[0].scores", "by number of epochs"),
        ({"trainings": [{"scores": {"02": {}}}]}, "trainings[0].scores", "by number of epochs"),
        ({"trainings": [{"curve": [1, 2]}]}, "trainings[0], curve", "an object of lists"),
        ({"trainings": [{"curve": {"loss": [1]}}]}, "curve.loss", "only the fields"),
        ({"trainings": [{"curve": {"accuracy": 0.5}}]}, "curve.accuracy", "a list"),
        ({"trainings": [{"curve": {"accuracy": [0.5, None]}}]}, "curve.accuracy[1]", "a finite number"),
        ({"trainings": [{"curve": {"accuracy": [50]}}]}, "curve.accuracy[0]", "fraction"),
        ({"trainings": [{"curve": {"training_loss": [math.nan]}}]}, "curve.training_loss[0]", "finite"),
        ({"trainings": [{"curve": {"training_loss": [10**400]}}]}, "curve.training_loss[0]", "finite"),
        ({"trainings": [{"curve": {"training_loss": [1, 2], "accuracy": [0.5]}}]}, "curve.accuracy", "2, as in"),
        ({"epochs": 1.5}, "epochs", "whole number"),
    ],
)
def test_errors_name_the_field(tmp_path: Path, change: dict[str, Any], field: str, allowed: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        load(tmp_path, ROW | change)
    assert caught.value.field.startswith("table.jsonl line 1")
    assert field in caught.value.field
    assert allowed in caught.value.allowed


def test_the_curve_of_several_trainings_is_the_mean_of_their_common_part() -> None:
    architecture = get_space("gcn-nas").parse(ARCHITECTURE)
    curves = [Curve((1.0, 0.5), (), (0.25, 0.5)), Curve((2.0, 1.5, 1.0), (1.0, 1.0, 1.0), (0.5, 0.75, 0.75)), None]
    entry = Entry(architecture, 0.7, trainings=tuple(Training(curve=curve) for curve in curves))
    assert entry.curve == Curve((1.5, 1.0), (), (0.375, 0.625))


def test_statistics_of_the_first_values() -> None:
    assert prefix_statistics([0.5]).tolist() == [0.5]
    assert prefix_statistics([0.5, 1.0]).tolist() == [1.0, 0.75]
    assert prefix_statistics([1.0, 2.0, 4.0, 3.0]) == pytest.approx(
        [3.0, 2.5, np.polyfit(range(4), [1, 2, 4, 3], 1)[0]]
    )


def test_features_rest_on_the_first_epochs_alone() -> None:
    features = CurveFeatures(2, ("training_loss", "accuracy"))
    assert features.names == ("training_loss.last", "training_loss.mean", "accuracy.last", "accuracy.mean")
    long, short = Curve((2.0, 1.0, 9.0), (), (0.25, 0.75, 0.0)), Curve((2.0,), (), (0.25,))
    assert features.values([long, Curve((2.0, 1.0), (), (0.25, 0.75))]).tolist() == 2 * [[1.0, 1.5, 0.75, 0.5]]
    assert np.isnan(features.values([short, None])).all()
    assert np.isnan(features.values([Curve(training_loss=(2.0, 1.0))])[0, 2:]).all()
    assert [features.covers(curve) for curve in (long, short, None, Curve(accuracy=(0.5, 0.5)))] == [
        True,
        False,
        False,
        False,
    ]
    assert CurveFeatures.from_json(features.to_json()) == features


def test_parts_that_half_of_the_curves_have_are_features() -> None:
    curves = [Curve((1.0, 0.5), (), (0.25, 0.5)), Curve((1.0, 0.5)), Curve((1.0,)), None]
    assert CurveFeatures.from_curves(curves, 2).parts == ("training_loss",)
    assert CurveFeatures.from_curves(curves[:2], 2).parts == ("training_loss", "accuracy")
    with pytest.raises(BenchmarkError, match="the longest has 2 epochs"):
        CurveFeatures.from_curves(curves, 3)
    for epochs in (0, -1, 1.5, True):
        with pytest.raises(InputError, match="curve_epochs"):
            CurveFeatures.from_curves(curves, epochs)  # type: ignore[arg-type]
