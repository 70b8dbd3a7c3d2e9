"""Interface of a proxy: its metadata, and a formula over the measurements of the shared passes."""

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Literal

import torch
from torch import Tensor

from common.errors import ArchrankError

Status = Literal["ok", "failed", "not_applicable"]
MAX_LOG = math.log(sys.float_info.max)


class NotApplicableError(ArchrankError):
    """The network or its task lacks something that a proxy is defined by, such as a ReLU or class labels."""


class Need(Enum):
    """A measurement that proxies need; the pass in `proxies/passes` that provides it documents its value."""

    WEIGHTS = auto()
    NUM_PARAMETERS = auto()
    FLOPS = auto()
    RELU_INPUTS = auto()
    GRADIENTS = auto()
    OUTPUT_GRADIENTS = auto()
    CURVATURE = auto()
    INPUT_GRADIENT = auto()
    INPUT_GRADIENT_WITHOUT_BATCH_NORM = auto()
    GRADIENT_SIGNS = auto()
    SYNFLOW = auto()
    PERTURBATION = auto()
    UNIT_OUTPUTS = auto()
    MINIBATCH_GRADIENTS = auto()
    UNIT_SPECTRA = auto()
    UNIT_JACOBIANS = auto()
    FISHER_VECTORS = auto()
    ACTIVATION_PATTERNS = auto()
    ACTIVATION_RANKS = auto()
    TOPOLOGY = auto()
    LAYER_TENSORS = auto()


Measured = Mapping[Any, Any]
"""Measurements by need; for a proxy that reads others, their features by name."""
EMPTY_REASONS: Mapping[Need, str] = {
    Need.WEIGHTS: "the network has no weight",
    Need.NUM_PARAMETERS: "the network has no trainable parameter",
    Need.FLOPS: "the network has no convolution, linear layer or matrix product",
    Need.GRADIENTS: "the loss depends on no weight",
    Need.OUTPUT_GRADIENTS: "the loss depends on no output of a convolution, linear layer or product with a parameter",
    Need.GRADIENT_SIGNS: "the loss depends on no weight",
    Need.SYNFLOW: "the output depends on no weight",
    Need.UNIT_OUTPUTS: "the network ran none of its `units`",
    Need.MINIBATCH_GRADIENTS: "the loss depends on no weight",
    Need.UNIT_SPECTRA: "the network ran none of its `units`",
    Need.UNIT_JACOBIANS: "the network ran none of its `units`",
    Need.LAYER_TENSORS: "the loss depends on no weight",
}
"""Reason for a failure, by need, where a measurement is empty or 0."""
NOT_APPLICABLE_REASONS: Mapping[Need, str] = {
    Need.RELU_INPUTS: "the network has no ReLU",
    Need.ACTIVATION_PATTERNS: "the network has no ReLU",
    Need.ACTIVATION_RANKS: "the network has no ReLU",
}
"""Reason for `not_applicable`, by need, where a measurement is empty."""


@dataclass(frozen=True)
class ProxyInfo:
    """Metadata of a proxy.

    Attributes:
        name: unique name.
        needs: measurements that the formula reads.
        batch_norm: True if its pass runs with batch norm, False if without; None if it runs no pass.
        direction: +1 if its paper ranks higher as better, −1 if lower; data may show otherwise.
        cost: approximate cost on its own, in forward passes.
        source: paper.
        version: raised whenever its numbers change, so that stored scores are never mixed.
        log_feature: True if values grow exponentially with depth, so that models take the logarithm.
        additive: True for a sum over the network's layers (or the logarithm of a product), which grows with depth.
        default: True if it is among the proxies that are computed where none are named.
    """

    name: str
    needs: frozenset[Need]
    batch_norm: bool | None
    direction: Literal[1, -1]
    cost: float
    source: str
    version: str = "1"
    log_feature: bool = False
    additive: bool = False
    default: bool = True


@dataclass(frozen=True)
class Score:
    """Result of one proxy on one network.

    Attributes:
        value: the score, finite; None without a score, or if the score overflows float64 and only `log` is left.
        log: natural logarithm of the score, for proxies with `log_feature`.
        status: `ok`, `failed`, or `not_applicable` if network or task lacks what the proxy is defined by.
        seconds: time of the formula plus an equal share of each pass that the proxy took part in, so that the scores
            of a call add up to its time.
        error: reason for a failure.
        note: remark on the computation, such as a batch taken in chunks; reason of `not_applicable`.
    """

    value: float | None
    log: float | None
    status: Status
    seconds: float
    error: str | None = None
    note: str | None = None

    @property
    def feature(self) -> float | None:
        """Input of a model: the logarithm where there is one, else the value."""
        return self.value if self.log is None else self.log


@dataclass(frozen=True)
class Formula:
    """Formula of a proxy that is an expression.

    Attributes:
        expression: the expression, plain JSON.
        latex: the formula in LaTeX, simplified where that is exact.
        words: the expression in words.
    """

    expression: Any
    latex: str
    words: str


class Proxy(ABC):
    """A zero-cost proxy: subclasses define `info` and the formula, and the runner does the rest.

    Attributes:
        info: metadata.
        reads: proxies whose features the formula reads, by name, in place of measurements: `info.needs` is empty.
    """

    info: ProxyInfo
    reads: "tuple[Proxy, ...]" = ()

    @property
    def needs(self) -> frozenset[Need]:
        """Measurements of the formula and of the proxies that it reads."""
        return self.info.needs.union(*(proxy.info.needs for proxy in self.reads))

    @property
    def formula(self) -> Formula | None:
        """The formula as data; None for a proxy that is written as code."""
        return None

    @abstractmethod
    def compute(self, measured: Measured) -> float:
        """Compute the score from measurements; its logarithm for a proxy with `log_feature`.

        `NotApplicableError` is the status `not_applicable`; any other exception, and a number that is not finite, is a
        failure.

        Args:
            measured: values by need, at least those of `info.needs`; features by name of the proxies in `reads`.
        """

    def score(self, measured: Measured) -> tuple[float | None, float | None]:
        """Compute the score and, for a proxy with `log_feature`, its logarithm.

        Args:
            measured: values by need, at least those of `info.needs`.

        Returns:
            The value, None where it overflows float64 beside its logarithm, and the logarithm or None.

        Raises:
            ArithmeticError: the score is not finite, or a pass had nothing to measure.
            NotApplicableError: the network has nothing of the kind that the proxy measures.
        """
        for need in self.info.needs:
            if need in NOT_APPLICABLE_REASONS and not measured[need]:
                raise NotApplicableError(NOT_APPLICABLE_REASONS[need])
            if need in EMPTY_REASONS and not measured[need]:
                raise ArithmeticError(EMPTY_REASONS[need])
        number = float(self.compute(measured))
        if not math.isfinite(number):
            raise ArithmeticError(f"the {'logarithm of the ' if self.info.log_feature else ''}score is {number}")
        if not self.info.log_feature:
            return number, None
        return math.exp(number) if number < MAX_LOG else None, number


def total(terms: Iterable[Tensor]) -> float:
    """Return the sum of 0-d tensors, read from their device together, as each reading waits for it."""
    return float(sum(torch.stack(list(terms)).tolist()))
