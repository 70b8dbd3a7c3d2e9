"""Alternatives that were tried for speed, each against the implementation that it would replace, in one run.

python -m benchmarks.speed.alternatives
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.speed.machine import seconds
from benchmarks.speed.scoring import STUDY, architecture
from benchmarks.speed.straightforward import straightforward
from models import get_space, initial_weights
from models.gcn_nas.batches import MotionBatchSpec
from proxies import score
from proxies.base import Need
from proxies.memory import keep_freed_memory
from proxies.passes import temporal_convolution
from proxies.passes.base import WeightGradient
from proxies.synflow import Synflow
from proxies.zico import Zico

Alternative = tuple[str, str, Callable[[], Any]]


def main() -> None:
    keep_freed_memory()
    table = Table("what", "how", "ms", title="each against the first of its group")
    with torch.no_grad():
        for what, how, work in [*float64(), *layouts(), *pointwise(), *subsets(), *formulas(), *building()]:
            table.add_row(what, how, f"{1e3 * seconds(work):.2f}")
    for what, how, work in networks():
        table.add_row(what, how, f"{1e3 * seconds(work, 3):.0f}")
    Console(width=140).print(table)


def float64() -> list[Alternative]:
    """Return alternatives for a temporal convolution in double precision."""
    x, w = (torch.randn(*shape, dtype=torch.float64) for shape in ((16, 64, 64, 25), (96, 64, 9, 1)))
    what = "64 → 96 channels over 9 frames of 64, float64"
    return [
        (what, "torch.conv2d", lambda: torch.conv2d(x, w, padding=(4, 0))),
        (what, "one product for each frame", lambda: temporal_convolution.forward(x, w, None, 1, 4, 1)),
        (what, "by Fourier transform", lambda: _by_fourier(x, w, 4)),
    ]


def _by_fourier(x: Tensor, weight: Tensor, padding: int) -> Any:
    rows, _, frames, joints = x.shape
    taps = weight.shape[2]
    spectrum = torch.fft.rfft(x.permute(2, 1, 0, 3).flatten(2), frames + taps - 1, 0)
    kernel = torch.fft.rfft(weight[..., 0].flip(2).permute(2, 0, 1), frames + taps - 1, 0)
    z = torch.fft.irfft(kernel @ spectrum, frames + taps - 1, 0)[taps - 1 - padding :][:frames]
    return z.view(frames, len(weight), rows, joints).permute(2, 1, 0, 3)


def layouts() -> list[Alternative]:
    """Return channels first and channels last."""
    alternatives: list[Alternative] = []
    for name, layout in (("channels first", torch.contiguous_format), ("channels last", torch.channels_last)):
        x = torch.randn(16, 64, 64, 25).to(memory_format=layout)
        w = torch.randn(64, 64, 9, 1).to(memory_format=layout)
        for step, output_mask in (("input gradient", (True, False, False)), ("weight gradient", (False, True, False))):
            alternatives.append((f"64 → 64 over 9 frames, {step}", name, _gradient(x, w, output_mask)))
        alternatives.append(("64 → 64 over 9 frames", name, partial(torch.conv2d, x, w, padding=(4, 0))))
    return sorted(alternatives, key=lambda alternative: alternative[0])


def _gradient(x: Tensor, w: Tensor, output_mask: tuple[bool, bool, bool]) -> Callable[[], Any]:
    z = torch.randn_like(torch.conv2d(x, w, padding=(4, 0)))
    backward = torch.ops.aten.convolution_backward
    return lambda: backward(z, x, w, None, (1, 1), (4, 0), (1, 1), False, (0, 0), 1, output_mask)


def pointwise() -> list[Alternative]:
    """Return a 1 × 1 convolution and a matrix product."""
    x, w = torch.randn(16, 192, 64, 25), torch.randn(64, 192, 1, 1)
    what = "192 → 64 channels at each position"
    return [
        (what, "torch.conv2d", lambda: torch.conv2d(x, w)),
        (what, "matrix product", lambda: w[:, :, 0, 0] @ x.flatten(2)),
    ]


def subsets() -> list[Alternative]:
    """Return alternatives for the three subsets of a graph convolution."""
    x, graphs = torch.randn(16, 64, 64, 25), torch.randn(16, 25, 75)
    weights = torch.randn(3, 64, 64, 1, 1)
    flat, wide = x.reshape(16, 64 * 64, 25), torch.cat(list(weights), 3)

    def each() -> Tensor:
        by_subset = zip(graphs.chunk(3, 2), weights, strict=True)
        return sum(torch.conv2d((flat @ g).view_as(x), w) for g, w in by_subset)  # type: ignore[return-value]

    def together() -> Tensor:
        return torch.conv2d((flat @ graphs).view(16, 64, 64, 75), wide, dilation=(1, 25))

    what = "three subsets, 64 → 64"
    return [(what, "one after the other", each), (what, "one product, one dilated convolution", together)]


def formulas() -> list[Alternative]:
    """Return formulas over the weights of a network of ten layers, as they were and as they are."""
    gradients = torch.randn(2, 2_000_000)
    pair = WeightGradient(*torch.randn(2, 2_000_000, dtype=torch.float64))

    def by_rows() -> Tensor:
        sizes = gradients.abs()
        sizes = sizes[:, sizes[0] != sizes[1]].double()
        mean = sizes.mean(0)
        return (mean / (sizes - mean).square().mean(0).sqrt()).sum().log()

    def by_logarithms() -> Tensor:
        return torch.logsumexp(sum(tensor.abs().log() for tensor in pair), 0)  # type: ignore[arg-type]

    zico, synflow = "zico, two million weights", "synflow, two million weights"
    return [
        (zico, "mean and deviation over the minibatches", by_rows),
        (zico, "sum and difference of the two", lambda: Zico().compute({Need.MINIBATCH_GRADIENTS: [gradients]})),
        (synflow, "sum of logarithms", by_logarithms),
        (synflow, "logarithm of the products' sum", lambda: Synflow().compute({Need.SYNFLOW: [pair]})),
    ]


def building() -> list[Alternative]:
    """Return a network with initial weights sampled, and with those of an earlier architecture."""
    space, arch = get_space("gcn-nas"), architecture(10)

    def sampled() -> Any:
        initial_weights._cached.clear()
        return space.build(arch)

    what = "network of 10 layers"
    return [(what, "initial weights sampled", sampled), (what, "initial weights kept", lambda: space.build(arch))]


def networks() -> list[Alternative]:
    """Return scoring with attention convolutions one by one, and concatenated."""
    space = get_space("gcn-nas")
    network = space.build(architecture(10))
    alternatives: list[Alternative] = []
    for batch_size, frames, names in ((4, 8, None), (8, 64, STUDY)):
        batch = MotionBatchSpec(batch_size=batch_size, frames=frames).make(space.task)
        for how, net in (("one by one", straightforward(network)), ("concatenated", network)):
            what = f"scoring 10 layers, N = {batch_size}, T = {frames}, attention"
            alternatives.append((what, how, partial(score, net, batch.x, batch.y, names)))
    return alternatives


if __name__ == "__main__":
    main()
