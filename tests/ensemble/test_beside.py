"""A whole ensemble says the same of an architecture, to the last bit, whatever is predicted beside it."""

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
STRANGE = [{"mask": [[present] * 8] * depth} for depth in (4, 10) for present in (0, 1)]
EXAMPLES = settings(deadline=None, derandomize=True, max_examples=10)
SET = st.lists(st.integers(0, SIZE + len(STRANGE) - 1), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def archs(benchmark: Benchmark) -> list[Architecture]:
    """The population, and networks that are unlike it."""
    return [*benchmark.architectures, *map(benchmark.space.parse, STRANGE)]


@pytest.fixture(scope="module")
def rows(benchmark: Benchmark, scores: ScoreTable) -> list[Scores]:
    """Their scores; some failed, and some lie beyond all others."""
    known: list[Scores] = [dict(scores.features[arch.fingerprint]) for arch in benchmark.architectures]
    for row in known[::9]:
        row["zen"] = None
    return [*known, *({**known[i], "nwot": 10.0**i} for i in range(1, len(STRANGE))), {}]


def alike(ensemble: Ensemble, combiner: str | None, said: list[Prediction], alone: list[Prediction]) -> bool:
    """Apart from the order, where that is said to depend on the set."""
    if ensemble.depends_on_set(combiner):
        said, alone = ([replace(one, ranking_score=0.0) for one in each] for each in (said, alone))
    return said == alone


@pytest.mark.parametrize("combiner", [None, *combiner_names()])
@pytest.mark.parametrize("scored", [False, True])
def test_a_prediction_is_the_same_alone(
    combiner: str | None, scored: bool, ensemble: Ensemble, archs: list[Architecture], rows: list[Scores]
) -> None:
    alone = [
        ensemble.predict([arch], [row] if scored else None, combiner)[0] for arch, row in zip(archs, rows, strict=True)
    ]

    @EXAMPLES
    @given(chosen=SET)
    def holds(chosen: list[int]) -> None:
        given_scores = [rows[i] for i in chosen] if scored else None
        said = ensemble.predict([archs[i] for i in chosen], given_scores, combiner)
        assert alike(ensemble, combiner, said, [alone[i] for i in chosen])

    holds()
    assert all(one.warnings for one in alone[SIZE:])


def test_the_order_of_one_who_compares_a_set_depends_on_it(
    ensemble: Ensemble, archs: list[Architecture], rows: list[Scores]
) -> None:
    assert ensemble.depends_on_set("vote")
    assert not any(ensemble.depends_on_set(name) for name in (None, *combiner_names()) if name != "vote")
    some, more = (ensemble.predict(archs[1:n], rows[1:n], "vote") for n in (4, 8))
    assert [one.ranking_score for one in some] != [one.ranking_score for one in more[:3]]


@EXAMPLES
@given(chosen=SET)
def test_a_pair_is_compared_the_same_alone(
    chosen: list[int], ensemble: Ensemble, archs: list[Architecture], rows: list[Scores]
) -> None:
    some = [archs[i] for i in chosen]
    predictions = ensemble.predict(some, [rows[i] for i in chosen])
    beats = ensemble.win_probability(some, predictions)
    for i, j in ((0, len(some) - 1), (len(some) // 2, 0)):
        pair = ensemble.win_probability([some[i], some[j]], [predictions[i], predictions[j]])
        assert np.array_equal(pair, beats[np.ix_([i, j], [i, j])])


def test_what_is_shipped_says_the_same_alone(rng: np.random.Generator) -> None:
    ensemble, space = Ensemble.load(SHIPPED / "gcn-nas-ntu"), get_space("gcn-nas")
    many = [space.sample(rng) for _ in range(600)]
    typical: Scores = {name: float(row[50]) for name, row in ensemble.reference_set.proxy_quantiles.items()}
    for scores in (None, typical):
        said = ensemble.predict(many, scores and [scores] * len(many))
        assert [ensemble.predict([arch], scores and [scores])[0] for arch in many[::20]] == said[::20]
        assert ensemble.predict(many[::-1], scores and [scores] * len(many)) == said[::-1]
