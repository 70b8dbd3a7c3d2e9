"""Comparison of studies on the same folds."""

import pytest

from benchmarks.evolution.levels import compare_levels
from common.errors import InputError
from evolution import EvolutionSettings, evolve
from tests.evolution.conftest import Make

SETTINGS = EvolutionSettings(population=10, generations=1, folds=2, parts=1)


def test_the_folds_are_those_of_the_studies(make: Make) -> None:
    train, test = make(), make(seed=1, name="other")
    report = evolve([train], SETTINGS, [test]).document
    compared = compare_levels([train, test], SETTINGS, report, report)
    for name, found in compared.items():
        assert found["quality"] == report["held_out"][name]["evolved"]
        assert found["difference"]["kendall"]["mean"] == 0
    with pytest.raises(InputError, match="planted, architectures"):
        compare_levels([make(n=149)], SETTINGS, report, report)
