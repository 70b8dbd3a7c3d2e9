"""Measurements of a training."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

TrainingError = Literal["diverged", "out_of_memory", "crash", "timeout", "error"]
"""Reason why a training has no result."""


@dataclass(frozen=True)
class EpochRecord:
    """Measurements of one epoch. Losses are means over samples, in nats.

    Attributes:
        epoch: the epoch, from 0.
        training_loss: loss of the training samples, in training mode, while the weights change.
        validation_loss: loss of the held-out samples, in evaluation mode, after the epoch.
        accuracy: metric of the held-out samples, a fraction.
        top5_accuracy: fraction of held-out samples with their class among the five largest outputs; None for fewer
            than 6 classes.
        test_accuracy: metric of the test samples; None without a third part of the data.
        learning_rate: rate of the last step.
        gradient_norm: mean over the steps of the L2 norm of all gradients.
        seconds: duration of training and evaluation.
        peak_memory: largest memory in bytes: allocated on the GPU, or resident on the CPU.
        energy: energy in joules, where the machine reports it (NVML, RAPL).
    """

    epoch: int
    training_loss: float
    validation_loss: float
    accuracy: float
    top5_accuracy: float | None
    test_accuracy: float | None
    learning_rate: float
    gradient_norm: float
    seconds: float
    peak_memory: int | None = None
    energy: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class TrainingResult:
    """Result of a training: its epochs, and the reason if it stopped before the last.

    Attributes:
        epochs: measurements of each epoch.
        accuracy: the reported metric: test accuracy at the first epoch of the best validation accuracy where the data
            have a test part, else the accuracy after the last epoch; None for a failed training.
        error: reason of the failure.
        detail: description of the failure, for people.
        scores: fields of `proxies.Score` by number of completed epochs, 0 for the initial weights, and by proxy.
    """

    epochs: tuple[EpochRecord, ...]
    accuracy: float | None
    error: TrainingError | None = None
    detail: str | None = None
    scores: dict[int, dict[str, dict[str, Any]]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Time of all epochs."""
        return sum(record.seconds for record in self.epochs)
