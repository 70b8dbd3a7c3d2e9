"""What a proxy is: a name with its facts, and a formula over what the shared passes measured."""

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar, Literal

Status = Literal["ok", "failed"]
LARGEST_LOG = math.log(sys.float_info.max)


class Need(Enum):
    """One thing that a pass can measure. `proxies/passes` says what each value holds."""

    WEIGHTS = auto()
    TRAINABLE = auto()
    FLOPS = auto()
    RELU_INPUTS = auto()
    GRADIENTS = auto()
    OUTPUT_GRADIENTS = auto()
    CURVATURE = auto()
    INPUT_GRADIENT = auto()
    FREE_INPUT_GRADIENT = auto()
    GRADIENT_SIGNS = auto()
    FLOW = auto()
    PERTURBATION = auto()
    UNIT_OUTPUTS = auto()
    MINIBATCH_GRADIENTS = auto()
    TOPOLOGY = auto()


Measured = Mapping[Need, Any]
NOTHING_FOUND: Mapping[Need, str] = {
    Need.WEIGHTS: "the network has no weight",
    Need.TRAINABLE: "the network has no trainable parameter",
    Need.FLOPS: "the network has no convolution, linear layer or matrix product",
    Need.RELU_INPUTS: "the network has no ReLU",
    Need.GRADIENTS: "the loss depends on no weight",
    Need.OUTPUT_GRADIENTS: "the loss depends on no output of a convolution or linear layer",
    Need.GRADIENT_SIGNS: "the loss depends on no weight",
    Need.FLOW: "the output depends on no weight",
    Need.UNIT_OUTPUTS: "the network ran none of its `units`",
    Need.MINIBATCH_GRADIENTS: "the loss depends on no weight",
}
"""Why a measurement that is empty, or 0, makes no score."""


@dataclass(frozen=True)
class ProxyInfo:
    """Facts about a proxy.

    Attributes:
        name: how it is asked for.
        version: raised whenever its numbers change, so that stored scores are never mixed.
        needs: what must be measured for it.
        batch_norm: whether batch norm is on in its pass; None where no pass is run.
        direction: +1 if its paper ranks higher as better, −1 if lower; a benchmark may say otherwise.
        cost: forward passes it costs on its own, about.
        source: paper.
        log_feature: whether its values explode with depth, so that models take the logarithm.
        additive: whether it is a sum over the network's layers, which grows with depth, or the logarithm of a product.
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


@dataclass(frozen=True)
class Score:
    """One proxy's result on one network.

    Attributes:
        value: the score, finite; None if it failed, or if it overflows float64 and only `log` is left.
        log: its natural logarithm, for the proxies whose values explode with depth.
        status: `ok` or `failed`.
        seconds: its own time plus an equal share of every pass that it took part in, so that a call's scores add up.
        error: why it failed.
        note: what a reader should know, e.g. that the batch was chunked.
    """

    value: float | None
    log: float | None
    status: Status
    seconds: float
    error: str | None = None
    note: str | None = None

    @property
    def feature(self) -> float | None:
        """What a model should take: the logarithm where there is one, else the value."""
        return self.value if self.log is None else self.log


class Proxy(ABC):
    """One zero-cost proxy. Subclasses state `info` and the formula; the runner does the rest."""

    info: ClassVar[ProxyInfo]

    @abstractmethod
    def compute(self, measured: Measured) -> float:
        """The score from what its needs measured, or its logarithm where `log_feature` says so.

        Anything raised, and a number that is not finite, is a failure.
        """

    def score(self, measured: Measured) -> tuple[float | None, float | None]:
        """Value and, for a proxy with `log_feature`, logarithm, which `compute` then gives.

        A value that overflows float64 is None beside its logarithm. Raises `ArithmeticError` for what is no number, and
        where a pass found nothing to measure.
        """
        for need in self.info.needs:
            if need in NOTHING_FOUND and not measured[need]:
                raise ArithmeticError(NOTHING_FOUND[need])
        number = float(self.compute(measured))
        if not math.isfinite(number):
            raise ArithmeticError(f"the {'logarithm of the ' if self.info.log_feature else ''}score is {number}")
        if not self.info.log_feature:
            return number, None
        return math.exp(number) if number < LARGEST_LOG else None, number
