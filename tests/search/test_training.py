"""The loop that trains: slots, failures, resumption at any point, and the order of events."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from models import Architecture, InputError, get_space
from search import SpaceDomain, TrainingLog, TrainingResult, get_strategy, run_trainings, strategy_names
from search.objectives import FunctionObjective
from tests.waiting import PATIENCE_S

SPACE: Any = get_space("gcn-nas")
DOMAIN = SpaceDomain(SPACE, {"depth": 4})
HEADER = {"strategy": "any"}
BUDGET = 24


def value(arch: Architecture) -> float:
    if int(arch.fingerprint, 16) % 4 == 0:
        raise RuntimeError("diverged")
    return 0.5 + int(arch.fingerprint[:4], 16) / 2**18


def scorer(architectures: Sequence[Architecture]) -> Any:
    return np.array([[int(arch.fingerprint[:4], 16), int(arch.fingerprint[4:8], 16)] for arch in architectures], float)


def surrogate(architectures: Sequence[Architecture]) -> list[float]:
    return [int(arch.fingerprint[8:12], 16) / 2**16 for arch in architectures]


def suggest(number: int, exclude: Any, seed: int) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [arch for arch in (DOMAIN.sample(rng) for _ in range(1000)) if arch not in exclude][:number]


def make_strategy(name: str) -> Any:
    known: dict[str, dict[str, Any]] = {
        "study": {"suggest": suggest},
        "robot": {"scorer": scorer, "budget": BUDGET, "num_candidates": 60},
        "random": {},
        "local": {"num_initial": 3},
    }
    options = known.get(name, {"population_size": 6})
    if name == "warm-up":
        options |= {"num_candidates": 40}
    return get_strategy(name)(DOMAIN, np.random.default_rng(0), surrogate, **options)


def search(path: Path, name: str, objective: Any, budget: int = BUDGET, slots: int = 1, **options: Any) -> TrainingLog:
    with TrainingLog.open(path, HEADER, SPACE) as log:
        assert run_trainings(make_strategy(name), objective, log, budget, slots, cost=DOMAIN.cost, **options)
    return log


class KilledError(Exception):
    pass


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("name", strategy_names())
def test_a_stopped_search_goes_on_and_no_training_is_lost_or_repeated(name: str, slots: int, tmp_path: Path) -> None:
    ended: Counter[str] = Counter()

    def train(arch: Architecture) -> float:
        ended[arch.fingerprint] += 1
        return value(arch)

    def stop_after(limit: int) -> Callable[[int, Any], None]:
        def progress(number: int, best: Any) -> None:
            if number >= limit:
                raise KilledError

        return progress

    path = tmp_path / "search.jsonl"
    for limit in (1, 5, 6, 13):
        with pytest.raises(KilledError):
            search(path, name, FunctionObjective(train), slots=slots, progress=stop_after(limit))
        with TrainingLog.open(path, HEADER, SPACE) as log:
            assert limit <= len(log.results) <= limit + slots
    resumed = search(path, name, FunctionObjective(train), slots=slots)
    assert sorted(resumed.results) == list(range(1, BUDGET + 1))
    assert len(set(resumed.architectures)) == BUDGET
    for arch, result in resumed.pairs:
        assert (result.value is None) == (int(arch.fingerprint, 16) % 4 == 0) == (result.error is not None)
    if slots == 1:
        assert set(ended.values()) == {1}
        whole = search(tmp_path / "whole.jsonl", name, FunctionObjective(train))
        assert whole.architectures == resumed.architectures


def test_slots_are_filled_and_never_exceeded(tmp_path: Path) -> None:
    running, most, lock, all_started = 0, 0, threading.Lock(), threading.Barrier(3)

    def train(arch: Architecture) -> float:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        all_started.wait(PATIENCE_S)  # three trainings have to run at once for any of them to end
        with lock:
            running -= 1
        return 0.5

    search(tmp_path / "log", "random", FunctionObjective(train), slots=3)
    assert most == 3


def test_all_trainings_are_observed_before_the_strategy_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log"
    observed: list[tuple[Architecture, TrainingResult]] = []
    for budget in (5, 9):
        search(path, "random", FunctionObjective(value), budget=budget, observe=observed.extend)
    with TrainingLog.open(path, HEADER, SPACE) as log:
        assert observed == [*log.pairs[:5], *log.pairs[:5], *log.pairs[5:]]


def test_smaller_is_better_for_a_minimized_metric(tmp_path: Path) -> None:
    best: list[float | None] = []
    log = search(
        tmp_path / "log", "evolution", FunctionObjective(value), sign=-1, progress=lambda _, value: best.append(value)
    )
    values = [result.value for result in log.results.values() if result.value is not None]
    assert best[-1] == min(values)


def test_a_result_that_the_metric_cannot_have_is_a_failure(tmp_path: Path) -> None:
    def check(arch: Architecture, result: TrainingResult) -> None:
        if result.value == 93:
            raise InputError("value", result.value, "0 to 1")

    log = search(tmp_path / "log", "random", lambda *_: TrainingResult(93.0), budget=2, check=check)
    assert [result.value for result in log.results.values()] == [None, None]
    assert log.results[1].error == "value: got 93.0; allowed: 0 to 1"


def test_a_bug_of_an_objective_ends_the_search(tmp_path: Path) -> None:
    def broken(arch: Architecture, number: int, stop: Event) -> TrainingResult:
        raise AssertionError("bug")

    with pytest.raises(AssertionError, match="bug"):
        search(tmp_path / "log", "random", broken, slots=2)


def test_an_exhausted_search_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.base.MAX_REJECTIONS", 0)
    with TrainingLog.open(tmp_path / "log", HEADER, SPACE) as log:
        assert not run_trainings(make_strategy("random"), FunctionObjective(value), log, 5, 2)


@pytest.mark.parametrize(
    ("budget", "slots", "message"), [(0, 1, "budget: got 0"), (5, 0, "slots: got 0"), (2, 1, "budget: got 2")]
)
def test_numbers_out_of_range_are_refused(budget: int, slots: int, message: str, tmp_path: Path) -> None:
    search(tmp_path / "log", "random", FunctionObjective(value), budget=3)
    with pytest.raises(InputError, match=message):
        search(tmp_path / "log", "random", FunctionObjective(value), budget, slots)


def test_logs_are_read_wherever_they_are_cut_and_refused_where_they_are_wrong(tmp_path: Path) -> None:
    path = tmp_path / "log"
    whole = search(path, "random", FunctionObjective(value), budget=3)
    content = path.read_bytes()
    for cut in range(0, len(content), 7):
        path.write_bytes(content[:cut])
        with TrainingLog.open(path, HEADER, SPACE) as log:
            assert log.architectures == whole.architectures[: len(log.architectures)]
            assert log.results.items() <= whole.results.items()
    for line in (
        b'{"number": 9, "value": 1, "error": null, "seconds": 1, "epochs": null, "curve": [], "elapsed": 1}',
        b'{"number": 1}',
        b'{"asked": 1, "proposed": [{}]}',
        b"[]",
    ):
        path.write_bytes(content + line + b"\n")
        with pytest.raises(InputError, match="line 8"), TrainingLog.open(path, HEADER, SPACE):
            pass
