"""Quality: cross-validated on the study's own observations, against the sources and the stratum."""

from dataclasses import replace

import numpy as np
import pytest

from ensemble.evaluation.metrics import spearman
from ensemble.source import Source
from study import StudyPredictor, estimate_quality, quality_notes
from tests.study.conftest import SOURCES, SPACE, architectures, definition, observations, true_values


def test_it_estimates_the_correlation_on_new_architectures() -> None:
    rows = observations(120)
    predictor = StudyPredictor.fit(definition(), SPACE, rows)
    quality, new = estimate_quality(predictor), architectures(300, seed=7)
    scores = np.array([item.score for item in predictor.predict(new)])
    actual = spearman(scores, np.array(true_values(new)))
    assert quality.spearman == pytest.approx(actual, abs=0.15)
    assert quality.coverage == pytest.approx(0.9, abs=0.06)
    assert [point.n for point in quality.curve] == [10, 20, 35, 50, 100, 120]
    assert [point.coverage is None for point in quality.curve] == [True] + 5 * [False]


def test_shuffled_values_are_not_predicted(sources: tuple[Source, ...]) -> None:
    rows = observations(150)
    values = np.random.default_rng(0).permutation(true_values([item.architecture for item in rows]))
    shuffled = [replace(item, value=float(value)) for item, value in zip(rows, values, strict=True)]
    quality = estimate_quality(StudyPredictor.fit(definition(sources=SOURCES), SPACE, shuffled, sources))
    for rho in (quality.spearman, quality.sources_spearman, quality.stratum_spearman):
        assert rho is not None
        assert abs(rho) < 0.25


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_few_observations(number: int) -> None:
    quality = estimate_quality(StudyPredictor.fit(definition(), SPACE, observations(number)))
    assert quality.curve == ()
    assert quality.coverage is None
    assert (quality.spearman is None) == (number < 2)


def test_sources_without_observations(sources: tuple[Source, ...]) -> None:
    quality = estimate_quality(StudyPredictor.fit(definition(sources=SOURCES), SPACE, [], sources))
    assert quality.sources_spearman is None
    assert quality.trained == 0


def test_baselines_that_are_not_beaten_are_named() -> None:
    quality = estimate_quality(StudyPredictor.fit(definition(), SPACE, observations(40)))
    better = replace(quality, spearman=0.8, sources_spearman=0.5, stratum_spearman=0.4)
    assert quality_notes(better) == ()
    worse = replace(better, spearman=0.45)
    assert quality_notes(worse) == ("it does not order better than the sources alone: ρ 0.45 against 0.50",)
    worst = replace(better, spearman=None)
    assert quality_notes(worst) == (
        "it does not order better than the sources alone: ρ undefined against 0.50",
        "it does not order better than the depth alone: ρ undefined against 0.40",
    )
