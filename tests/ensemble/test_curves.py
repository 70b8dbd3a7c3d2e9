"""Ensembles with training curves: what a curve adds, and predictions without one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ensemble import Benchmark, BenchmarkError, Curve, Ensemble, ScoreTable, Training, card
from models import InputError

EPOCHS = 3


@pytest.fixture(scope="module")
def trained(benchmark: Benchmark) -> Benchmark:
    """The synthetic benchmark; the early accuracy is close to the final one. Two architectures have a short curve."""
    rng, entries = np.random.default_rng(7), []
    for i, entry in enumerate(benchmark.entries):
        accuracy = np.clip(entry.accuracy - np.array([0.3, 0.2, 0.1, 0.05]) + 0.001 * rng.normal(size=4), 0, 1)
        curve = Curve(tuple((3 * (1 - accuracy)).tolist()), (), tuple(accuracy.tolist()))
        if i < 2:
            curve = Curve(curve.training_loss[:1], (), curve.accuracy[:1])
        entries.append(replace(entry, trainings=(Training(0, entry.accuracy, curve),)))
    return replace(benchmark, entries=tuple(entries))


@pytest.fixture(scope="module")
def curved(trained: Benchmark, scores: ScoreTable) -> Ensemble:
    return Ensemble.fit(
        trained, scores, combiners=["early_curve", "omni"], default="ridge", folds=2, jobs=1, curve_epochs=EPOCHS
    )


def test_a_curve_orders_better_than_structure_in_cross_validation(curved: Ensemble) -> None:
    metrics = curved.manifest["metrics"]["combiners"]
    rho = {name: row["within_stratum_spearman"]["mean"] for name, row in metrics.items()}
    assert rho["early_curve"] > rho["ridge"] + 0.1
    assert rho["omni"] > rho["ridge"] + 0.1
    described = card(curved.manifest)
    assert described["curve"] == {"epochs": EPOCHS, "parts": ["training_loss", "accuracy"]}
    assert described["features"]["curve"] == 6


def test_predictions_with_and_without_a_curve(curved: Ensemble, trained: Benchmark) -> None:
    entries = trained.entries[2:12]
    architectures = [entry.architecture for entry in entries]
    with_curve = curved.predict(architectures, curves=[entry.curve for entry in entries])
    without = curved.predict(architectures)
    assert {item.combiner for item in with_curve} == {"early_curve"}
    assert {item.combiner for item in without} == {"ridge"}
    assert not any("curve" in warning for item in without for warning in item.warnings)
    assert [item.accuracy for item in with_curve] != [item.accuracy for item in without]
    for item in with_curve:
        assert item.interval is not None
        assert item.accuracy is not None
        assert item.interval.low <= item.accuracy <= item.interval.high
    assert with_curve[0].combiners["omni"] is None


def test_a_missing_or_short_curve_is_warned_of_and_structure_predicts(curved: Ensemble, trained: Benchmark) -> None:
    architecture, curve = trained.entries[5].architecture, trained.entries[5].curve
    assert curve is not None
    short = Curve(curve.training_loss[:2], (), curve.accuracy[:2])
    partial = Curve(accuracy=curve.accuracy)
    (plain,) = curved.predict([architecture])
    for given in (None, short, partial):
        (item,) = curved.predict([architecture], curves=[given])
        assert (item.combiner, item.accuracy) == ("ridge", plain.accuracy)
        assert "early_curve cannot predict without a training curve of 3 epochs" in item.warnings[-1]
    (named,) = curved.predict([architecture], combiner="early_curve")
    assert named.combiner == "ridge"
    assert "cannot predict without a training curve" in named.warnings[-1]


def test_later_epochs_do_not_count(curved: Ensemble, trained: Benchmark) -> None:
    architecture, curve = trained.entries[5].architecture, trained.entries[5].curve
    assert curve is not None
    first = Curve(curve.training_loss[:EPOCHS], (), curve.accuracy[:EPOCHS])
    assert curved.predict([architecture], curves=[first]) == curved.predict([architecture], curves=[curve])


def test_scores_and_curves_make_the_mixture_the_default(
    curved: Ensemble, trained: Benchmark, scores: ScoreTable
) -> None:
    entry = trained.entries[5]
    row = scores.features[entry.architecture.fingerprint]
    (item,) = curved.predict([entry.architecture], [row], curves=[entry.curve])
    assert item.combiner == "omni"
    (item,) = curved.predict([entry.architecture], [{**row, "zen": None}], curves=[entry.curve])
    assert item.combiner == "early_curve"
    assert "omni cannot predict without scores of zen: the prediction is from early_curve" in item.warnings
    (item,) = curved.predict([entry.architecture], [row], curves=[None])
    assert item.combiner == "ridge"


def test_a_curve_of_another_recipe_is_warned_of(curved: Ensemble, trained: Benchmark) -> None:
    architecture = trained.entries[5].architecture
    (item,) = curved.predict([architecture], curves=[Curve((9.0,) * EPOCHS, (), (0.01,) * EPOCHS)])
    assert any("training curve, training_loss.last: 9, the ensemble was fitted on" in text for text in item.warnings)
    assert item.interval_scale > 1


def test_an_artifact_predicts_and_explains_the_same(curved: Ensemble, trained: Benchmark, tmp_path: Path) -> None:
    curved.save(tmp_path / "curved")
    again = Ensemble.load(tmp_path / "curved")
    entry = trained.entries[5]
    predictions = [each.predict([entry.architecture], curves=[entry.curve]) for each in (curved, again)]
    assert predictions[0] == predictions[1]
    explanation = again.explain(entry.architecture, curve=entry.curve)
    assert explanation.combiner == "early_curve"
    assert "training curve" in {item.feature_group for item in explanation.attributions}
    total = explanation.base_value + sum(item.contribution for item in explanation.attributions)
    assert total == pytest.approx(predictions[0][0].accuracy, abs=1e-6)


def test_inputs_that_do_not_fit(curved: Ensemble, plain: Ensemble, trained: Benchmark) -> None:
    architecture, curve = trained.entries[5].architecture, trained.entries[5].curve
    with pytest.raises(InputError, match="one for each of the 1 architectures"):
        curved.predict([architecture], curves=[curve, curve])
    with pytest.raises(InputError, match="fitted without training curves"):
        plain.predict([architecture], curves=[curve])
    with pytest.raises(InputError, match="no training curve"):
        Ensemble.fit(trained, default="early_curve", curve_epochs=2)
    with pytest.raises(BenchmarkError, match="curve_epochs"):
        Ensemble.fit(trained, curve_epochs=5)
