"""An ensemble predicts the same bits for an architecture in any batch."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble import Benchmark, Ensemble, Prediction, ScoreTable
from models import Architecture, get_space
from service.settings import SHIPPED
from tests.ensemble.conftest import COMBINERS, SIZE

Scores = dict[str, float | None]
OUTLIERS = [{"mask": [[present] * 8] * depth} for depth in (4, 10) for present in (0, 1)]
EXAMPLES = settings(max_examples=10)
BATCHES = st.lists(st.integers(0, SIZE + len(OUTLIERS) - 1), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def archs(benchmark: Benchmark) -> list[Architecture]:
    """The reference set, and networks unlike it."""
    return [*benchmark.architectures, *map(benchmark.space.parse, OUTLIERS)]


@pytest.fixture(scope="module")
def rows(benchmark: Benchmark, scores: ScoreTable) -> list[Scores]:
    """Scores of `archs`; some are missing, and those of the outliers are out of range."""
    rows: list[Scores] = [dict(scores.features[arch.fingerprint]) for arch in benchmark.architectures]
    for row in rows[::9]:
        row["zen"] = None
    return [*rows, *({**rows[i], "nwot": 10.0**i} for i in range(1, len(OUTLIERS))), {}]


def comparable(ensemble: Ensemble, combiner: str | None, predictions: list[Prediction]) -> list[Prediction]:
    """Predictions without the ranking scores, if these depend on the batch."""
    if not ensemble.depends_on_set(combiner):
        return predictions
    return [replace(prediction, ranking_score=0.0) for prediction in predictions]


@pytest.mark.parametrize("combiner", [None, *COMBINERS])
@pytest.mark.parametrize("scored", [False, True])
def test_a_prediction_is_the_same_alone_and_in_a_batch(
    combiner: str | None, scored: bool, ensemble: Ensemble, archs: list[Architecture], rows: list[Scores]
) -> None:
    alone = [
        ensemble.predict([arch], [row] if scored else None, combiner)[0] for arch, row in zip(archs, rows, strict=True)
    ]

    @EXAMPLES
    @given(batch=BATCHES)
    def check(batch: list[int]) -> None:
        scores = [rows[i] for i in batch] if scored else None
        together = ensemble.predict([archs[i] for i in batch], scores, combiner)
        expected = [alone[i] for i in batch]
        assert comparable(ensemble, combiner, together) == comparable(ensemble, combiner, expected)

    check()
    assert all(prediction.warnings for prediction in alone[SIZE:])


def test_only_the_ranking_scores_of_a_vote_depend_on_the_batch(
    ensemble: Ensemble, archs: list[Architecture], rows: list[Scores]
) -> None:
    assert ensemble.depends_on_set("vote")
    assert not any(ensemble.depends_on_set(name) for name in (None, *COMBINERS) if name != "vote")
    small, large = (ensemble.predict(archs[1:n], rows[1:n], "vote") for n in (4, 8))
    assert [one.ranking_score for one in small] != [one.ranking_score for one in large[:3]]


@EXAMPLES
@given(batch=BATCHES)
def test_a_win_probability_is_the_same_for_a_pair_and_in_a_batch(
    batch: list[int], ensemble: Ensemble, archs: list[Architecture], rows: list[Scores]
) -> None:
    architectures = [archs[i] for i in batch]
    predictions = ensemble.predict(architectures, [rows[i] for i in batch])
    probability = ensemble.win_probability(architectures, predictions)
    for i, j in ((0, len(batch) - 1), (len(batch) // 2, 0)):
        pair = ensemble.win_probability([architectures[i], architectures[j]], [predictions[i], predictions[j]])
        assert np.array_equal(pair, probability[np.ix_([i, j], [i, j])])


def test_the_shipped_ensemble_predicts_the_same_alone_and_in_a_batch(rng: np.random.Generator) -> None:
    ensemble, space = Ensemble.load(SHIPPED / "gcn-nas-ntu"), get_space("gcn-nas")
    archs = [space.sample(rng) for _ in range(600)]
    medians: Scores = {name: float(row[50]) for name, row in ensemble.reference_set.proxy_quantiles.items()}
    for row in (None, medians):
        together = ensemble.predict(archs, None if row is None else [row] * len(archs))
        one_row = None if row is None else [row]
        assert [ensemble.predict([arch], one_row)[0] for arch in archs[::20]] == together[::20]
        assert ensemble.predict(archs[::-1], None if row is None else [row] * len(archs)) == together[::-1]
