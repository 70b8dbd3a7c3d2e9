"""Replays on a synthetic benchmark; the tables of docs/search.md are those of the committed curves."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.replay import figures, tables
from benchmarks.replay.__main__ import combine_seeds, replay_seed
from benchmarks.replay.candidates import PROXIES, Candidates, HeldOutPredictions, num_fits
from benchmarks.replay.measures import (
    NUM_TRAININGS,
    best_so_far,
    hypervolume,
    mean_gain,
    regret,
    summarize,
    trainings_needed,
)
from benchmarks.replay.methods import METHODS, PARETO_METHODS, SEED_TEXTS, sort_descending
from ensemble import Benchmark, Entry, ScoreTable
from ensemble.evaluation.protocol import benchmark_features
from models import get_space

DOCS = Path(__file__).resolve().parents[2] / "docs"
SPACE = get_space("gcn-nas")


@pytest.fixture(scope="module")
def benchmark() -> Benchmark:
    rng = np.random.default_rng(0)
    archs = sorted({SPACE.sample(rng) for _ in range(120)}, key=lambda arch: arch.fingerprint)
    entries = []
    for arch in archs:
        features = SPACE.features(arch)
        accuracy = 0.9 + 0.003 * features["depth"] + 0.004 * features["slot9.L2"] + 0.001 * rng.normal()
        entries.append(Entry(arch, accuracy, None, {proxy: float(rng.normal()) for proxy in PROXIES}))
    return Benchmark("synthetic", SPACE, tuple(entries))


@pytest.fixture(scope="module")
def candidates(benchmark: Benchmark) -> Candidates:
    """Candidates with a perfect surrogate, and one that is NaN throughout."""
    surrogates = {"structure": benchmark.accuracy, "nothing": np.full(len(benchmark), np.nan)}
    return Candidates(benchmark, np.arange(len(benchmark)), benchmark_features(benchmark, None), surrogates)


def order(method: Any, candidates: Candidates, budget: int = 60, seed: int = 0) -> Any:
    return method(candidates, np.random.default_rng(seed), budget)


@pytest.mark.parametrize("name", [*METHODS, *PARETO_METHODS])
def test_every_method_trains_each_at_most_once_and_is_seeded(name: str, candidates: Candidates) -> None:
    method = (METHODS | PARETO_METHODS)[name]
    first = order(method, candidates)
    assert len(set(first.tolist())) == len(first) == 60
    assert set(first.tolist()) <= set(range(len(candidates)))
    assert first.tolist() == order(method, candidates).tolist()
    assert len(order(method, candidates, 1)) == 1


def test_seed_texts_belong_to_methods() -> None:
    assert set(SEED_TEXTS) <= {*METHODS, *PARETO_METHODS}


def test_a_perfect_surrogate_finds_the_best_at_once(candidates: Candidates) -> None:
    for name in ("predicted best first", "warm-up"):
        assert order(METHODS[name], candidates)[0] == candidates.accuracy.argmax()
    deepest = order(METHODS["deepest first"], candidates)
    assert candidates.depths[deepest].tolist() == sorted(candidates.depths.tolist(), reverse=True)[:60]


def test_a_search_without_a_benchmark_learns_from_what_it_trained(candidates: Candidates) -> None:
    chosen = order(METHODS["cold start"], candidates)
    start, learned = candidates.accuracy[chosen[:20]], candidates.accuracy[chosen[20:40]]
    assert learned.mean() > start.mean() + 0.003


def test_no_prediction_is_by_a_model_fitted_on_the_architecture(benchmark: Benchmark) -> None:
    ticks: list[None] = []
    scores = ScoreTable.from_published(benchmark)
    predictions = HeldOutPredictions.fit(
        benchmark, scores, folds=2, repeats=1, halves=2, jobs=1, progress=lambda: ticks.append(None)
    )
    assert len(ticks) == num_fits(2, 1, 2) == 4
    halves = [predictions.unseen_half(seed) for seed in (0, 1)]
    assert sorted(np.concatenate([half.rows for half in halves]).tolist()) == list(range(len(benchmark)))
    # One accuracy changes: the predictions for that row stay the same, others do not.
    row = int(halves[0].rows[0])
    entries = list(benchmark.entries)
    entries[row] = Entry(entries[row].architecture, entries[row].accuracy + 1e-9, None, entries[row].scores)
    other = Benchmark("synthetic", SPACE, tuple(entries))
    again = HeldOutPredictions.fit(other, scores, folds=2, repeats=1, halves=2, jobs=1, progress=lambda: None)
    for before, after in ((predictions.cross_validated, again.cross_validated), (predictions.halves, again.halves)):
        first, second = before["structure"], after["structure"]
        same = (first == second) | (np.isnan(first) & np.isnan(second))
        assert not np.isnan(first[:, row]).all()
        assert same[:, row].all()
        assert not same.all()
    ten_layers = predictions.of_depth(10, 0)
    assert set(ten_layers.depths.tolist()) == {10}
    assert not ten_layers.differ_in_depth
    assert set(ten_layers.surrogates) == {"structure", "stacked", "ridge", *PROXIES}


def test_regret_and_mean_gain_by_hand(candidates: Candidates) -> None:
    accuracy = candidates.accuracy
    chosen = np.array([5, 3, int(accuracy.argmax()), *(i for i in range(40) if i not in (5, 3, accuracy.argmax()))])
    regrets = regret(candidates, best_so_far(candidates, chosen))
    assert regrets[0] == pytest.approx(100 * (accuracy.max() - accuracy[5]))
    assert regrets[1] == pytest.approx(100 * (accuracy.max() - max(accuracy[5], accuracy[3])))
    assert regrets[2] == 0
    gains = mean_gain(candidates, chosen)
    assert gains[1] == pytest.approx(100 * ((accuracy[5] + accuracy[3]) / 2 - accuracy.mean()))
    assert [point for point, value in zip(NUM_TRAININGS, regrets, strict=True) if np.isnan(value)] == [
        point for point in NUM_TRAININGS if point > candidates.budget
    ]


def test_the_share_of_the_hypervolume_by_hand(candidates: Candidates) -> None:
    share = hypervolume(candidates, np.arange(len(candidates)))
    fronts = hypervolume(candidates, order(PARETO_METHODS["predicted fronts first"], candidates, candidates.budget))
    assert np.nanmax(fronts) == pytest.approx(1)
    assert (np.diff(share[~np.isnan(share)]) >= 0).all()
    accuracy = (candidates.accuracy - candidates.accuracy.min()) / np.ptp(candidates.accuracy)
    saving = (candidates.flops.max() - candidates.flops) / np.ptp(candidates.flops)
    areas, width = 0.0, 0.0
    for i in np.argsort(-accuracy):
        areas += max(saving[i] - width, 0) * accuracy[i]
        width = max(width, saving[i])
    assert share[0] == pytest.approx(accuracy[0] * saving[0] / areas)


def test_trainings_needed_by_hand() -> None:
    quick, slow = np.array([0.5, 0.9] + [0.9] * 98), np.maximum.accumulate(np.arange(1, 101) / 100)
    needed = trainings_needed({"quick": [quick, quick]}, {"slow": [slow, slow]})
    assert needed["quick"]["10"]["slow"] == {"low": 90, "median": 90, "high": 90}
    assert needed["quick"]["10"]["itself"] == {"low": 2, "median": 2, "high": 2}


def test_curves_have_the_middle_of_the_seeds() -> None:
    runs = [np.array([float(i), np.nan]) for i in range(11)]
    assert summarize(runs) == {"mean": [5.0, None], "low": [1.0, None], "high": [9.0, None]}


def test_equal_values_come_in_random_order_and_missing_ones_last() -> None:
    values = np.array([1.0, np.nan, 2.0, 1.0])
    orders = {tuple(sort_descending(values, np.random.default_rng(seed)).tolist()) for seed in range(20)}
    assert orders == {(2, 0, 3, 1), (2, 3, 0, 1)}


def test_figures_and_tables_come_from_the_numbers_alone(candidates: Candidates, tmp_path: Path) -> None:
    surrogates = dict.fromkeys(("ridge", *PROXIES), candidates.accuracy) | dict(candidates.surrogates)
    candidates = candidates.subset(np.arange(len(candidates)), surrogates)
    numbers = combine_seeds([replay_seed(candidates, seed) for seed in range(2)])
    results = {"num_trainings": list(NUM_TRAININGS), "settings": dict.fromkeys(figures.TITLES, numbers)}
    results = json.loads(json.dumps(results))
    figures.write_figures(results, tmp_path)
    for file in ("replay-regret", "replay-surrogates", "replay-hypervolume"):
        text = (tmp_path / f"{file}.svg").read_text()
        assert "prefers-color-scheme:dark" in text
        assert "trained architectures" in text
        assert "random" in text
    page = "before\n<!-- replay: regret all -->\nstale\n<!-- end -->\nafter\n"
    written = tables.insert_tables(page, results)
    assert "| random |" in written
    assert "stale" not in written
    assert written == tables.insert_tables(written, results)
    with pytest.raises(KeyError, match="no such"):
        tables.insert_tables("<!-- replay: no such -->\n<!-- end -->", results)


def test_the_pages_tables_are_those_of_the_committed_numbers() -> None:
    page = (DOCS / "search.md").read_text()
    assert page.count("<!-- replay:") >= 8
    assert tables.insert_tables(page, json.loads((DOCS / "replay.json").read_text())) == page, "run benchmarks.replay"


def test_the_pages_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    page = (DOCS / "search.md").read_text()
    predicting, training = re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    exec(compile(predicting, "search.md", "exec"), {})
    assert len(json.loads(capsys.readouterr().out)["mask"]) == 6
    exec(compile(training, "search.md", "exec"), {})
    assert 0.8 < float(capsys.readouterr().out) < 1
