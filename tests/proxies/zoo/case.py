"""Small networks of many kinds, with the facts that proxies are tested against.

All are in float64 and take (4, 3, 5, 5), unless stated otherwise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

X = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.tensor([0, 0, 1, 2])
CLASSES = 4
Forward = Callable[[Any, Tensor], Any]

NO_CALL = "no call of a convolution or linear layer uses"
ROWS = "rows inside the network are not samples in their order"
NO_RELU = "the network has no ReLU"
HIDDEN = "a batch norm that is no call of torch.nn.functional.batch_norm cannot be taken off"
NO_GRADIENT_TO_X = "not have been used in the graph"
WITHOUT_BATCH_NORM = ("epe_nas", "grad_sign", "synflow")
BY_WEIGHTS = ("fisher", "grad_norm", "grad_sign", "grasp", "l2_norm", "plain", "snip", "synflow", "zico")


@dataclass(frozen=True)
class ZooCase:
    """Network with its facts.

    Attributes:
        make: builds the network, right after seeding.
        x: the batch.
        y: the labels.
        no_weights: names of trainable tensors of two or more dimensions that no product uses.
        baked: turns recomputed weights into plain parameters, by PyTorch's functions.
        fails: part of the error, by the name of each proxy that must fail.
        more_flops: FLOPs of operations that the oracle cannot count.
    """

    make: Callable[[], nn.Module]
    x: Tensor = X
    y: Tensor = Y
    no_weights: tuple[str, ...] = ()
    baked: Callable[[Any], Any] = lambda network: None
    fails: Mapping[str, str] = field(default_factory=dict)
    more_flops: int = 0

    def network(self) -> nn.Module:
        """Build the network, the same each time."""
        torch.manual_seed(0)
        return self.make().double()


class Net(nn.Module):
    """Network of named parts, and a function of the network and its input."""

    def __init__(self, run: Forward, **parts: Any) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


ZOO: dict[str, ZooCase] = {}


def add(name: str, run: Forward, parts: Callable[[], dict[str, Any]], **facts: Any) -> None:
    """Register a `Net`."""
    add_built(name, lambda: Net(run, **parts()), **facts)


def add_built(name: str, make: Callable[[], nn.Module], **facts: Any) -> None:
    """Register a network from a function that builds it."""
    if name in ZOO:
        raise ValueError(f"two networks are called {name}")
    ZOO[name] = ZooCase(make, **facts)


def failing(sentence: str, *proxies: str) -> dict[str, str]:
    return dict.fromkeys(proxies, sentence)


def conv(inputs: int = 3, outputs: int = 6, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)


def head(features: int = 6) -> nn.Linear:
    return nn.Linear(features, CLASSES)


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(0.5 * torch.randn(shape))


def pooled(z: Tensor) -> Tensor:
    return z.mean((2, 3))
