import subprocess
import sys

import numpy as np
import pytest

from ensemble import Benchmark, FeatureTable, get_combiner
from ensemble.data.columns import Columns
from ensemble.data.folds import Split, seeded_folds
from ensemble.evaluation.baselines import baselines
from ensemble.evaluation.cross_validation import (
    HeldOutPredictions,
    fit_combiner,
    held_out_predictions,
    predict_combiner,
)
from ensemble.evaluation.protocol import structural_folds
from tests.waiting import PATIENCE_S

RIDGE = get_combiner("ridge")


@pytest.fixture(scope="module")
def repeats(benchmark: Benchmark, table: FeatureTable) -> list[list[Split]]:
    return [structural_folds(table, benchmark.accuracy, 3, seed) for seed in range(2)]


@pytest.fixture(scope="module")
def held_out(benchmark: Benchmark, table: FeatureTable, repeats: list[list[Split]]) -> HeldOutPredictions:
    return held_out_predictions([RIDGE], table, benchmark.accuracy, repeats)["ridge"]


def test_every_row_is_predicted_in_every_repeat(held_out: HeldOutPredictions, benchmark: Benchmark) -> None:
    n = len(benchmark)
    assert held_out.accuracy.shape == (2, n)
    assert held_out.interval.shape == (2, n, 2)
    assert np.isfinite(held_out.accuracy).all()
    assert (held_out.interval[..., 0] <= held_out.accuracy).all()
    assert (held_out.interval[..., 1] >= held_out.accuracy).all()
    assert not np.array_equal(held_out.accuracy[0], held_out.accuracy[1])


def test_pairs_are_those_of_a_fold_with_their_outcome(
    held_out: HeldOutPredictions, benchmark: Benchmark, table: FeatureTable, repeats: list[list[Split]]
) -> None:
    y, strata = benchmark.accuracy, benchmark.strata
    train, test = repeats[0][0]
    model, residuals = fit_combiner(RIDGE, FeatureTable(table.columns, table.values[train]), y[train], 0)
    test_table = FeatureTable(table.columns, table.values[test])
    accuracy = predict_combiner(RIDGE, model, test_table)
    win_probability = residuals.win_probability(accuracy, strata[test])
    k = 0
    for i in range(len(test)):
        for j in range(i + 1, len(test)):
            assert held_out.probability[0][k] == pytest.approx(win_probability[i, j])
            assert held_out.outcome[0][k] == (1 if y[test[i]] > y[test[j]] else 0)
            assert held_out.same_stratum[0][k] == (strata[test[i]] == strata[test[j]])
            k += 1
    assert held_out.accuracy[0, test] == pytest.approx(accuracy)
    assert held_out.interval[0, test] == pytest.approx(residuals.intervals(accuracy, strata[test]))
    assert [len(probability) for probability in held_out.probability] == [3 * 20 * 19 / 2] * 2


def test_a_tie_is_half(table: FeatureTable, repeats: list[list[Split]]) -> None:
    ties = np.tile([0.9, 0.91], len(table.values) // 2)
    (held_out,) = held_out_predictions(baselines(table.columns)[:1], table, ties, repeats[:1]).values()
    assert set(held_out.outcome[0]) == {0.0, 0.5, 1.0}


def test_intervals_and_probabilities_are_those_of_the_rows_own_depth(rng: np.random.Generator) -> None:
    depths = np.repeat([4.0, 6.0], 100)
    y = 0.9 + np.where(depths == 4, 0.001, 0.01) * rng.normal(size=200)
    table = FeatureTable(Columns(("depth",), stratum="depth"), depths[:, None])
    (held_out,) = held_out_predictions(
        baselines(table.columns), table, y, [seeded_folds(table.values, y, 4, 0)]
    ).values()
    width = held_out.interval[0, :, 1] - held_out.interval[0, :, 0]
    assert width[depths == 6].min() > 5 * width[depths == 4].max()


def test_rows_without_a_prediction_are_in_no_pair(benchmark: Benchmark, table: FeatureTable) -> None:
    incomplete = FeatureTable(table.columns, table.values.copy())
    incomplete.values[:5, 0] = np.nan
    splits = [(np.arange(20, 60), np.arange(20))]
    (held_out,) = held_out_predictions([get_combiner("xgboost")], incomplete, benchmark.accuracy, [splits]).values()
    assert np.isnan(held_out.accuracy[0, :5]).all()
    assert np.isnan(held_out.interval[0, :5]).all()
    assert len(held_out.probability[0]) == 15 * 14 / 2
    assert np.isfinite(held_out.probability[0]).all()


def test_the_first_repeats_alone(held_out: HeldOutPredictions) -> None:
    first = held_out.first(1)
    assert np.array_equal(first.accuracy, held_out.accuracy[:1])
    assert first.interval.shape[0] == len(first.probability) == len(first.outcome) == len(first.same_stratum) == 1
    assert len(held_out.probability) == 2


WORKERS = """
import os, time
from joblib import Parallel, delayed
from ensemble.evaluation.cross_validation import worker_processes

def report_pid():
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(600)

with worker_processes():
    Parallel(n_jobs=2)(delayed(report_pid)() for _ in range(2))
"""


def test_workers_end_with_a_process_that_is_killed() -> None:
    command = [sys.executable, "-c", WORKERS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for _ in range(2):
            assert int(process.stdout.readline())
        process.kill()
        process.communicate(timeout=PATIENCE_S)  # the pipe closes when the last worker is gone
