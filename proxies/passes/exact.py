"""The exact engine: every measurement straight from its definition, by PyTorch's own autograd.

It is slow, and right for whatever autograd can differentiate: each need has forward passes of its own, gradients are
taken with respect to the parameters themselves, second derivatives by differentiating twice, and a sample's gradient by
running that sample alone.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from proxies.base import Need
from proxies.passes.base import Pass, Probe, Result, WeightGradient, attempt, cross_entropy, leaf, logits_of
from proxies.passes.flow import absolute, ones
from proxies.passes.functions import CallRecorder, ExactTies, LayerCall, ReluRecorder, WithoutBatchNorm
from proxies.passes.minibatches import minibatches
from proxies.passes.signs import GradientSigns
from proxies.passes.training import OutputGradient

Gradients = tuple[Tensor | None, ...]
"""∂/∂W by weight; None where nothing depends on it."""


class ExactPass(Pass):
    """Every need that takes a forward pass of data, one after the other."""

    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        for need in sorted(needs, key=list(MEASUREMENTS).index):
            yield need, attempt(lambda need=need: MEASUREMENTS[need](probe))  # type: ignore[misc]


def relu_inputs(probe: Probe) -> list[Tensor]:
    def record(network: nn.Module, x: Tensor) -> list[Tensor]:
        return _recorded_relus(lambda: network(x.clone()))

    check_rows(probe, record)
    network = probe.copy()
    return _recorded_relus(lambda: logits_of(network, probe.x))


def _recorded_relus(run: Callable[[], Any]) -> list[Tensor]:
    recorder = ReluRecorder()
    with torch.no_grad(), recorder:
        run()
    return recorder.inputs


def input_gradient(probe: Probe) -> Tensor:
    return _input_gradient(probe.copy(), probe.x)


def _input_gradient(network: nn.Module, x: Tensor) -> Tensor:
    x = leaf(x)
    (gradient,) = torch.autograd.grad(logits_of(network, x).sum(), x)
    return gradient


def gradients(probe: Probe) -> list[WeightGradient]:
    network = probe.copy()
    weights = probe.weights(network)
    return _pairs(weights, _gradients(network, weights, probe.x, probe.y))


def _gradients(network: nn.Module, weights: Sequence[Tensor], x: Tensor, y: Tensor, **options: Any) -> Gradients:
    """∂L/∂W of a batch."""
    loss = cross_entropy(logits_of(network, leaf(x)), y)
    return torch.autograd.grad(loss, weights, allow_unused=True, **options)


def _pairs(weights: Sequence[Tensor], gradients: Gradients) -> list[WeightGradient]:
    return [WeightGradient(w.detach(), g) for w, g in zip(weights, gradients, strict=True) if g is not None]


def output_gradients(probe: Probe) -> list[OutputGradient]:
    def record(network: nn.Module, x: Tensor) -> list[Tensor]:
        with CallRecorder() as recorder:
            network(x.clone())
        return [call.rows(call.z) for call in recorder.calls]

    check_rows(probe, record, constants=True)
    network = probe.copy()
    with CallRecorder() as recorder:
        loss = cross_entropy(logits_of(network, leaf(probe.x)), probe.y)
    calls = [call for call in recorder.calls if call.z.requires_grad]
    _check_recorded(probe, network, loss, calls)
    made = torch.autograd.grad(loss, [call.z for call in calls], allow_unused=True)
    return [
        OutputGradient(call.rows(call.z.detach()), call.rows(gz), call.weights_per_channel)
        for call, gz in zip(calls, made, strict=True)
        if gz is not None
    ]


def _check_recorded(probe: Probe, network: nn.Module, loss: Tensor, calls: Sequence[LayerCall]) -> None:
    """Raise `ValueError` where a weight that moves the loss is used by no recorded call."""
    weights = probe.weights(network)
    used = [call.weight for call in calls if call.weight.requires_grad]
    moving = torch.autograd.grad(loss, weights, allow_unused=True, retain_graph=True)
    recorded = torch.autograd.grad(used, weights, [torch.zeros_like(w) for w in used], True, allow_unused=True)
    embeddings = {id(module.weight) for module in network.modules() if isinstance(module, nn.Embedding)}
    for name, weight, moves, by_call in zip(probe.weight_names, weights, moving, recorded, strict=True):
        if moves is not None and by_call is None and id(weight) not in embeddings:
            raise ValueError(f"no call of a convolution or linear layer uses {name}, so its output is unknown")


def curvature(probe: Probe) -> float:
    network = probe.copy()
    weights = probe.weights(network)
    found = _gradients(network, weights, probe.x, probe.y, create_graph=True)
    slope = torch.stack([(g * g.detach()).sum() for g in found if g is not None]).sum()
    products = torch.autograd.grad(slope, weights, allow_unused=True)
    return sum(float((w * hg).sum(dtype=torch.float64)) for w, hg in _pairs(weights, products))


def minibatch_gradients(probe: Probe) -> list[Tensor]:
    network = probe.copy()
    weights = probe.weights(network)
    by_batch = [_gradients(network, weights, x, y) for x, y in minibatches(probe)]
    by_weight = zip(weights, *by_batch, strict=True)
    return [
        torch.stack([torch.zeros_like(w) if g is None else g for g in found])
        for w, *found in by_weight
        if any(g is not None for g in found)
    ]


def free_input_gradient(probe: Probe) -> tuple[Tensor, Tensor]:
    network = _copy_without_batch_norm(probe).double()
    with WithoutBatchNorm():
        return _input_gradient(network, probe.x.double()), probe.y


def gradient_signs(probe: Probe) -> GradientSigns:
    network = _copy_without_batch_norm(probe)
    weights = probe.weights(network)
    sums: list[Tensor | None] = [None] * len(weights)
    with WithoutBatchNorm():
        for x, y in zip(probe.x[:, None], probe.y[:, None], strict=True):
            for i, gradient in enumerate(_gradients(network, weights, x, y)):
                if gradient is not None:
                    before = sums[i]
                    sums[i] = gradient.sign() if before is None else before + gradient.sign()
    return GradientSigns([total for total in sums if total is not None], sum(w.numel() for w in weights))


def flow(probe: Probe) -> list[WeightGradient]:
    network = absolute(_copy_without_batch_norm(probe))
    weights = probe.weights(network)
    with WithoutBatchNorm(), ExactTies():
        total = network(ones(probe).clone()).sum()
        return _pairs(weights, torch.autograd.grad(total, weights, allow_unused=True))


def _copy_without_batch_norm(probe: Probe) -> nn.Module:
    """A copy to run under `WithoutBatchNorm`. Raises `ValueError` where that does not reach every batch norm."""
    if probe.structure.hidden_batch_norm:
        raise ValueError("a batch norm that is no call of torch.nn.functional.batch_norm cannot be taken off")
    return probe.copy()


@torch.no_grad()
def check_rows(probe: Probe, record: Callable[[nn.Module, Tensor], list[Tensor]], constants: bool = False) -> None:
    """Check that the first dimension of what is recorded holds whole samples in their order.

    Two samples must give tensors with twice the rows that the first one gives alone, without batch norm. Where samples
    do not influence each other, half of these rows must be the same.

    Args:
        probe: network and batch.
        record: runs a network on a batch and gives what is looked at.
        constants: whether tensors are allowed that no sample influences.

    Raises:
        ValueError: the rows are something else.
    """
    network = _copy_without_batch_norm(probe)
    pair = torch.cat([probe.x[:1], probe.x[-1:]])
    with WithoutBatchNorm():
        both, alone = record(network, pair), record(network, pair[:1])
        independent = _close(network(pair.clone())[:1], network(pair[:1].clone()))

    def by_sample(two: Tensor, one: Tensor) -> bool:
        if two.shape == one.shape:
            return constants and torch.equal(two, one)
        doubled = two.shape == (2 * len(one), *one.shape[1:])
        return doubled and (not independent or _close(two[: len(one)], one))

    if len(both) != len(alone) or not all(map(by_sample, both, alone)):
        raise ValueError("rows inside the network are not samples in their order: the first dimension is another one")


def _close(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same but for rounding, relative to the largest number in them."""
    return torch.allclose(one, other, rtol=0, atol=1e-3 * float(other.abs().max()))


MEASUREMENTS: dict[Need, Callable[[Probe], Any]] = {
    Need.RELU_INPUTS: relu_inputs,
    Need.INPUT_GRADIENT: input_gradient,
    Need.GRADIENTS: gradients,
    Need.OUTPUT_GRADIENTS: output_gradients,
    Need.CURVATURE: curvature,
    Need.MINIBATCH_GRADIENTS: minibatch_gradients,
    Need.FREE_INPUT_GRADIENT: free_input_gradient,
    Need.GRADIENT_SIGNS: gradient_signs,
    Need.FLOW: flow,
}
ExactPass.provides = frozenset(MEASUREMENTS)
