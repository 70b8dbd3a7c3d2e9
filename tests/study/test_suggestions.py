"""Suggestions: new, different and reproducible architectures, better than random ones."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from common.errors import InputError
from ensemble.source import Source
from study import StudyPredictor, suggest
from tests.study.conftest import SOURCES, SPACE, architectures, definition, observations, true_values


def test_observed_and_excluded_architectures_are_never_suggested() -> None:
    rows = observations(30)
    predictor = StudyPredictor.fit(definition(), SPACE, rows)
    first = [architecture for architecture, _ in suggest(predictor, 20)]
    second = [architecture for architecture, _ in suggest(predictor, 20, exclude=first)]
    assert len(set(first) | set(second)) == 40
    assert not {*first, *second} & predictor.observed


def test_candidates_may_come_in_any_order_and_run_out() -> None:
    predictor = StudyPredictor.fit(definition(), SPACE, observations(30))
    pool = architectures(12, seed=4)
    first = suggest(predictor, 5, candidates=pool)
    assert first == suggest(predictor, 5, candidates=[*pool[::-1], *pool])
    assert {architecture for architecture, _ in first} <= set(pool)
    assert len(suggest(predictor, 50, candidates=pool)) == len(set(pool) - predictor.observed)
    assert suggest(predictor, 5, candidates=[]) == []
    assert suggest(predictor, 5, exclude=pool, candidates=pool) == []


def test_the_same_seed_gives_the_same_suggestions() -> None:
    predictor = StudyPredictor.fit(definition(), SPACE, observations(30))
    assert suggest(predictor, 5, seed=3) == suggest(predictor, 5, seed=3)
    assert suggest(predictor, 5, seed=3) != suggest(predictor, 5, seed=4)


@pytest.mark.parametrize("number", [0, 1, 10])
def test_few_observations(number: int, sources: tuple[Source, ...]) -> None:
    predictor = StudyPredictor.fit(definition(sources=SOURCES), SPACE, observations(number), sources)
    assert len({architecture for architecture, _ in suggest(predictor, 25)}) == 25


def test_suggestions_are_better_than_random_architectures() -> None:
    predictor = StudyPredictor.fit(definition(), SPACE, observations(60))
    chosen = true_values([architecture for architecture, _ in suggest(predictor, 10)])
    random = true_values(architectures(200, seed=8))
    assert np.mean(chosen) > np.quantile(random, 0.8)


def test_architectures_that_probably_fail_are_avoided() -> None:
    def has_gat(architecture: Any) -> bool:
        return "gat" in architecture.ops

    rows = [
        replace(item, value=None) if has_gat(item.architecture) and i % 8 else item
        for i, item in enumerate(observations(150))
    ]
    predictor = StudyPredictor.fit(definition(), SPACE, rows)
    pool = architectures(400, seed=6)
    chosen = [architecture for architecture, _ in suggest(predictor, 10, candidates=pool)]
    assert np.mean([has_gat(item) for item in chosen]) < np.mean([has_gat(item) for item in pool])


@pytest.mark.parametrize("number", [0, -1, 1.5, True])
def test_wrong_numbers(number: Any) -> None:
    predictor = StudyPredictor.fit(definition(), SPACE, [])
    with pytest.raises(InputError, match=r"number: got .*; allowed: a whole number from 1 on"):
        suggest(predictor, number)
