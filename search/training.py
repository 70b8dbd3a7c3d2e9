"""Search loop that trains: ask, train in several slots at once, log, tell."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Event, Thread, current_thread, main_thread
from time import monotonic

from models import Architecture, Cost, InputError
from search.base import Strategy
from search.objectives import STOP_TIMEOUT_S, CommandObjective, Objective, TrainingResult, printable
from search.training_log import Proposal, TrainingLog
from search.trials import Trial

Check = Callable[[Architecture, TrainingResult], None]
Observe = Callable[[Sequence[tuple[Architecture, TrainingResult]]], None]
"""Callback that takes trainings that have ended; it may get the same one again after a restart."""
ProgressCallback = Callable[[int, float | None], None]
"""Callback that takes the number of trainings that have ended and the best value so far, None if all failed."""


@dataclass
class _Batch:
    """Architectures of one `ask`; the strategy is told them together."""

    first: int
    architectures: list[Architecture]
    results: dict[int, TrainingResult] = field(default_factory=dict)


def run_trainings(
    strategy: Strategy,
    objective: Objective,
    log: TrainingLog,
    budget: int,
    slots: int = 1,
    *,
    sign: float = 1.0,
    check: Check = lambda architecture, result: None,
    cost: Callable[[Architecture], Cost | None] = lambda arch: None,
    observe: Observe = lambda trainings: None,
    progress: ProgressCallback = lambda number, best: None,
) -> bool:
    """Train what a strategy proposes until `budget` trainings have ended.

    A search that was interrupted goes on from its log: the strategy repeats the logged proposals and is told the logged
    results in their order, and trainings without a result are started again, or taken up if they still run. No training
    that has ended is lost or run twice.

    A strategy proposes one architecture for each free slot, from the results so far; the order in which trainings end
    therefore decides the next proposals. With one slot, the same seed and the same results give the same search. A
    strategy that is not `asynchronous` proposes for all slots at once and waits for all results.

    Args:
        strategy: new strategy, constructed with the same arguments as when the log was started.
        objective: trains one architecture; called in a thread of each slot.
        log: log to append proposals and results to.
        budget: total number of trainings, failed ones included.
        slots: number of trainings at a time.
        sign: 1 if larger values are better, -1 if smaller ones are; strategies are told `sign * value`.
        check: raises `InputError` for a result that the metric cannot have; the training then failed.
        cost: costs of an architecture, for strategies that weigh them.
        observe: callback for trainings that have ended, before the strategy is told; first for all logged ones.
        progress: callback after every training.

    Returns:
        True if the budget was used up, False if the strategy found nothing new before.

    Raises:
        InputError: budget or slots are out of range, or the strategy proposes other architectures than the log holds.
    """
    return _Loop(strategy, objective, log, budget, slots, sign, check, cost, observe, progress).run()


class _Loop:
    def __init__(
        self,
        strategy: Strategy,
        objective: Objective,
        log: TrainingLog,
        budget: int,
        slots: int,
        sign: float,
        check: Check,
        cost: Callable[[Architecture], Cost | None],
        observe: Observe,
        progress: ProgressCallback,
    ) -> None:
        check_trainings(budget, slots)
        if budget < len(log.architectures):
            raise InputError("budget", budget, f"at least {len(log.architectures)}, the number of logged proposals")
        self.strategy, self.objective, self.log, self.budget, self.slots = strategy, objective, log, budget, slots
        self.sign, self.check, self.cost, self.observe, self.progress = sign, check, cost, observe, progress
        self._start_time = monotonic() - log.elapsed
        self._batches: dict[int, _Batch] = {}
        """Batch of each training that the strategy was not told of."""
        self._ended: SimpleQueue[tuple[int, TrainingResult | BaseException | None]] = SimpleQueue()
        self._threads: dict[int, Thread] = {}
        self._stop = Event()

    def run(self) -> bool:
        self.observe(self.log.pairs)
        self._replay()
        self._report()
        with self._interrupts_between_events():
            return self._run()

    def _run(self) -> bool:
        try:
            while len(self.log.results) < self.budget:
                waiting = [number for number in self._unfinished() if number not in self._threads]
                for number in waiting[: self.slots - len(self._threads)]:
                    self._start(number)
                if len(self._threads) < self.slots and self._may_ask() and self._ask():
                    continue
                if not self._threads:
                    return False
                self._finish(*self._ended.get())
        except BaseException:
            self._shut_down()
            raise
        return True

    @contextmanager
    def _interrupts_between_events(self) -> Iterator[None]:
        """Let Ctrl-C wait for the main loop, so that no result is half handled."""
        previous = signal.getsignal(signal.SIGINT) if current_thread() is main_thread() else signal.SIG_IGN
        if previous in (signal.SIG_IGN, None):
            yield
            return
        signal.signal(signal.SIGINT, lambda *_: self._ended.put((0, KeyboardInterrupt())))
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)

    def _replay(self) -> None:
        """Bring the strategy to the state at the end of the log."""
        number = 0
        for event in self.log.events:
            if isinstance(event, Proposal):
                self.strategy.repeat(event.asked, event.architectures)
                self._add_batch(number + 1, event.architectures)
                number += len(event.architectures)
            else:
                self._tell(event)

    def _unfinished(self) -> list[int]:
        return [number for number in range(1, len(self.log.architectures) + 1) if number not in self.log.results]

    def _may_ask(self) -> bool:
        remaining = self.budget > len(self.log.architectures)
        return remaining and (self.strategy.asynchronous or not self._threads)

    def _ask(self) -> bool:
        """Ask the strategy and log its proposal; false if it proposes nothing."""
        free = min(self.slots, self.budget - len(self.log.architectures))
        number = 1 if self.strategy.asynchronous else free
        proposed = self.strategy.ask(number)
        self.log.add_proposal(number, proposed)
        self._add_batch(len(self.log.architectures) - len(proposed) + 1, proposed)
        return bool(proposed)

    def _add_batch(self, first: int, architectures: list[Architecture]) -> None:
        batch = _Batch(first, list(architectures))
        self._batches.update((first + i, batch) for i in range(len(architectures)))

    def _start(self, number: int) -> None:
        architecture = self.log.architectures[number - 1]

        def train() -> None:
            try:
                self._ended.put((number, self.objective(architecture, number, self._stop)))
            except BaseException as error:
                self._ended.put((number, error))

        self._threads[number] = Thread(target=train, name=f"training {number}", daemon=True)
        self._threads[number].start()

    def _finish(self, number: int, result: TrainingResult | BaseException | None) -> None:
        if isinstance(result, BaseException):
            raise result
        assert result is not None, "a training ends without a result only after a stop"
        self._threads.pop(number).join()
        self._log(number, result)
        self._tell(number)
        self._report()

    def _log(self, number: int, result: TrainingResult) -> None:
        result = self._checked(self.log.architectures[number - 1], result)
        self.log.add_result(number, result, monotonic() - self._start_time)
        self.observe([(self.log.architectures[number - 1], result)])

    def _checked(self, architecture: Architecture, result: TrainingResult) -> TrainingResult:
        """Turn a result that the metric cannot have into a failure."""
        try:
            self.check(architecture, result)
        except InputError as error:
            return TrainingResult(None, printable(str(error)), result.seconds)
        return result

    def _tell(self, number: int) -> None:
        """Tell the strategy the batch of a training if all of its results are known."""
        batch = self._batches.pop(number)
        batch.results[number] = self.log.results[number]
        if len(batch.results) == len(batch.architectures):
            self.strategy.tell(
                [
                    self._trial(architecture, batch.results[batch.first + i])
                    for i, architecture in enumerate(batch.architectures)
                ]
            )

    def _trial(self, architecture: Architecture, result: TrainingResult) -> Trial:
        return training_trial(architecture, result, self.sign, self.cost(architecture))

    def _report(self) -> None:
        values = [self.sign * result.value for result in self.log.results.values() if result.value is not None]
        self.progress(len(self.log.results), self.sign * max(values) if values else None)

    def _shut_down(self) -> None:
        """Stop all trainings, and log those that ended meanwhile."""
        self._stop.set()
        if isinstance(self.objective, CommandObjective):  # a function cannot be stopped
            for thread in self._threads.values():
                thread.join(2 * STOP_TIMEOUT_S)
        while not self._ended.empty():
            number, result = self._ended.get()
            if isinstance(result, TrainingResult):
                self._log(number, result)


def training_trial(architecture: Architecture, result: TrainingResult, sign: float, cost: Cost | None) -> Trial:
    """Trial of a training, as strategies are told it: larger is better."""
    accuracy = None if result.value is None else sign * result.value
    flops, params = (None, None) if cost is None else (cost.flops, cost.params)
    return Trial(architecture, accuracy, flops, params)


def check_trainings(budget: int, slots: int) -> None:
    """Check that budget and slots are positive.

    Raises:
        InputError: one of them is not.
    """
    for name, value in (("budget", budget), ("slots", slots)):
        if value < 1:
            raise InputError(name, value, "at least 1")
