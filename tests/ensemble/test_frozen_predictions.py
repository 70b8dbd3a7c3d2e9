"""Predictions of the shipped ensemble for 100 architectures, recorded when it was fitted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ensemble import Ensemble, Estimate, Prediction
from service.settings import SHIPPED
from tests.estimates import accuracy_of, interval_of

FROZEN = Path(__file__).parents[1] / "data" / "frozen_predictions.json"
TOLERANCE = 1e-9


@pytest.fixture(scope="module")
def frozen() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FROZEN.read_text())
    return content


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble.load(SHIPPED / "gcn-nas-ntu")


@pytest.fixture(scope="module")
def predictions(ensemble: Ensemble, frozen: dict[str, Any]) -> dict[str, list[Prediction]]:
    rows = frozen["rows"]
    architectures = [ensemble.space.parse(row["architecture"]) for row in rows]
    return {
        "with_scores": ensemble.predict(architectures, [row["scores"] for row in rows]),
        "from_structure": ensemble.predict(architectures),
    }


def as_numbers(estimate: Estimate) -> dict[str, float]:
    return {
        "accuracy": accuracy_of(estimate),
        "percentile": estimate.percentile,
        "low": interval_of(estimate).low,
        "high": interval_of(estimate).high,
    }


@pytest.mark.parametrize("kind", ["with_scores", "from_structure"])
def test_predictions(kind: str, frozen: dict[str, Any], predictions: dict[str, list[Prediction]]) -> None:
    assert len(frozen["rows"]) == 100
    for row, prediction in zip(frozen["rows"], predictions[kind], strict=True):
        expected = row[kind]
        assert prediction.combiner == expected["combiner"]
        assert prediction.interval_scale == pytest.approx(expected["interval_scale"], abs=TOLERANCE)
        assert as_numbers(prediction) == as_numbers(prediction.combiners[prediction.combiner] or prediction)
        estimates = {name: estimate for name, estimate in prediction.combiners.items() if estimate is not None}
        assert set(estimates) == set(expected["estimates"])
        for name, estimate in estimates.items():
            assert as_numbers(estimate) == pytest.approx(expected["estimates"][name], abs=TOLERANCE), name


def test_win_probabilities(
    ensemble: Ensemble, frozen: dict[str, Any], predictions: dict[str, list[Prediction]]
) -> None:
    architectures = [ensemble.space.parse(row["architecture"]) for row in frozen["rows"]]
    probability = ensemble.win_probability(architectures, predictions["with_scores"])
    assert np.abs(probability[:5] - np.array(frozen["win_probability"])).max() <= TOLERANCE


def test_explanation(ensemble: Ensemble, frozen: dict[str, Any]) -> None:
    row, expected = frozen["rows"][0], frozen["explanation"]
    explanation = ensemble.explain(ensemble.space.parse(row["architecture"]), row["scores"])
    assert explanation.combiner == expected["combiner"]
    assert explanation.base_value == pytest.approx(expected["base_value"], abs=TOLERANCE)
    names = [one.feature_group for one in explanation.attributions]
    assert names == [one["feature_group"] for one in expected["attributions"]]
    contributions = [one.contribution for one in explanation.attributions]
    assert contributions == pytest.approx([one["contribution"] for one in expected["attributions"]], abs=TOLERANCE)


def test_suggested_mutations(ensemble: Ensemble, frozen: dict[str, Any]) -> None:
    suggested = ensemble.suggest_mutations(ensemble.space.parse(frozen["rows"][0]["architecture"]))
    expected = frozen["suggested_mutations"]
    assert [one.mutation for one in suggested] == [one["mutation"] for one in expected]
    for field in ("accuracy", "accuracy_gain"):
        values = [getattr(one, field) for one in suggested]
        assert values == pytest.approx([one[field] for one in expected], abs=TOLERANCE)
