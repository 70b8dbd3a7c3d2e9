"""Every proxy from its formula: plain autograd with respect to parameters, one loop for each sum.

Independent of `proxies`. A network is built for each proxy, so that nothing is copied or restored.
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

from tests.proxies.zoo.case import ZooCase

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
PRODUCTS = ("matmul", "__matmul__", "mm", "bmm")
SEED = 0


def trained(case: ZooCase) -> nn.Module:
    """Build the network in train mode, without dropout, with plain parameters and seeded random modules."""
    network = case.network()
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    case.baked(network)
    torch.manual_seed(SEED)
    return network


def weights_of(case: ZooCase, network: nn.Module) -> list[Tensor]:
    return [
        parameter
        for name, parameter in network.named_parameters()
        if parameter.ndim >= 2 and parameter.requires_grad and name not in case.no_weights
    ]


def loss_of(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(network(x.clone()), y)


def gradients(case: ZooCase) -> list[tuple[Tensor, Tensor]]:
    """Return (W, ∂L/∂W) of the weights that the loss depends on."""
    network = trained(case)
    weights = weights_of(case, network)
    grads = torch.autograd.grad(loss_of(network, case.x, case.y), weights, allow_unused=True)
    return [(w.detach(), g) for w, g in zip(weights, grads, strict=True) if g is not None]


def params(case: ZooCase) -> float:
    return sum(p.numel() for p in set(case.network().parameters()) if p.requires_grad)


def l2_norm(case: ZooCase) -> float:
    return sum(float(w.detach().norm()) for w in weights_of(case, trained(case)))


def grad_norm(case: ZooCase) -> float:
    return sum(float(g.norm()) for _, g in gradients(case))


def plain(case: ZooCase) -> float:
    return sum(float((w * g).sum()) for w, g in gradients(case))


def snip(case: ZooCase) -> float:
    return sum(float((w * g).abs().sum()) for w, g in gradients(case))


def grasp(case: ZooCase) -> float:
    network = trained(case)
    weights = weights_of(case, network)
    loss = loss_of(network, case.x, case.y)
    gs = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
    slope = torch.stack([(g * g.detach()).sum() for g in gs if g is not None]).sum()
    products = torch.autograd.grad(slope, weights, allow_unused=True)
    return -sum(float((w * hg).detach().sum()) for w, hg in zip(weights, products, strict=True) if hg is not None)


def zico(case: ZooCase) -> float:
    network = trained(case)
    weights = weights_of(case, network)
    middle = (len(case.y) + 1) // 2
    halves = []
    for part in (slice(0, middle), slice(middle, None)):
        grads = torch.autograd.grad(loss_of(network, case.x[part], case.y[part]), weights, allow_unused=True)
        halves.append([None if g is None else g.abs().numpy() for g in grads])
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
    """Replace functions of `torch` and `torch.nn.functional`, and restore them."""
    patches = [
        patch.object(place, name, wrapper(name, getattr(place, name)))
        for name in names
        for place in (torch, F)
        if hasattr(place, name)
    ]
    for patched in patches:
        patched.start()
    try:
        yield
    finally:
        for patched in patches:
            patched.stop()


def without_batch_norm() -> Any:
    return replaced(("batch_norm",), lambda name, original: lambda x, *args, **kwargs: x.clone())


def without_dropout() -> Any:
    """Make dropout that a network calls as a function the identity."""
    return replaced(("dropout",), lambda name, original: lambda x, *args, **kwargs: x.clone())


class WeightProducts(TorchFunctionMode):
    """Mode that records products of data and a matrix that requires gradients and does not depend on x.

    Attributes:
        calls: result without addend, the dimension that comes from the matrix, and the entries of the matrix.
    """

    def __init__(self, x: Tensor, calls: list[tuple[Tensor, int, int]]) -> None:
        self.x, self.calls = x, calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name not in ("matmul", "__matmul__", "mm", "addmm", "einsum") or kwargs:
            return func(*args, **(kwargs or {}))
        a, b = args[-2:]
        constant = [self._is_constant(factor) for factor in (a, b)]
        matrix = a if constant[0] else b
        if sum(constant) != 1 or matrix.ndim != 2:
            return func(*args)
        z = torch.einsum(args[0], a, b) if name == "einsum" else a @ b
        if name == "einsum":
            letters, result = args[0].split("->")
            (letter,) = set(letters.split(",")[constant.index(True)]) & set(result)
            channels = result.index(letter)
        else:
            channels = z.ndim - (2 if constant[0] else 1)
        self.calls.append((z, channels, matrix.numel()))
        return args[0] + z if name == "addmm" else z.clone()

    def _is_constant(self, factor: Tensor) -> bool:
        if not factor.requires_grad:
            return False
        return torch.autograd.grad(factor.sum(), self.x, retain_graph=True, allow_unused=True)[0] is None


def fisher(case: ZooCase) -> float:
    calls: list[tuple[Tensor, int, int]] = []

    def recording(name: str, original: Any) -> Any:
        def call(x: Tensor, weight: Tensor, *args: Any, **kwargs: Any) -> Any:
            z = original(x, weight, *args, **kwargs)
            channels = z.ndim - 1 if name == "linear" else z.ndim - (weight.ndim - 1)
            calls.append((z, channels, weight.numel()))
            return z.clone()

        return call

    network = trained(case)
    x = case.x.clone().requires_grad_()  # a frozen layer counts, too
    with replaced((*CONVOLUTIONS, *TRANSPOSED, "linear"), recording), WeightProducts(x, calls):
        loss = loss_of(network, x, case.y)
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


def jacov(case: ZooCase) -> float:
    values = np.linalg.eigvalsh(np.corrcoef(input_gradient(trained(case), case.x)))
    return -float(sum(math.log(v + 1e-5) + 1 / (v + 1e-5) for v in values))


def epe_nas(case: ZooCase) -> float:
    with without_batch_norm():
        gradient = input_gradient(trained(case), case.x)
    total = 0.0
    for label in set(case.y.tolist()):
        matrix = np.atleast_2d(np.corrcoef(gradient[case.y.numpy() == label]))
        total += abs(np.log(np.abs(matrix) + 1e-5).sum())
    return float(total)


class Relus(TorchFunctionMode):
    """Mode that records the positive entries of each ReLU's input."""

    def __init__(self) -> None:
        self.active: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        minimum = args[1] if len(args) > 1 else kwargs.get("min")
        if (
            name == "relu"
            or (name in ("clamp", "clamp_min", "clip") and minimum == 0 and len(args) < 3 and "max" not in kwargs)
            or (name == "threshold" and args[1:3] == (0, 0))
        ):
            self.active.append((args[0] > 0).flatten(1).clone())
        return func(*args, **kwargs)


def nwot(case: ZooCase) -> float:
    network = trained(case)
    with Relus() as relus:
        network(case.x.clone())
    rows = len(relus.active[0])
    kernel = 1e-6 * np.eye(rows)
    for active in relus.active:
        for i in range(rows):
            for j in range(rows):
                kernel[i, j] += int((active[i] == active[j]).sum())
    return float(np.linalg.slogdet(kernel)[1])


def grad_sign(case: ZooCase) -> float:
    network = trained(case)
    weights = weights_of(case, network)
    sums = [torch.zeros_like(w) for w in weights]
    with without_batch_norm():
        for i in range(len(case.y)):
            loss = loss_of(network, case.x[i : i + 1], case.y[i : i + 1])
            for total, g in zip(sums, torch.autograd.grad(loss, weights, allow_unused=True), strict=True):
                if g is not None:
                    total += g.sign()
    return sum(float(total.abs().sum()) for total in sums) / sum(w.numel() for w in weights)


def synflow(case: ZooCase) -> float:
    network = trained(case)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.abs_()
    weights = weights_of(case, network)
    with without_batch_norm():
        total = network(torch.ones_like(case.x[:1])).sum()
        grads = torch.autograd.grad(total, weights, allow_unused=True)
    return math.log(
        sum(float((w * g).detach().abs().sum()) for w, g in zip(weights, grads, strict=True) if g is not None)
    )


class Flops(TorchFunctionMode):
    """Mode that counts twice the multiply-adds of layers and matrix products."""

    def __init__(self) -> None:
        self.total: int = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in PRODUCTS:
            self.total += 2 * output.numel() * args[0].shape[-1]
        elif name == "addmm":
            self.total += 2 * output.numel() * args[1].shape[-1]
        elif name == "linear":
            self.total += 2 * output.numel() * args[1].shape[1]
        elif name in (*CONVOLUTIONS, *TRANSPOSED):
            self.total += 2 * (output if name in CONVOLUTIONS else args[0]).numel() * args[1][0].numel()
        return output


def flops(case: ZooCase) -> float:
    network = trained(case)
    with Flops() as counted:
        network(case.x.clone())
    return float(counted.total + case.more_flops)


def unit_outputs(case: ZooCase) -> list[np.ndarray]:
    """Return (channels, positions) of each unit for one random sample."""
    network = trained(case)
    maps: list[np.ndarray] = []
    for unit in network.units:  # type: ignore[union-attr]
        unit.register_forward_hook(lambda module, args, out: maps.append(out[0].detach().flatten(1).numpy().copy()))
    x = torch.randn((1, *case.x.shape[1:]), generator=torch.Generator().manual_seed(SEED))
    network(x.double())
    return maps


def lowest(rows: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.linalg.eigvalsh(np.nan_to_num(np.atleast_2d(np.corrcoef(rows))))[0])


def meco(case: ZooCase) -> float:
    return sum(lowest(rows) for rows in unit_outputs(case))


def meco_opt(case: ZooCase) -> float:
    total = 0.0
    for rows in unit_outputs(case):
        sampled = torch.randperm(len(rows), generator=torch.Generator().manual_seed(SEED))[:8].numpy()
        total += len(rows) / len(sampled) * lowest(rows[sampled])
    return total


@torch.no_grad()
def zen(case: ZooCase) -> float:
    """Compute one repeat: sample convolutions in the order of registration, then x and its noise."""
    network, generator = trained(case), torch.Generator().manual_seed(SEED)

    def normal(shape: Any) -> Tensor:
        return torch.randn(shape, generator=generator).double()

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_(normal(module.weight.shape))
            if module.bias is not None:
                module.bias.zero_()
    outputs: list[Tensor] = []
    network.feature_unit.register_forward_hook(lambda module, args, out: outputs.append(out.clone()))  # type: ignore
    x = normal(case.x.shape)
    noise = normal(case.x.shape)
    network(x.clone())
    network(x + 0.01 * noise)
    differences = (outputs[0] - outputs[1]).abs().flatten(1).sum(1)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    return math.log(float(differences.mean())) + sum(
        0.5 * math.log(float(norm.running_var.mean())) for norm in norms if norm.running_var is not None
    )


FORMULAS: dict[str, Callable[[ZooCase], float]] = {
    formula.__name__: formula
    for formula in (
        *(epe_nas, fisher, flops, grad_norm, grad_sign, grasp, jacov, l2_norm, meco, meco_opt, nwot, params, plain),
        *(snip, synflow, zen, zico),
    )
}
"""Oracles by proxy: all but sed, which reads an attribute of the network alone."""
