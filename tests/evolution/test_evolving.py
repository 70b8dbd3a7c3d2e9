"""Runs: found formulas, determinism, resumption, evidence."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import InputError
from evolution import EvolutionSettings, evolve
from evolution.comparison import HeldOut, difference
from evolution.evolving import best_hand_written
from evolution.fitness import Fitness
from evolution.genetic_programming import Generation, run
from evolution.splits import Folds
from proxies.evolved.expression import parse_expression
from proxies.evolved.types import Kind
from tests.evolution.conftest import TERMINALS, Make

SMALL = EvolutionSettings(population=80, generations=6, folds=3, parts=1, max_depth=3)


class KilledError(Exception):
    """Stands for a kill."""


def fitness_of(make: Make, settings: EvolutionSettings = SMALL) -> Fitness:
    return Fitness([make()], settings.objective, settings.parts, settings.penalty, settings.seed)


def test_the_planted_formula_is_found_and_draws_nothing_from_the_global_state(make: Make) -> None:
    before, numpy_before = random.getstate(), np.random.get_state()[1].copy()  # type: ignore[index] # noqa: NPY002
    state = run(fitness_of(make), SMALL, seed=0)
    assert random.getstate() == before
    assert (np.random.get_state()[1] == numpy_before).all()  # type: ignore[index] # noqa: NPY002
    types = dict.fromkeys(TERMINALS, Kind.SCALAR)
    best = parse_expression(state.best, types)
    assert fitness_of(make).quality(best) > 0.95
    assert [generation.number for generation in state.generations] == list(range(7))
    fitness = [generation.fitness for generation in state.generations]
    assert fitness == sorted(fitness)
    assert best.depth <= 3


def test_another_seed_is_another_run_and_the_same_the_same(make: Make) -> None:
    runs = [run(fitness_of(make), SMALL, seed) for seed in (0, 0, 1)]
    assert runs[0] == runs[1]
    assert runs[0].population != runs[2].population


@pytest.mark.parametrize("killed_after", [0, 3])
def test_a_killed_run_continues_to_the_same_end(make: Make, tmp_path: Path, killed_after: int) -> None:
    whole, parts = tmp_path / "whole.json", tmp_path / "parts.json"
    run(fitness_of(make), SMALL, 5, whole)

    def kill(generation: Generation) -> None:
        if generation.number == killed_after:
            raise KilledError

    with pytest.raises(KilledError):
        run(fitness_of(make), SMALL, 5, parts, kill)
    assert json.loads(parts.read_text())["generations"][-1]["number"] == killed_after
    continued: list[int] = []
    run(fitness_of(make), SMALL, 5, parts, lambda generation: continued.append(generation.number))
    assert continued == list(range(killed_after + 1, 7))
    assert parts.read_bytes() == whole.read_bytes()


def test_a_checkpoint_of_another_run_is_refused(make: Make, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.json"
    run(fitness_of(make), SMALL, 5, checkpoint)
    with pytest.raises(InputError, match=r"run\.json"):
        run(fitness_of(make), SMALL, 6, checkpoint)
    with pytest.raises(InputError, match=r"run\.json"):
        run(Fitness([make(1)], "within_stratum", 1, SMALL.penalty, 0), SMALL, 5, checkpoint)
    checkpoint.write_text("[]")
    with pytest.raises(InputError, match=r"run\.json"):
        run(fitness_of(make), SMALL, 5, checkpoint)


def test_folds_keep_groups_together_and_are_the_same_in_each_benchmark(make: Make) -> None:
    first = make(n=40)
    second = make(n=20, name="planted")
    folds = Folds([first, second], 4, seed=0)
    tests = [folds.test(first, i).groups for i in range(4)]
    assert sorted(group for test in tests for group in test) == sorted(first.groups)
    for i in range(4):
        assert set(folds.test(second, i).groups) <= set(tests[i])
        assert not set(folds.train(first, i).groups) & set(tests[i])
    with pytest.raises(InputError, match="folds"):
        Folds([first], 41, seed=0)


def test_the_report_holds_out_what_was_not_evolved_on(make: Make, tmp_path: Path) -> None:
    report = evolve([make()], SMALL, [make(3, name="other")], tmp_path)
    evidence = report.document["held_out"]
    for name in ("planted", "other"):
        assert evidence[name]["evolved"]["within_stratum_spearman"] > 0.95
        assert 0.5 < evidence[name]["hand_written"]["within_stratum_spearman"] < 0.8
        assert evidence[name]["difference"]["within_stratum_spearman"]["is_significant"]
    assert abs(report.document["shuffled"]["planted"]["within_stratum_spearman"]) < 0.4
    sizes = [point["size"] for point in report.document["front"]]
    assert sizes == sorted(set(sizes))
    assert [point["generation"] for point in report.document["generations"]] == list(range(7))
    assert report.document["benchmarks"]["other"]["role"] == "test"
    assert json.loads(json.dumps(report.document, allow_nan=False)) == report.document
    assert len(list(tmp_path.iterdir())) == 2 * SMALL.folds + 1


def test_processes_give_the_same_report(make: Make) -> None:
    small = SMALL.model_copy(update={"population": 8, "generations": 1, "folds": 2})
    assert evolve([make()], small, jobs=2) == evolve([make()], small)


def test_benchmarks_need_different_names_and_common_scores(make: Make) -> None:
    with pytest.raises(InputError, match="different names"):
        evolve([make(), make()], SMALL)
    with pytest.raises(InputError, match="a common proxy"):
        evolve([make().restricted(['"zen"']), make(name="other").restricted(['"nwot"'])], SMALL)


def test_the_best_hand_written_proxy_has_a_sign(make: Make) -> None:
    fitness = Fitness([make().restricted(['"zen"', '"flops"'])], "within_stratum", 1, 0.1, 0)
    assert best_hand_written(fitness).to_json() == ["neg", "zen"]


def test_the_standard_error_is_that_of_the_paired_difference(make: Make) -> None:
    """The same expression twice differs by 0 ± 0; less architectures make the error larger."""
    types: Any = dict.fromkeys(TERMINALS, Kind.SCALAR)
    nwot, planted = (parse_expression(obj, types) for obj in ("nwot", ["sub", "nwot", "zen"]))
    same = difference([HeldOut(make(), nwot, nwot)], "within_stratum_spearman", 0)
    assert same is not None
    assert (same.mean, same.standard_error, same.is_significant) == (0, 0, False)
    errors = []
    for n in (600, 60):
        measured = difference([HeldOut(make(n=n), planted, nwot)], "within_stratum_spearman", 0)
        assert measured is not None
        assert measured.is_significant
        errors.append(measured.standard_error)
    assert 2 < errors[1] / errors[0] < 5
