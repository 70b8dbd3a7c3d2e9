"""Builds with workers that do not train: crashes, failures, budgets, locks, longer samples, and the table."""

import json
import signal
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ensemble import load_benchmark
from models import InputError
from models.nas_bench_graph import NasBenchGraph
from training import EpochRecord, Recipe, TrainingResult
from training.benchmark import BuildSpecification, DataSource, build_benchmark
from training.benchmark.building import Budget
from training.benchmark.folder import BuildFolder
from training.benchmark.pool import (
    EpochEnded,
    TrainingEnded,
    Worker,
    WorkerCrashError,
    WorkerStartError,
    WorkerTimeoutError,
)
from training.benchmark.results import result_to_json
from training.benchmark.sampling import GivenSample, RandomSample, SuggestedSample
from training.benchmark.task_trainer import EpochCallback, TaskTrainer

RECIPE = Recipe(epochs=2, batch_size=None)
Behavior = Callable[[Mapping[str, Any]], TrainingResult | None]


def accuracy(task: Mapping[str, Any]) -> float:
    """An arbitrary accuracy that the task determines."""
    return 0.5 + zlib.crc32(json.dumps([task["architecture"], task["seed"]]).encode()) / 2**34


def trained(task: Mapping[str, Any]) -> TrainingResult:
    records = [
        EpochRecord(epoch, 2.0 - epoch, 2.5, accuracy(task), None, None, 0.1, 1.0, seconds=3.0) for epoch in range(2)
    ]
    return TrainingResult(tuple(records), accuracy(task), scores={0: {"zen": {"value": 1.5, "status": "ok"}}})


class FakeWorker:
    def __init__(self, behavior: Behavior) -> None:
        self.behavior, self.tasks = behavior, list[Mapping[str, Any]]()

    def train(self, task: Mapping[str, Any], on_epoch: EpochCallback) -> dict[str, Any] | None:
        self.tasks.append(task)
        on_epoch(1)
        result = self.behavior(task)
        return None if result is None else result_to_json(result) | {"environment": {}}

    def start(self) -> bool:
        return True

    def stop(self) -> None: ...

    def kill(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def build(photo: NasBenchGraph, graph_file: Path, tmp_path: Path) -> Callable[..., str]:
    def run(*behaviors: Behavior, number: int = 6, recipe: Recipe = RECIPE, **options: Any) -> str:
        workers: list[Worker] = [FakeWorker(behavior) for behavior in behaviors or (trained,)]
        specification = BuildSpecification(photo, recipe, repeat=options.pop("repeat", 0.5))
        sample = options.pop("sample", None) or RandomSample(photo)
        source = DataSource(graph_file, "random")
        return build_benchmark(
            tmp_path / "out", specification, source, sample, number, lambda setup: workers, **options
        )

    return run


def rows(tmp_path: Path) -> list[Any]:
    return [json.loads(line) for line in (tmp_path / "out" / "table.jsonl").read_text().splitlines()]


def report(tmp_path: Path) -> Any:
    return json.loads((tmp_path / "out" / "report.json").read_text())


def test_table_has_a_row_for_each_architecture(build: Callable[..., str], tmp_path: Path, photo: NasBenchGraph) -> None:
    assert build(trained, trained) == "done"
    table = rows(tmp_path)
    assert sorted([training["seed"] for training in row["trainings"]] for row in table) == [[0]] * 2 + [[0, 1]] * 4
    row = next(row for row in table if len(row["trainings"]) == 2)
    assert row["accuracy"] == pytest.approx(sum(training["accuracy"] for training in row["trainings"]) / 2)
    assert (row["seconds"], row["epochs"]) == (6.0, 2)
    assert row["trainings"][0]["curve"]["training_loss"] == [2.0, 1.0]
    assert row["trainings"][0]["scores"] == {"0": {"zen": 1.5}}
    benchmark = load_benchmark(tmp_path / "out" / "table.jsonl", photo)
    assert len(benchmark) == 6
    assert benchmark.entries[0].curve is not None
    assert benchmark.entries[0].curve.validation_loss == (2.5, 2.5)
    assert report(tmp_path)["noise"]["num_repeated"] == 4


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_signal_before_the_first_worker_leaves_no_folder(
    build: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    error: type[BaseException],
) -> None:
    defaults: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    previous = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    monkeypatch.setattr(RandomSample, "extend", lambda *_: signal.raise_signal(number))
    try:
        with pytest.raises(error):
            build()
        assert {number: signal.getsignal(number) for number in defaults} == defaults
    finally:
        for changed, handler in previous.items():
            signal.signal(changed, handler)
    assert not (tmp_path / "out").exists()


def test_longer_sample_keeps_what_was_trained(build: Callable[..., str], tmp_path: Path) -> None:
    build(number=3)
    before = rows(tmp_path)
    with pytest.raises(InputError, match="at least 3"):
        build(number=2)
    worker = FakeWorker(trained)
    assert build(worker.behavior, number=5) == "done"
    assert rows(tmp_path)[:3] == before
    assert len(rows(tmp_path)) == 5


def test_a_crash_is_retried_once(build: Callable[..., str], tmp_path: Path) -> None:
    crashes = {0: 1, 1: 2}  # by seed

    def behave(task: Mapping[str, Any]) -> TrainingResult:
        if crashes[task["seed"]]:
            crashes[task["seed"]] -= 1
            raise WorkerCrashError("the process was killed by SIGKILL")
        return trained(task)

    assert build(behave, number=1) == "done"
    assert [training["seed"] for training in rows(tmp_path)[0]["trainings"]] == [0]
    assert report(tmp_path)["trainings"] == {"planned": 2, "succeeded": 1, "failed": {"crash": 1}}
    assert build(behave, number=1, retry_failed=True) == "done"
    assert report(tmp_path)["trainings"]["failed"] == {}


@pytest.mark.parametrize("kind", ["diverged", "out_of_memory", "timeout"])
def test_failures_are_no_rows(build: Callable[..., str], tmp_path: Path, kind: Any) -> None:
    def fail(task: Mapping[str, Any]) -> TrainingResult:
        if kind == "timeout":
            raise WorkerTimeoutError("it took longer than 1 s")
        records = (EpochRecord(0, float("nan"), float("inf"), 0.5, None, None, 0.1, 1.0, seconds=3.0),)
        return TrainingResult(records, None, kind, "the loss is nan")

    assert build(fail, number=2, repeat=0.0) == "done"
    assert rows(tmp_path) == []
    assert report(tmp_path)["trainings"]["failed"] == {kind: 2}
    lines = [json.loads(line) for line in (tmp_path / "out" / "trainings.jsonl").read_text().splitlines()]
    assert [line["error"] for line in lines[2:]] == [kind] * 2
    assert "NaN" not in (tmp_path / "out" / "trainings.jsonl").read_text()
    never = FakeWorker(trained)
    assert build(never.behavior, number=2, repeat=0.0) == "done"  # a failure is a result
    assert rows(tmp_path) == []


def test_budget_of_trainings(build: Callable[..., str], tmp_path: Path) -> None:
    assert build(budget=Budget(trainings=4)) == "budget"
    assert sum(len(row["trainings"]) for row in rows(tmp_path)) == 4
    assert build(budget=Budget(trainings=6)) == "done"
    assert len(rows(tmp_path)) == 6


def test_stopped_trainings_have_no_result(build: Callable[..., str], tmp_path: Path) -> None:
    assert build(lambda task: None) == "budget"
    assert rows(tmp_path) == []


def test_worker_that_cannot_start_later_ends_the_build(build: Callable[..., str]) -> None:
    def fail(task: Mapping[str, Any]) -> TrainingResult:
        raise WorkerStartError("no such device")

    with pytest.raises(WorkerStartError, match="no such device"):
        build(fail, trained)


def test_nothing_is_written_before_a_worker_has_started(
    build: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(worker: FakeWorker) -> bool:
        raise WorkerStartError("no such device")

    monkeypatch.setattr(FakeWorker, "start", refuse)
    with pytest.raises(WorkerStartError, match="no such device"):
        build()
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(FakeWorker, "start", lambda worker: False)  # stopped
    assert build() == "budget"
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    assert build(number=2, recipe=Recipe(epochs=2, batch_size=None, learning_rate=0.2)) == "done"


def test_a_refused_start_of_a_continued_build_changes_nothing(
    build: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(worker: FakeWorker) -> bool:
        raise WorkerStartError("no such device")

    build(number=2)
    before = (tmp_path / "out" / "trainings.jsonl").read_bytes()
    monkeypatch.setattr(FakeWorker, "start", refuse)
    with pytest.raises(WorkerStartError, match="no such device"):
        build(number=3)
    assert (tmp_path / "out" / "trainings.jsonl").read_bytes() == before


def test_a_batch_size_that_the_data_do_not_allow_ends_the_start(photo: NasBenchGraph, graph_file: Path) -> None:
    source = DataSource(graph_file, "random")
    specification = BuildSpecification(photo, Recipe(epochs=2, batch_size=4))
    data = {"data": source.to_json(), "data_description": source.load(photo).description}
    setup = {**specification.to_json(), **data, "device": "cpu", "num_threads": 1}
    with pytest.raises(InputError, match=r"recipe\.batch_size: got 4; allowed: null: a graph is one batch"):
        TaskTrainer.create(setup)


def test_another_recipe_needs_another_folder(build: Callable[..., str]) -> None:
    build(number=1)
    with pytest.raises(InputError, match=r"recipe.*another build needs another folder"):
        build(number=1, recipe=Recipe(epochs=2, batch_size=None, learning_rate=0.2))


def test_folder_is_open_once(build: Callable[..., str], tmp_path: Path, photo: NasBenchGraph) -> None:
    build(number=1)
    with BuildFolder.open(tmp_path / "out", photo, {}), pytest.raises(InputError, match="in use"):
        build()


def test_a_folder_is_not_begun_twice(photo: NasBenchGraph, tmp_path: Path) -> None:
    architectures = RandomSample(photo).extend([], 2)
    with (
        BuildFolder.open(tmp_path / "out", photo, {}) as first,
        BuildFolder.open(tmp_path / "out", photo, {}) as second,
    ):
        first.extend(architectures, [])
        with pytest.raises(InputError, match="in use"):
            second.extend(architectures, [])
    with BuildFolder.open(tmp_path / "late", photo, {}) as late:
        with BuildFolder.open(tmp_path / "late", photo, {}) as first:
            first.extend(architectures, [])
        with pytest.raises(InputError, match="in use"):
            late.extend(architectures, [])


def test_progress_counts_epochs_and_trainings(build: Callable[..., str]) -> None:
    seen = []
    build(number=2, progress=lambda progress, event: seen.append((type(event), progress.epochs_done)))
    assert seen == [(kind, done) for done, kind in enumerate([EpochEnded, TrainingEnded] * 4, start=1)]


def test_partial_line_of_a_killed_build_is_dropped(build: Callable[..., str], tmp_path: Path) -> None:
    build(number=2)
    before = rows(tmp_path)
    with (tmp_path / "out" / "trainings.jsonl").open("ab") as file:
        file.write(b'{"fingerprint": "half a ro')
    build(number=2)
    assert rows(tmp_path) == before


def test_random_sample_divides_strata_and_has_no_repeats(photo: Any) -> None:
    sample = RandomSample(photo, seed=3, strata=(2, 4))
    architectures = sample.extend([], 20)
    assert len(set(architectures)) == 20
    assert photo.strata(architectures).tolist() == [2, 4] * 10
    assert sample.extend(architectures[:7], 12) == architectures[7:12]


def test_limits_of_random_samples(photo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.benchmark.sampling.MAX_DRAWS", 50)
    monkeypatch.setattr("search.domains.MAX_SAMPLES", 50)
    limit = 150_000
    architectures = RandomSample(photo, max_params=limit).extend([], 10)
    assert max(photo.cost(architecture).params for architecture in architectures) <= limit
    with pytest.raises(InputError, match="max_params"):
        RandomSample(photo, max_params=1)
    with pytest.raises(InputError, match="gave no further one of stratum 99"):
        RandomSample(photo, strata=(99,)).extend([], 1)


def test_given_and_suggested_samples(photo: NasBenchGraph) -> None:
    known = RandomSample(photo).extend([], 8)
    given = GivenSample(known[:5], "list.jsonl")
    assert given.extend(known[:2], 5) == known[2:5]
    with pytest.raises(InputError, match="at most 5"):
        given.extend([], 6)
    with pytest.raises(InputError, match="in their order"):
        given.extend(known[5:6], 5)
    with pytest.raises(InputError, match="each architecture once"):
        GivenSample([known[0], known[0]], "list.jsonl")
    suggested = SuggestedSample(lambda n: known[:n], "study")
    assert suggested.extend(known[:2], 4) == known[2:4]
    with pytest.raises(InputError, match="at most 8"):
        suggested.extend(known, 9)
