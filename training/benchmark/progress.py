"""Progress of a build."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from training.benchmark.pool import EpochEnded, Event, TrainingEnded
from training.benchmark.specification import Training


@dataclass
class BuildProgress:
    """Progress of a build, in trainings and in epochs.

    Attributes:
        num_trainings: number of trainings.
        num_epochs: epochs of a training.
        num_ended: trainings that have ended, those of earlier calls included.
        num_failed: those of them that failed.
        last: the last training that ended in this call.
    """

    num_trainings: int
    num_epochs: int
    num_ended: int = 0
    num_failed: int = 0
    last: TrainingEnded | None = None
    _running: dict[Training, int] = field(default_factory=dict)
    _start: float = field(default_factory=monotonic)
    _measured: int = 0

    @classmethod
    def of(cls, trainings: Sequence[Training], missing: Sequence[Training], num_epochs: int) -> "BuildProgress":
        """Progress at the start of a call.

        Args:
            trainings: all trainings.
            missing: those without a result.
            num_epochs: epochs of a training.
        """
        return cls(len(trainings), num_epochs, len(trainings) - len(missing))

    @property
    def epochs_done(self) -> int:
        """Completed epochs of all trainings; all for one that has ended."""
        return self.num_ended * self.num_epochs + sum(self._running.values())

    @property
    def total_epochs(self) -> int:
        """Epochs of all trainings."""
        return self.num_trainings * self.num_epochs

    @property
    def remaining_seconds(self) -> float | None:
        """Estimated time of the remaining epochs, at the speed of this call; None before its first epoch."""
        if not self._measured:
            return None
        return (monotonic() - self._start) / self._measured * (self.total_epochs - self.epochs_done)

    def update(self, event: Event) -> None:
        """Take an event into account."""
        match event:
            case EpochEnded(training, epochs_done):
                self._measured += 1
                self._running[training] = epochs_done
            case TrainingEnded(training, result):
                self._running.pop(training, None)
                self.num_ended += 1
                self.num_failed += result.error is not None
                self.last = event


ProgressCallback = Callable[[BuildProgress, Event], None]
"""Called after each event."""
