import subprocess
import sys

import numpy as np
import pytest

from ensemble import Benchmark, FeatureTable, get_combiner
from ensemble.evaluation.crossval import HeldOut, fit_combiner, held_out_predictions, predict_combiner
from ensemble.evaluation.evaluate import BASELINES, structural_folds
from ensemble.evaluation.folds import Split, seeded_folds

RIDGE = get_combiner("ridge")


@pytest.fixture(scope="module")
def repeats(benchmark: Benchmark, table: FeatureTable) -> list[list[Split]]:
    return [structural_folds(table, benchmark.accuracy, 3, seed) for seed in range(2)]


@pytest.fixture(scope="module")
def held(benchmark: Benchmark, table: FeatureTable, repeats: list[list[Split]]) -> HeldOut:
    return held_out_predictions([RIDGE], table, benchmark.accuracy, repeats)["ridge"]


def test_every_row_is_predicted_in_every_repeat(held: HeldOut, benchmark: Benchmark) -> None:
    n = len(benchmark)
    assert held.accuracy.shape == (2, n)
    assert held.interval.shape == (2, n, 2)
    assert np.isfinite(held.accuracy).all()
    assert (held.interval[..., 0] <= held.accuracy).all()
    assert (held.interval[..., 1] >= held.accuracy).all()
    assert not np.array_equal(held.accuracy[0], held.accuracy[1])


def test_pairs_are_those_of_a_fold_with_what_happened(
    held: HeldOut, benchmark: Benchmark, table: FeatureTable, repeats: list[list[Split]]
) -> None:
    y, depths = benchmark.accuracy, benchmark.depths
    train, test = repeats[0][0]
    model, errors = fit_combiner(RIDGE, FeatureTable(table.names, table.values[train]), y[train], 0)
    seen = FeatureTable(table.names, table.values[test])
    accuracy = predict_combiner(RIDGE, model, seen)
    beats = errors.win_probability(accuracy, depths[test])
    k = 0
    for i in range(len(test)):
        for j in range(i + 1, len(test)):
            assert held.probability[0][k] == pytest.approx(beats[i, j])
            assert held.better[0][k] == (1 if y[test[i]] > y[test[j]] else 0)
            assert held.same_depth[0][k] == (depths[test[i]] == depths[test[j]])
            k += 1
    assert held.accuracy[0, test] == pytest.approx(accuracy)
    assert held.interval[0, test] == pytest.approx(errors.intervals(accuracy, depths[test]))
    assert [len(part) for part in held.probability] == [3 * 20 * 19 / 2] * 2


def test_a_tie_is_half(table: FeatureTable, repeats: list[list[Split]]) -> None:
    ties = np.tile([0.9, 0.91], len(table.values) // 2)
    (held,) = held_out_predictions(BASELINES[:1], table, ties, repeats[:1]).values()
    assert set(held.better[0]) == {0.0, 0.5, 1.0}


def test_intervals_and_probabilities_are_those_of_the_rows_own_depth(rng: np.random.Generator) -> None:
    depths = np.repeat([4.0, 6.0], 100)
    y = 0.9 + np.where(depths == 4, 0.001, 0.01) * rng.normal(size=200)
    table = FeatureTable(("depth",), depths[:, None])
    (held,) = held_out_predictions(BASELINES[:1], table, y, [seeded_folds(table.values, y, 4, 0)]).values()
    width = held.interval[0, :, 1] - held.interval[0, :, 0]
    assert width[depths == 6].min() > 5 * width[depths == 4].max()


def test_rows_without_a_prediction_are_in_no_pair(benchmark: Benchmark, table: FeatureTable) -> None:
    holed = FeatureTable(table.names, table.values.copy())
    holed.values[:5, 0] = np.nan
    splits = [(np.arange(20, 60), np.arange(20))]
    (held,) = held_out_predictions([get_combiner("xgboost")], holed, benchmark.accuracy, [splits]).values()
    assert np.isnan(held.accuracy[0, :5]).all()
    assert np.isnan(held.interval[0, :5]).all()
    assert len(held.probability[0]) == 15 * 14 / 2
    assert np.isfinite(held.probability[0]).all()


def test_the_first_repeats_alone(held: HeldOut) -> None:
    first = held.first(1)
    assert np.array_equal(first.accuracy, held.accuracy[:1])
    assert first.interval.shape[0] == len(first.probability) == len(first.better) == len(first.same_depth) == 1
    assert len(held.probability) == 2


STARTED = """
import os, time
from joblib import Parallel, delayed
from ensemble.evaluation.crossval import workers

def work():
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(600)

with workers():
    Parallel(n_jobs=2)(delayed(work)() for _ in range(2))
"""


def test_workers_end_with_a_process_that_is_killed() -> None:
    command = [sys.executable, "-c", STARTED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as started:
        assert started.stdout is not None
        for _ in range(2):
            assert int(started.stdout.readline())
        started.kill()
        started.communicate(timeout=60)  # the pipe ends with the last that could write to it
