"""Small networks of the kinds that people have, each with what is known of it, for the proxies to be right about.

All are in float64 and, unless they say otherwise, take (4, 3, 5, 5).
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
class Specimen:
    """A network with its facts.

    Attributes:
        make: builds it, right after seeding.
        x, y: its batch.
        no_weights: names of trainable tensors of two or more dimensions that no product uses.
        baked: makes weights that are made anew in each call plain parameters, by PyTorch's own means.
        fails: part of the sentence by the name of each proxy that must fail.
        more_flops: of operations that the oracle cannot count.
    """

    make: Callable[[], nn.Module]
    x: Tensor = X
    y: Tensor = Y
    no_weights: tuple[str, ...] = ()
    baked: Callable[[Any], Any] = lambda network: None
    fails: Mapping[str, str] = field(default_factory=dict)
    more_flops: int = 0

    def network(self) -> nn.Module:
        """The same network each time."""
        torch.manual_seed(0)
        return self.make().double()


class Net(nn.Module):
    """Modules and parameters by name, and a function of the network and its input."""

    def __init__(self, run: Forward, **parts: Any) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


ZOO: dict[str, Specimen] = {}


def add(name: str, run: Forward, parts: Callable[[], dict[str, Any]], **facts: Any) -> None:
    """Register a `Net`."""
    add_made(name, lambda: Net(run, **parts()), **facts)


def add_made(name: str, make: Callable[[], nn.Module], **facts: Any) -> None:
    """Register a network of a class of its own."""
    if name in ZOO:
        raise ValueError(f"two networks are called {name}")
    ZOO[name] = Specimen(make, **facts)


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
