"""Building of a benchmark: train what is missing, until all is there, the budget is used up, or a signal comes."""

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer, current_thread, main_thread
from types import FrameType
from typing import Any, Literal

from common.errors import InputError
from training.benchmark.folder import BuildFolder
from training.benchmark.pool import Event, TrainingEnded, TrainingPool, Worker
from training.benchmark.progress import BuildProgress, ProgressCallback
from training.benchmark.repeats import choose_repeated
from training.benchmark.report import write_report
from training.benchmark.sampling import Sample, strata_of
from training.benchmark.specification import BuildSpecification, DataSource

BuildState = Literal["done", "budget", "interrupted"]
MakeWorkers = Callable[[Mapping[str, Any]], Sequence[Worker]]
"""Makes the workers of a build from the setup of `TaskTrainer.create`."""


@dataclass(frozen=True)
class Budget:
    """Limits of one call.

    Attributes:
        seconds: duration after which all trainings stop at the end of their epochs; None for no limit.
        trainings: number of trainings; None for no limit.
    """

    seconds: float | None = None
    trainings: int | None = None


def build_benchmark(
    path: Path,
    specification: BuildSpecification,
    source: DataSource,
    sample: Sample,
    num_architectures: int,
    make_workers: MakeWorkers,
    *,
    device: str = "cpu",
    num_threads: int = 1,
    budget: Budget | None = None,
    retry_failed: bool = False,
    progress: ProgressCallback = lambda progress, event: None,
) -> BuildState:
    """Sample architectures, train each, and write the table, in a folder.

    The same call continues a build that ended early, from the last epoch of each training. SIGINT and SIGTERM stop it
    after the current epochs; a second one stops it at once, which loses these epochs only. Nothing is written before
    the sample is drawn and a worker has started; a signal until then ends the process.

    Args:
        path: the folder.
        specification: everything that the accuracies depend on, with the data and the sample.
        source: the data.
        sample: source of the architectures.
        num_architectures: number of architectures; may be raised when a build is continued.
        make_workers: makes the workers.
        device: torch device of the trainings.
        num_threads: threads of each worker.
        budget: limits of this call.
        retry_failed: train again what failed in earlier calls.
        progress: called after every epoch and every training.

    Returns:
        `done`; `budget` where it was used up before; `interrupted` after a signal.

    Raises:
        InputError: the folder is of another build or in use, or the sample has fewer architectures.
        WorkerStartError: no worker can start.
    """
    budget = budget or Budget()
    description = source.load(specification.space).description
    identity = {**specification.to_json(), "sample": sample.description, "data": description}
    with _exit_on_sigterm(), BuildFolder.open(path, specification.space, identity) as folder:
        if num_architectures < len(folder.architectures):
            allowed = f"at least {len(folder.architectures)}, the number of architectures of the build"
            raise InputError("architectures", num_architectures, allowed)
        new = sample.extend(folder.architectures, num_architectures)
        architectures = [*folder.architectures, *new]
        repeated = choose_repeated(
            architectures,
            strata_of(specification.space, architectures),
            specification.repeat,
            specification.seed,
            len(folder.architectures),
            folder.repeated,
        )
        trainings = specification.trainings(architectures, {*folder.repeated, *repeated})
        missing = [
            training
            for training in trainings
            if (result := folder.results.get(training)) is None or (retry_failed and result.error is not None)
        ]
        setup = {
            **specification.to_json(),
            "data": source.to_json(),
            "data_description": description,
            "device": device,
            "num_threads": num_threads,
        }
        allowed_now = missing if budget.trainings is None else missing[: budget.trainings]
        state: BuildState = "done" if len(allowed_now) == len(missing) else "budget"
        if allowed_now:
            pool = TrainingPool(specification.space, make_workers(setup), folder.checkpoints)
            tracker, ended = BuildProgress.of(trainings, missing, specification.recipe.epochs), 0
            with closing(pool), _time_limit(pool, budget.seconds), _signals(pool) as signals:
                if pool.start():
                    folder.extend(new, repeated)
                    with closing(pool.run(allowed_now)) as events:
                        ended = _handle(events, folder, tracker, progress)
            if ended < len(allowed_now):
                state = "interrupted" if signals else "budget"
        if folder.is_created:
            folder.write_table()
            write_report(folder.path, specification, folder.architectures, trainings, folder.results)
    return state


def _handle(events: Iterator[Event], folder: BuildFolder, tracker: BuildProgress, progress: ProgressCallback) -> int:
    """Handle all events; returns the number of trainings that ended."""
    ended = 0
    for event in events:
        if isinstance(event, TrainingEnded):
            folder.add_result(event)
            ended += 1
        tracker.update(event)
        progress(tracker, event)
    return ended


@contextmanager
def _time_limit(pool: TrainingPool, seconds: float | None) -> Iterator[None]:
    """Stop the pool after some time."""
    if seconds is None:
        yield
        return
    timer = Timer(seconds, pool.stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Let SIGTERM raise `SystemExit`, so that a new folder without content is removed."""
    if current_thread() is not main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _signals(pool: TrainingPool) -> Iterator[list[int]]:
    """Let SIGINT and SIGTERM stop the pool: the first after the epochs, the second at once. Yields those received."""
    received: list[int] = []
    if current_thread() is not main_thread():
        yield received
        return

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            pool.stop()
        else:
            pool.kill()

    previous = {
        number: signal.signal(number, handle)
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
