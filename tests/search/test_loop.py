"""A search that was cut off, wherever, and one whose budget was raised, try what they would have tried in one go."""

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
BATCH, BUDGET = 8, 150


def worth(arch: Any) -> float:
    """What an architecture is worth here: many modules, in layers that are unlike."""
    return len(set(arch.mask)) + float(np.sum(arch.mask)) / 100


class Evaluator:
    """Says what architectures are worth; where one cannot be said, and where it was to be stopped.

    Attributes:
        asked: all of whom it was asked.
    """

    def __init__(self, until: int | None = None) -> None:
        self.asked: list[Architecture] = []
        self._left = until

    def __call__(self, architectures: Sequence[Architecture]) -> list[TrialResult]:
        if self._left == 0:
            raise KeyboardInterrupt
        if self._left is not None:
            self._left -= 1
        self.asked += architectures
        return [self._say(arch) for arch in architectures]

    def _say(self, arch: Architecture) -> TrialResult:
        if int(arch.fingerprint, 16) % 7 == 0:
            return TrialResult(arch, None, 1, 1, error="it failed")
        return TrialResult(arch, worth(arch), SPACE.cost(arch, SPACE.input_shape(1, 8)).flops, 1)


def searched(path: Path, name: str, judge: Evaluator, budget: int = BUDGET) -> list[TrialResult]:
    strategy = get_strategy(name)(SpaceDomain(SPACE), np.random.default_rng(5), lambda archs: [worth(a) for a in archs])
    with SearchLog.open(path, {"strategy": name}, SPACE) as log:
        assert run_search(strategy, judge, log, budget, BATCH)
        return log.trials


@pytest.mark.parametrize("name", strategy_names())
def test_cut_off_or_not_it_tries_the_same(name: str, tmp_path: Path) -> None:
    whole = searched(tmp_path / "whole.jsonl", name, Evaluator())
    assert len({trial.architecture for trial in whole}) == BUDGET
    path, asked = tmp_path / "cut.jsonl", list[Architecture]()
    for batches, budget in ((2, BUDGET), (None, 27), (0, 60), (6, BUDGET), (None, 101)):  # neither a multiple of BATCH
        judge = Evaluator(batches)
        if batches is None:
            assert searched(path, name, judge, budget) == whole[:budget]
        else:
            with pytest.raises(KeyboardInterrupt):
                searched(path, name, judge, budget)
        asked += judge.asked
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:91]) + lines[91][:40])  # what a kill while it writes leaves
    judge = Evaluator()
    assert searched(path, name, judge) == whole
    assert asked[:90] + judge.asked == [trial.architecture for trial in whole]  # none is evaluated twice


def test_progress_is_told_with_the_best_so_far(tmp_path: Path) -> None:
    told: list[tuple[int, TrialResult | None]] = []
    with SearchLog.open(tmp_path / "log.jsonl", {}, SPACE) as log:
        strategy = get_strategy("random")(SpaceDomain(SPACE), np.random.default_rng(0))
        assert run_search(strategy, Evaluator(), log, 20, BATCH, lambda *news: told.append(news))
        assert told == [(n, sort_by_accuracy(log.trials[:n])[0]) for n in (8, 16, 20)]
        assert log.seconds > 0
    best = told[-1][1]
    assert best is not None
    assert best.accuracy == max(trial.accuracy for trial in log.trials if trial.accuracy is not None)


class Few(Strategy):
    """Has no more than five to try."""

    name = "few"

    def ask(self, n: int) -> list[Architecture]:
        return self._draw_up_to(min(n, 5 - len(self.proposed)), self._sample)

    def tell(self, trials: Sequence[Trial]) -> None:
        assert len(trials) == 5


def test_a_strategy_that_finds_nothing_new_ends_the_search(tmp_path: Path) -> None:
    with SearchLog.open(tmp_path / "log.jsonl", {}, SPACE) as log:
        assert not run_search(Few(SpaceDomain(SPACE), np.random.default_rng(0)), Evaluator(), log, BUDGET, BATCH)
        assert len(log.trials) == 5


def test_best_first_without_those_that_failed() -> None:
    archs = [SPACE.sample(np.random.default_rng(i)) for i in range(4)]
    worst, first, failed, second = (
        TrialResult(arch, accuracy, 1, 1) for arch, accuracy in zip(archs, (0.0, 0.9, None, 0.9), strict=True)
    )
    assert sort_by_accuracy([worst, first, failed, second]) == [first, second, worst]


def test_what_is_out_of_range_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    searched(path, "random", Evaluator(), 10)
    for budget, allowed in ((0, "at least 1"), (-1, "at least 1"), (9, "at least 10, the number of logged trials")):
        with pytest.raises(InputError, match=f"^budget: got {budget}; allowed: {allowed}$"):
            searched(path, "random", Evaluator(), budget)
    strategy = get_strategy("random")(SpaceDomain(SPACE), np.random.default_rng(0))
    with SearchLog.open(tmp_path / "b.jsonl", {}, SPACE) as log, pytest.raises(InputError, match=r"^batch_size: got 0"):
        run_search(strategy, Evaluator(), log, 10, 0)


def test_a_strategy_that_asks_for_other_than_the_log_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    searched(path, "random", Evaluator(), 20)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[11:13] = lines[12:10:-1]  # trials 11 and 12 change places
    path.write_bytes(b"".join(lines))
    with pytest.raises(InputError, match=r"log\.jsonl line 12, architecture: got .* this version proposes"):
        searched(path, "random", Evaluator(), 30)
