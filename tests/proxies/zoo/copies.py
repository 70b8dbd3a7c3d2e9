"""Networks with attributes that are hard to copy: they refer to the network, or have no copy."""

import functools
import threading
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.proxies.zoo.case import Net, X, add_built, conv, head, pooled


def run(m: Any, x: Tensor) -> Any:
    return m.fc(pooled(torch.relu(m.b(torch.relu(m.a(x))))))


def net() -> Any:
    return Net(run, a=conv(), b=conv(6, 6), fc=head())


class Locked(Net):
    """A network with a lock, and with the features of its last call."""

    def __init__(self) -> None:
        super().__init__(self.keep, a=conv(), b=conv(6, 6), fc=head())
        self.lock, self.last = threading.Lock(), None

    @staticmethod
    def keep(m: Any, x: Tensor) -> Any:
        with m.lock:
            m.last = torch.relu(m.b(torch.relu(m.a(x))))
        return m.fc(pooled(m.last))


class CopiesToItself(Net):
    def __deepcopy__(self, memo: Any) -> "CopiesToItself":
        return self


class Closure(nn.Module):
    """A network with functions that refer to it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.fc = conv(), conv(6, 6), head()
        self.first: Callable[[Tensor], Tensor] = lambda x: torch.relu(self.a(x))
        self.steps: list[Callable[[Tensor], Any]] = [functools.partial(self.apply_layer, self.b), torch.relu]

    @staticmethod
    def apply_layer(layer: nn.Module, z: Tensor) -> Any:
        return layer(z)

    def forward(self, x: Tensor) -> Any:
        z = self.first(x)
        for step in self.steps:
            z = step(z)
        return self.fc(pooled(z))


class Child(nn.Module):
    """A module with a weak reference to its parent."""

    def __init__(self, parent: nn.Module) -> None:
        super().__init__()
        self.parent = weakref.ref(parent)

    def forward(self, x: Tensor) -> Any:
        return self.parent().a(x)  # type: ignore[union-attr, operator]


def run_before() -> nn.Module:
    network = Locked().double()
    network(X.clone())
    return network


def hooked() -> Any:
    network = net()
    network.a.register_forward_hook(lambda module, args, output: 2 * output)
    network.b.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    network.fc.register_full_backward_hook(lambda module, given, taken: (3 * given[0],))
    return network


def hooked_from_outside() -> Any:
    network, features = net(), dict[str, Tensor]()
    network.run = lambda m, x: m.fc(pooled(torch.relu(m.a(x))))

    def hook(module: nn.Module, args: Any, output: Tensor) -> Any:
        features["a"] = output
        return network.b(output)

    network.a.register_forward_hook(hook)
    return network


def forward_replaced() -> Any:
    network = net()
    before = network.forward
    network.forward = lambda x: 2 * before(x)
    return network


def child() -> Any:
    network = net()
    network.run = lambda m, x: m.fc(pooled(torch.relu(m.b(torch.relu(m.child(x))))))
    network.child = Child(network)
    return network


def graph_module() -> nn.Module:
    return torch.fx.symbolic_trace(
        nn.Sequential(conv(), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head())
    )


add_built("keeps its features and a lock", run_before)
add_built("copies to itself", lambda: CopiesToItself(run, a=conv(), b=conv(6, 6), fc=head()))
add_built("hooks that change what passes", hooked)
add_built("a hook that refers to the network", hooked_from_outside)
add_built("functions that refer to the network", Closure)
add_built("forward replaced", forward_replaced)
add_built("a child that refers to its parent", child)
add_built("a graph of torch.fx", graph_module)
