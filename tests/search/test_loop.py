"""Interrupted searches and searches with a raised budget try the same architectures as uninterrupted ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import Architecture, InputError, get_space
from search import (
    SearchLog,
    SpaceDomain,
    Strategy,
    Trial,
    TrialResult,
    get_strategy,
    run_search,
    sort_by_accuracy,
    strategy_names,
)

SPACE: Any = get_space("gcn-nas")
BATCH_SIZE, BUDGET = 8, 150


def value(arch: Any) -> float:
    """Objective of these tests: many modules in different layers."""
    return len(set(arch.mask)) + float(np.sum(arch.mask)) / 100


class Evaluator:
    """Evaluator of which some trials fail, and which raises `KeyboardInterrupt` after a number of batches.

    Attributes:
        architectures: all evaluated architectures.
    """

    def __init__(self, max_batches: int | None = None) -> None:
        self.architectures: list[Architecture] = []
        self._remaining = max_batches

    def __call__(self, architectures: Sequence[Architecture]) -> list[TrialResult]:
        if self._remaining == 0:
            raise KeyboardInterrupt
        if self._remaining is not None:
            self._remaining -= 1
        self.architectures += architectures
        return [self._evaluate(arch) for arch in architectures]

    def _evaluate(self, arch: Architecture) -> TrialResult:
        if int(arch.fingerprint, 16) % 7 == 0:
            return TrialResult(arch, None, 1, 1, error="it failed")
        return TrialResult(
            arch, value(arch), SPACE.cost(arch, SPACE.task.input_shapes(batch_size=1, frames=8)).flops, 1
        )


def search(path: Path, name: str, evaluator: Evaluator, budget: int = BUDGET) -> list[TrialResult]:
    strategy = get_strategy(name)(SpaceDomain(SPACE), np.random.default_rng(5), lambda archs: list(map(value, archs)))
    with SearchLog.open(path, {"strategy": name}, SPACE) as log:
        assert run_search(strategy, evaluator, log, budget, BATCH_SIZE)
        return log.trials


@pytest.mark.parametrize("name", strategy_names(training=False))
def test_interrupted_searches_try_the_same(name: str, tmp_path: Path) -> None:
    uninterrupted = search(tmp_path / "uninterrupted.jsonl", name, Evaluator())
    assert len({trial.architecture for trial in uninterrupted}) == BUDGET
    path, evaluated = tmp_path / "interrupted.jsonl", list[Architecture]()
    for batches, budget in (
        (2, BUDGET),
        (None, 27),
        (0, 60),
        (6, BUDGET),
        (None, 101),
    ):  # no budget is a multiple of BATCH
        evaluator = Evaluator(batches)
        if batches is None:
            assert search(path, name, evaluator, budget) == uninterrupted[:budget]
        else:
            with pytest.raises(KeyboardInterrupt):
                search(path, name, evaluator, budget)
        evaluated += evaluator.architectures
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:91]) + lines[91][:40])  # as after a kill during a write
    evaluator = Evaluator()
    assert search(path, name, evaluator) == uninterrupted
    assert evaluated[:90] + evaluator.architectures == [
        trial.architecture for trial in uninterrupted
    ]  # none is evaluated twice


def test_progress_is_reported_with_the_best_trial(tmp_path: Path) -> None:
    reports: list[tuple[int, TrialResult | None]] = []
    with SearchLog.open(tmp_path / "log.jsonl", {}, SPACE) as log:
        strategy = get_strategy("random")(SpaceDomain(SPACE), np.random.default_rng(0))
        assert run_search(strategy, Evaluator(), log, 20, BATCH_SIZE, lambda *report: reports.append(report))
        assert reports == [(n, sort_by_accuracy(log.trials[:n])[0]) for n in (8, 16, 20)]
        assert log.seconds > 0
    best = reports[-1][1]
    assert best is not None
    assert best.accuracy == max(trial.accuracy for trial in log.trials if trial.accuracy is not None)


class FiveProposals(Strategy):
    """Strategy that proposes five architectures."""

    name = "few"

    def ask(self, n: int) -> list[Architecture]:
        return self._draw_up_to(min(n, 5 - len(self.proposed)), self._sample)

    def tell(self, trials: Sequence[Trial]) -> None:
        assert len(trials) == 5


def test_a_strategy_that_finds_nothing_new_ends_the_search(tmp_path: Path) -> None:
    with SearchLog.open(tmp_path / "log.jsonl", {}, SPACE) as log:
        assert not run_search(
            FiveProposals(SpaceDomain(SPACE), np.random.default_rng(0)), Evaluator(), log, BUDGET, BATCH_SIZE
        )
        assert len(log.trials) == 5


def test_sort_by_accuracy_is_stable_and_leaves_out_failures() -> None:
    archs = [SPACE.sample(np.random.default_rng(i)) for i in range(4)]
    worst, first, failed, second = (
        TrialResult(arch, accuracy, 1, 1) for arch, accuracy in zip(archs, (0.0, 0.9, None, 0.9), strict=True)
    )
    assert sort_by_accuracy([worst, first, failed, second]) == [first, second, worst]


def test_budgets_and_batch_sizes_out_of_range_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    search(path, "random", Evaluator(), 10)
    for budget, allowed in ((0, "at least 1"), (-1, "at least 1"), (9, "at least 10, the number of logged trials")):
        with pytest.raises(InputError, match=f"^budget: got {budget}; allowed: {allowed}$"):
            search(path, "random", Evaluator(), budget)
    strategy = get_strategy("random")(SpaceDomain(SPACE), np.random.default_rng(0))
    with SearchLog.open(tmp_path / "b.jsonl", {}, SPACE) as log, pytest.raises(InputError, match=r"^batch_size: got 0"):
        run_search(strategy, Evaluator(), log, 10, 0)


def test_a_log_of_other_proposals_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    search(path, "random", Evaluator(), 20)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[11:13] = lines[12:10:-1]  # swap trials 11 and 12
    path.write_bytes(b"".join(lines))
    with pytest.raises(InputError, match=r"log\.jsonl line 12, architecture: got .* this version proposes"):
        search(path, "random", Evaluator(), 30)
