"""Every proxy straight from its formula: plain autograd with respect to parameters, one loop for each sum.

Nothing here is imported from `proxies`. A network is built anew for each proxy: nothing is copied or put back.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

from tests.proxies.zoo.specimen import Specimen

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
PRODUCTS = ("matmul", "__matmul__", "mm", "bmm")
SEED = 0


def trained(specimen: Specimen) -> nn.Module:
    """The network in train mode with plain parameters; what it draws is seeded."""
    network = specimen.network()
    network.train()
    specimen.baked(network)
    torch.manual_seed(SEED)
    return network


def weights_of(specimen: Specimen, network: nn.Module) -> list[Tensor]:
    return [
        parameter
        for name, parameter in network.named_parameters()
        if parameter.ndim >= 2 and parameter.requires_grad and name not in specimen.no_weights
    ]


def loss_of(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(network(x.clone()), y)


def gradients(specimen: Specimen) -> list[tuple[Tensor, Tensor]]:
    """(W, ∂L/∂W) of the weights that the loss depends on."""
    network = trained(specimen)
    weights = weights_of(specimen, network)
    made = torch.autograd.grad(loss_of(network, specimen.x, specimen.y), weights, allow_unused=True)
    return [(w.detach(), g) for w, g in zip(weights, made, strict=True) if g is not None]


def params(specimen: Specimen) -> float:
    return sum(p.numel() for p in set(specimen.network().parameters()) if p.requires_grad)


def l2_norm(specimen: Specimen) -> float:
    return sum(float(w.detach().norm()) for w in weights_of(specimen, trained(specimen)))


def grad_norm(specimen: Specimen) -> float:
    return sum(float(g.norm()) for _, g in gradients(specimen))


def plain(specimen: Specimen) -> float:
    return sum(float((w * g).sum()) for w, g in gradients(specimen))


def snip(specimen: Specimen) -> float:
    return sum(float((w * g).abs().sum()) for w, g in gradients(specimen))


def grasp(specimen: Specimen) -> float:
    network = trained(specimen)
    weights = weights_of(specimen, network)
    loss = loss_of(network, specimen.x, specimen.y)
    gs = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
    along = sum((g * g.detach()).sum() for g in gs if g is not None)
    products = torch.autograd.grad(along, weights, allow_unused=True)
    return -sum(float((w * hg).detach().sum()) for w, hg in zip(weights, products, strict=True) if hg is not None)


def zico(specimen: Specimen) -> float:
    network = trained(specimen)
    weights = weights_of(specimen, network)
    middle = (len(specimen.y) + 1) // 2
    halves = []
    for part in (slice(0, middle), slice(middle, None)):
        made = torch.autograd.grad(loss_of(network, specimen.x[part], specimen.y[part]), weights, allow_unused=True)
        halves.append([None if g is None else g.abs().numpy() for g in made])
    total = 0.0
    for first, second in zip(*halves, strict=True):
        if first is None and second is None:
            continue
        a, b = (np.zeros_like(first if second is None else second) if g is None else g for g in (first, second))
        differ = a != b
        if differ.any():  # mean / deviation of two numbers
            total += math.log(float(((a + b)[differ] / np.abs(a - b)[differ]).sum()))
    return total


@contextmanager
def replaced(names: tuple[str, ...], wrapper: Callable[[str, Any], Any]) -> Iterator[None]:
    """While it lasts, functions of `torch` and `torch.nn.functional` are others."""
    patches = [
        patch.object(place, name, wrapper(name, getattr(place, name)))
        for name in names
        for place in (torch, F)
        if hasattr(place, name)
    ]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def without_batch_norm() -> Any:
    return replaced(("batch_norm",), lambda name, original: lambda x, *args, **kwargs: x.clone())


def fisher(specimen: Specimen) -> float:
    calls: list[tuple[Tensor, int, int]] = []

    def recording(name: str, original: Any) -> Any:
        def call(x: Tensor, weight: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            z = original(x, weight, *args, **kwargs)
            channels = z.ndim - 1 if name == "linear" else z.ndim - (weight.ndim - 1)
            calls.append((z, channels, weight.numel()))
            return z.clone()

        return call

    network = trained(specimen)
    with replaced((*CONVOLUTIONS, *TRANSPOSED, "linear"), recording):
        loss = loss_of(network, specimen.x.clone().requires_grad_(), specimen.y)  # a frozen layer counts, too
    total = 0.0
    for z, channels, numel in calls:
        if not z.requires_grad:
            continue
        (g,) = torch.autograd.grad(loss, z, retain_graph=True, allow_unused=True)
        if g is None:
            continue
        product = (z * g).detach() if channels else (z * g).detach()[None]
        axis = channels or 1
        for k in range(z.shape[channels]):
            by_row = product.select(axis, k).reshape(len(product), -1).sum(1)
            total += 0.5 * float(by_row.square().mean()) * numel / z.shape[channels]
    return total


def input_gradient(network: nn.Module, x: Tensor) -> np.ndarray:
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(x.clone()).sum(), x)
    return gradient.flatten(1).numpy()


def jacov(specimen: Specimen) -> float:
    values = np.linalg.eigvalsh(np.corrcoef(input_gradient(trained(specimen), specimen.x)))
    return -float(sum(math.log(v + 1e-5) + 1 / (v + 1e-5) for v in values))


def epe_nas(specimen: Specimen) -> float:
    with without_batch_norm():
        gradient = input_gradient(trained(specimen), specimen.x)
    total = 0.0
    for label in set(specimen.y.tolist()):
        matrix = np.atleast_2d(np.corrcoef(gradient[specimen.y.numpy() == label]))
        total += abs(np.log(np.abs(matrix) + 1e-5).sum())
    return float(total)


class Relus(TorchFunctionMode):
    """Records which entries of each ReLU's input are above 0."""

    def __init__(self) -> None:
        self.active: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        lowest = args[1] if len(args) > 1 else kwargs.get("min")
        if (
            name == "relu"
            or (name in ("clamp", "clamp_min", "clip") and lowest == 0 and len(args) < 3 and "max" not in kwargs)
            or (name == "threshold" and args[1:3] == (0, 0))
        ):
            self.active.append((args[0] > 0).flatten(1).clone())
        return func(*args, **kwargs)


def nwot(specimen: Specimen) -> float:
    network = trained(specimen)
    with Relus() as relus:
        network(specimen.x.clone())
    rows = len(relus.active[0])
    kernel = 1e-6 * np.eye(rows)
    for active in relus.active:
        for i in range(rows):
            for j in range(rows):
                kernel[i, j] += int((active[i] == active[j]).sum())
    return float(np.linalg.slogdet(kernel)[1])


def grad_sign(specimen: Specimen) -> float:
    network = trained(specimen)
    weights = weights_of(specimen, network)
    sums = [torch.zeros_like(w) for w in weights]
    with without_batch_norm():
        for i in range(len(specimen.y)):
            loss = loss_of(network, specimen.x[i : i + 1], specimen.y[i : i + 1])
            for total, g in zip(sums, torch.autograd.grad(loss, weights, allow_unused=True), strict=True):
                if g is not None:
                    total += g.sign()
    return sum(float(total.abs().sum()) for total in sums) / sum(w.numel() for w in weights)


def synflow(specimen: Specimen) -> float:
    network = trained(specimen)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.abs_()
    weights = weights_of(specimen, network)
    with without_batch_norm():
        total = network(torch.ones_like(specimen.x[:1])).sum()
        made = torch.autograd.grad(total, weights, allow_unused=True)
    return math.log(
        sum(float((w * g).detach().abs().sum()) for w, g in zip(weights, made, strict=True) if g is not None)
    )


class Flops(TorchFunctionMode):
    """Twice the multiply-adds of layers and matrix products."""

    def __init__(self) -> None:
        self.total = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in PRODUCTS:
            self.total += 2 * made.numel() * args[0].shape[-1]
        elif name == "addmm":
            self.total += 2 * made.numel() * args[1].shape[-1]
        elif name == "linear":
            self.total += 2 * made.numel() * args[1].shape[1]
        elif name in (*CONVOLUTIONS, *TRANSPOSED):
            self.total += 2 * (made if name in CONVOLUTIONS else args[0]).numel() * args[1][0].numel()
        return made


def flops(specimen: Specimen) -> float:
    network = trained(specimen)
    with Flops() as counted:
        network(specimen.x.clone())
    return counted.total + specimen.more_flops


def unit_outputs(specimen: Specimen) -> list[np.ndarray]:
    """(channels, places) of each unit, of one random datum."""
    network = trained(specimen)
    maps: list[np.ndarray] = []
    for unit in network.units:  # type: ignore[union-attr]
        unit.register_forward_hook(lambda module, args, out: maps.append(out[0].detach().flatten(1).numpy().copy()))
    datum = torch.randn((1, *specimen.x.shape[1:]), generator=torch.Generator().manual_seed(SEED))
    network(datum.double())
    return maps


def lowest(rows: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.linalg.eigvalsh(np.nan_to_num(np.atleast_2d(np.corrcoef(rows))))[0])


def meco(specimen: Specimen) -> float:
    return sum(lowest(rows) for rows in unit_outputs(specimen))


def meco_opt(specimen: Specimen) -> float:
    total = 0.0
    for rows in unit_outputs(specimen):
        sampled = torch.randperm(len(rows), generator=torch.Generator().manual_seed(SEED))[:8].numpy()
        total += len(rows) / len(sampled) * lowest(rows[sampled])
    return total


@torch.no_grad()
def zen(specimen: Specimen) -> float:
    """One draw: convolutions in the order of registration, then x and its noise."""
    network, generator = trained(specimen), torch.Generator().manual_seed(SEED)

    def normal(shape: Any) -> Tensor:
        return torch.randn(shape, generator=generator).double()

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_(normal(module.weight.shape))
            if module.bias is not None:
                module.bias.zero_()
    outputs: list[Tensor] = []
    network.feature_unit.register_forward_hook(lambda module, args, out: outputs.append(out.clone()))  # type: ignore
    x = normal(specimen.x.shape)
    noise = normal(specimen.x.shape)
    network(x.clone())
    network(x + 0.01 * noise)
    differences = (outputs[0] - outputs[1]).abs().flatten(1).sum(1)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    return math.log(float(differences.mean())) + sum(
        0.5 * math.log(float(norm.running_var.mean())) for norm in norms if norm.running_var is not None
    )


FORMULAS: dict[str, Callable[[Specimen], float]] = {
    formula.__name__: formula
    for formula in (
        *(epe_nas, fisher, flops, grad_norm, grad_sign, grasp, jacov, l2_norm, meco, meco_opt, nwot, params, plain),
        *(snip, synflow, zen, zico),
    )
}
"""By proxy: all but sed, which looks at no network but at what it names."""
