"""The exact engine: every measurement straight from its definition, by PyTorch's own autograd.

It is slow, and right for whatever autograd can differentiate: each need has forward passes of its own, gradients are
taken with respect to the parameters themselves, second derivatives by differentiating twice, and a sample's gradient by
running that sample alone.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from proxies.base import NOTHING_FOUND, Need
from proxies.passes.base import Pass, ProxyInput, Result, WeightGradient, attempt, cross_entropy, leaf, logits_of
from proxies.passes.copies import in_double
from proxies.passes.functions import CallRecorder, ExactTies, FunctionMode, LayerCall, ReluRecorder, WithoutBatchNorm
from proxies.passes.gradient_sign import GradientSigns
from proxies.passes.minibatches import minibatches
from proxies.passes.synflow import absolute, ones
from proxies.passes.training import OutputGradient

Gradients = tuple[Tensor | None, ...]
"""∂/∂W by weight; None where nothing depends on it."""
Recorded = tuple[Tensor, list[Tensor]]
"""A network's output, and tensors on the way to it."""
ROWS = "rows inside the network are not samples in their order: the first dimension is another one"


class ExactPass(Pass):
    """Every need that takes a forward pass of data, one after the other."""

    def run(self, probe: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        for need in sorted(needs, key=list(MEASUREMENTS).index):
            yield need, attempt(lambda need=need: MEASUREMENTS[need](probe))  # type: ignore[misc]


def relu_inputs(probe: ProxyInput) -> list[Tensor]:
    _, inputs = _recorded_relus(probe.copy(), probe.x)
    check_rows(probe, inputs, _recorded_relus)
    return inputs


def _recorded_relus(network: nn.Module, x: Tensor) -> Recorded:
    """A function mode keeps PyTorch from its fused layers, whose ReLUs would not be seen."""
    recorder = ReluRecorder()
    with FunctionMode(), recorder:
        logits = logits_of(network, x)
    return logits.detach(), recorder.inputs


def input_gradient(probe: ProxyInput) -> Tensor:
    return _input_gradient(probe.copy(), probe.x)


def _input_gradient(network: nn.Module, x: Tensor) -> Tensor:
    x = leaf(x)
    (gradient,) = _derivative(logits_of(network, x).sum(), [x])
    if gradient is None:
        raise ValueError("the output has no gradient with respect to the input")
    return gradient


def _derivative(output: Tensor, inputs: Sequence[Tensor], **options: Any) -> Gradients:
    """∂output/∂inputs, None by each that the output does not depend on."""
    if not output.requires_grad:
        return (None,) * len(inputs)
    return torch.autograd.grad(output, inputs, allow_unused=True, **options)


def gradients(probe: ProxyInput) -> list[WeightGradient]:
    network = probe.copy()
    weights = probe.weights(network)
    return _pairs(weights, _gradients(network, weights, probe.x, probe.y))


def _gradients(network: nn.Module, weights: Sequence[Tensor], x: Tensor, y: Tensor, **options: Any) -> Gradients:
    """∂L/∂W of a batch."""
    loss = cross_entropy(logits_of(network, leaf(x)), y)
    return _derivative(loss, weights, **options)


def _pairs(weights: Sequence[Tensor], gradients: Gradients) -> list[WeightGradient]:
    return [WeightGradient(w.detach(), g) for w, g in zip(weights, gradients, strict=True) if g is not None]


def output_gradients(probe: ProxyInput) -> list[OutputGradient]:
    def record(network: nn.Module, x: Tensor) -> Recorded:
        with CallRecorder() as recorder:
            logits = logits_of(network, x)
        return logits.detach(), [call.rows(call.z.detach()) for call in recorder.calls]

    network = probe.copy()
    with CallRecorder() as recorder:
        loss = cross_entropy(logits_of(network, leaf(probe.x)), probe.y)
    check_rows(probe, [call.rows(call.z.detach()) for call in recorder.calls], record, constants=True)
    calls = [call for call in recorder.calls if call.z.requires_grad]
    _check_recorded(probe, network, loss, calls)
    made = _derivative(loss, [call.z for call in calls])
    return [
        OutputGradient(call.rows(call.z.detach()), call.rows(gz), call.weights_per_channel)
        for call, gz in zip(calls, made, strict=True)
        if gz is not None
    ]


def _check_recorded(probe: ProxyInput, network: nn.Module, loss: Tensor, calls: Sequence[LayerCall]) -> None:
    """Raise `ValueError` where a weight that moves the loss is used by no recorded call."""
    weights = probe.weights(network)
    used = [call.weight for call in calls if call.weight.requires_grad]
    moving = _derivative(loss, weights, retain_graph=True)
    recorded = torch.autograd.grad(used, weights, [torch.zeros_like(w) for w in used], True, allow_unused=True)
    embeddings = {
        id(module.weight) for module in network.modules() if isinstance(module, nn.Embedding | nn.EmbeddingBag)
    }
    for name, weight, moves, by_call in zip(probe.weight_names, weights, moving, recorded, strict=True):
        if moves is not None and by_call is None and id(weight) not in embeddings:
            raise ValueError(f"no call of a convolution or linear layer uses {name}, so its output is unknown")


def curvature(probe: ProxyInput) -> float:
    network = probe.copy()
    weights = probe.weights(network)
    found = _gradients(network, weights, probe.x, probe.y, create_graph=True)
    slopes = [(g * g.detach()).sum() for g in found if g is not None]
    products = _pairs(weights, _derivative(torch.stack(slopes).sum(), weights)) if slopes else []
    if not products:
        raise ArithmeticError(NOTHING_FOUND[Need.GRADIENTS])
    return sum(float((w * hg).sum(dtype=torch.float64)) for w, hg in products)


def minibatch_gradients(probe: ProxyInput) -> list[Tensor]:
    network = probe.copy()
    weights = probe.weights(network)
    by_batch = [_gradients(network, weights, x, y) for x, y in minibatches(probe)]
    by_weight = zip(weights, *by_batch, strict=True)
    return [
        torch.stack([torch.zeros_like(w) if g is None else g for g in found])
        for w, *found in by_weight
        if any(g is not None for g in found)
    ]


def free_input_gradient(probe: ProxyInput) -> tuple[Tensor, Tensor]:
    network = in_double(_copy_without_batch_norm(probe))
    with WithoutBatchNorm():
        return _input_gradient(network, probe.x.double()), probe.y


def gradient_signs(probe: ProxyInput) -> GradientSigns:
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


def flow(probe: ProxyInput) -> list[WeightGradient]:
    network = absolute(_copy_without_batch_norm(probe))
    weights = probe.weights(network)
    with WithoutBatchNorm(), ExactTies():
        total = network(ones(probe).clone()).sum()
        return _pairs(weights, _derivative(total, weights))


def _copy_without_batch_norm(probe: ProxyInput) -> nn.Module:
    """A copy to run under `WithoutBatchNorm`. Raises `ValueError` where that does not reach every batch norm."""
    if probe.structure.hidden_batch_norm:
        raise ValueError("a batch norm that is no call of torch.nn.functional.batch_norm cannot be taken off")
    return probe.copy()


def check_rows(
    probe: ProxyInput,
    measured: Sequence[Tensor],
    record: Callable[[nn.Module, Tensor], Recorded],
    constants: bool = False,
) -> None:
    """Check that the first dimension of what is recorded holds whole samples in their order, without batch norm.

    N samples must give tensors with N times the rows of one. If the output changes places as the samples do, so must
    the rows; if that of the first sample is the same among copies of itself, so must be its rows.

    Args:
        probe: network and batch.
        measured: recorded with batch norm.
        record: runs a network on a batch and gives its output and the tensors that are looked at.
        constants: whether tensors are allowed that no sample influences.

    Raises:
        ValueError: the rows are something else, or cannot be told.
    """
    network, x = _copy_without_batch_norm(probe), probe.x

    def run(x: Tensor) -> Recorded:
        with probe.draws_apart(), WithoutBatchNorm():
            return record(network, x)

    order = torch.tensor([*range(1, len(x), 2), *range(0, len(x), 2)], device=x.device)
    (_, alone), (logits, whole) = run(x[:1]), run(x)
    (other_logits, in_order), (same_logits, among_copies) = run(x[order]), run(x[:1].expand_as(x))
    moves, stays = _close(logits[order], other_logits), _close(logits[:1], same_logits[:1])
    if not moves and not stays:
        raise ValueError("samples influence each other, so that rows inside the network cannot be told apart")
    if not len(alone) == len(measured) == len(whole) == len(in_order) == len(among_copies):
        raise ValueError(ROWS)
    for one, *tensors in zip(alone, measured, whole, in_order, among_copies, strict=True):
        _, many, moved, copies = tensors
        if constants and all(tensor.shape == one.shape for tensor in tensors) and torch.equal(one, many):
            continue
        if any(tensor.shape != (len(x) * len(one), *one.shape[1:]) for tensor in tensors):
            raise ValueError(ROWS)
        by_sample = many.view(len(x), *one.shape)
        if moves and not _close(by_sample[order].flatten(0, 1), moved):
            raise ValueError(ROWS)
        if stays and not _close(many[: len(one)], copies[: len(one)]):
            raise ValueError(ROWS)


def _close(one: Tensor, other: Tensor) -> bool:
    """True if two tensors are the same but for rounding, relative to the largest number in them."""
    return torch.allclose(one, other, rtol=0, atol=1e-3 * float(other.abs().max()))


MEASUREMENTS: dict[Need, Callable[[ProxyInput], Any]] = {
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
