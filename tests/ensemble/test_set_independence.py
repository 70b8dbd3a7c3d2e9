"""Predictions for an architecture are bitwise independent of the other architectures of the call."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble import Benchmark, Ensemble, Prediction, ScoreTable, combiner_names
from models import Architecture, get_space
from service.settings import SHIPPED
from tests.ensemble.conftest import SIZE

Scores = dict[str, float | None]
OUT_OF_DISTRIBUTION = [{"mask": [[present] * 8] * depth} for depth in (4, 10) for present in (0, 1)]
EXAMPLES = settings(max_examples=10)
INDICES = st.lists(st.integers(0, SIZE + len(OUT_OF_DISTRIBUTION) - 1), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def archs(benchmark: Benchmark) -> list[Architecture]:
    """The reference set, and architectures outside its range."""
    return [*benchmark.architectures, *map(benchmark.space.parse, OUT_OF_DISTRIBUTION)]


@pytest.fixture(scope="module")
def rows(benchmark: Benchmark, scores: ScoreTable) -> list[Scores]:
    """Their scores; some are missing, and some are out of range."""
    rows: list[Scores] = [dict(scores.features[arch.fingerprint]) for arch in benchmark.architectures]
    for row in rows[::9]:
        row["zen"] = None
    return [*rows, *({**rows[i], "nwot": 10.0**i} for i in range(1, len(OUT_OF_DISTRIBUTION))), {}]


def are_equal(ensemble: Ensemble, combiner: str | None, first: list[Prediction], second: list[Prediction]) -> bool:
    """Compare predictions, ignoring the ranking score of a combiner for which it depends on the set."""
    if ensemble.depends_on_set(combiner):
        first, second = ([replace(p, ranking_score=0.0) for p in predictions] for predictions in (first, second))
    return first == second


@pytest.mark.parametrize("combiner", [None, *combiner_names()])
@pytest.mark.parametrize("scored", [False, True])
def test_a_prediction_is_independent_of_the_set(
    combiner: str | None, scored: bool, ensemble: Ensemble, archs: list[Architecture], rows: list[Scores]
) -> None:
    alone = [
        ensemble.predict([arch], [row] if scored else None, combiner)[0] for arch, row in zip(archs, rows, strict=True)
    ]

    @EXAMPLES
    @given(indices=INDICES)
    def check(indices: list[int]) -> None:
        scores = [rows[i] for i in indices] if scored else None
        predictions = ensemble.predict([archs[i] for i in indices], scores, combiner)
        assert are_equal(ensemble, combiner, predictions, [alone[i] for i in indices])

    check()
    assert all(prediction.warnings for prediction in alone[SIZE:])


def test_the_ranking_score_of_a_vote_depends_on_the_set(
    ensemble: Ensemble, archs: list[Architecture], rows: list[Scores]
) -> None:
    assert ensemble.depends_on_set("vote")
    assert not any(ensemble.depends_on_set(name) for name in (None, *combiner_names()) if name != "vote")
    few, more = (ensemble.predict(archs[1:n], rows[1:n], "vote") for n in (4, 8))
    assert [p.ranking_score for p in few] != [p.ranking_score for p in more[:3]]


@EXAMPLES
@given(indices=INDICES)
def test_a_win_probability_is_independent_of_the_set(
    indices: list[int], ensemble: Ensemble, archs: list[Architecture], rows: list[Scores]
) -> None:
    chosen = [archs[i] for i in indices]
    predictions = ensemble.predict(chosen, [rows[i] for i in indices])
    probability = ensemble.win_probability(chosen, predictions)
    for i, j in ((0, len(chosen) - 1), (len(chosen) // 2, 0)):
        pair = ensemble.win_probability([chosen[i], chosen[j]], [predictions[i], predictions[j]])
        assert np.array_equal(pair, probability[np.ix_([i, j], [i, j])])


def test_predictions_of_the_shipped_ensemble_are_independent_of_the_set(rng: np.random.Generator) -> None:
    ensemble, space = Ensemble.load(SHIPPED / "gcn-nas-ntu"), get_space("gcn-nas")
    archs = [space.sample(rng) for _ in range(600)]
    median_scores: Scores = {name: float(row[50]) for name, row in ensemble.reference_set.proxy_quantiles.items()}

    def predict(archs: Sequence[Architecture], scored: bool) -> list[Prediction]:
        return ensemble.predict(archs, [median_scores] * len(archs) if scored else None)

    for scored in (False, True):
        predictions = predict(archs, scored)
        assert [predict([arch], scored)[0] for arch in archs[::20]] == predictions[::20]
        assert predict(archs[::-1], scored) == predictions[::-1]
