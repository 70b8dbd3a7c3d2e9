"""The exact engine: every measurement from its definition, by PyTorch's autograd.

It is slow, and right for any network that autograd can differentiate: each need has forward passes of its own,
gradients are taken with respect to the parameters, second derivatives by differentiating twice, and the gradient of a
sample by running it alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from proxies.base import EMPTY_REASONS, Need
from proxies.passes.activation_patterns import pattern_batch
from proxies.passes.activation_ranks import ActivationRank, activation_ranks
from proxies.passes.base import (
    Measurement,
    Pass,
    ProxyInput,
    WeightGradient,
    as_leaf,
    attempt,
    check_same_rows,
    forward_logits,
    gradient_rows,
    input_gradient,
    kernel_rows,
    loss_of,
    units,
)
from proxies.passes.batch import Batch
from proxies.passes.copies import in_double
from proxies.passes.fisher import Entries, cotangents, projections
from proxies.passes.functions import (
    CallRecorder,
    FunctionMode,
    LayerCall,
    ReluRecorder,
    TieAwareSoftmax,
    WithoutBatchNorm,
)
from proxies.passes.gradient_sign import GradientSigns
from proxies.passes.layer_tensors import PRODUCT, Layer, LayerTensors, layer, over_batches
from proxies.passes.minibatches import minibatches
from proxies.passes.synflow import input_of_ones, take_absolute
from proxies.passes.training import OutputGradient
from proxies.passes.units import channel_axis, recorded_calls, unit_jacobians, unit_spectra

Gradients = tuple[Tensor | None, ...]
"""∂/∂W by weight; None for a weight that is not used."""
Recorded = tuple[Tensor, list[Tensor]]
"""Output of a network, and intermediate tensors."""
ROWS = "rows inside the network are not samples in their order: the first dimension is another one"


class ExactPass(Pass):
    """Every need that takes a forward pass of data, each in passes of its own."""

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        for need in sorted(needs, key=list(MEASUREMENTS).index):
            yield need, attempt(lambda need=need: MEASUREMENTS[need](inputs))  # type: ignore[misc]


def relu_inputs(inputs: ProxyInput) -> list[Tensor]:
    """Measure RELU_INPUTS. Raises `ValueError` where rows are not samples."""
    logits, relus = _recorded_relus(inputs.copy(), inputs.batch)
    check_rows(inputs, relus, _recorded_relus)
    return kernel_rows(relus, logits, inputs.batch)


def activation_ranks_of_relus(inputs: ProxyInput) -> list[ActivationRank]:
    """Measure ACTIVATION_RANKS."""
    return activation_ranks(_recorded_relus(inputs.copy(), inputs.batch)[1])


def activation_patterns(inputs: ProxyInput) -> list[Tensor]:
    """Measure ACTIVATION_PATTERNS. Raises `ValueError` where rows are not samples."""
    return relu_inputs(replace(inputs, batch=pattern_batch(inputs)))


def unit_spectra_by_forward(inputs: ProxyInput) -> list[Tensor]:
    """Measure UNIT_SPECTRA."""
    network = inputs.copy()
    with torch.no_grad(), recorded_calls(units(network)) as calls:
        forward_logits(network, inputs.batch)
    return unit_spectra(calls, channel_axis(network))


def unit_jacobians_by_autograd(inputs: ProxyInput) -> list[Tensor]:
    """Measure UNIT_JACOBIANS."""
    network = inputs.copy()
    with recorded_calls(units(network)) as calls:
        forward_logits(network, inputs.batch, as_leaf(inputs.x))
    return unit_jacobians(calls, channel_axis(network), inputs.seed)


def _recorded_relus(network: nn.Module, batch: Batch) -> Recorded:
    """Record inputs of ReLUs; the function mode disables fused layers, whose ReLUs could not be recorded."""
    recorder = ReluRecorder()
    with FunctionMode(), recorder:
        logits = forward_logits(network, batch)
    return logits.detach(), recorder.inputs


def input_gradients(inputs: ProxyInput) -> Tensor:
    """Measure INPUT_GRADIENT."""
    return _input_gradient(inputs.copy(), inputs.batch)


def _input_gradient(network: nn.Module, batch: Batch) -> Tensor:
    x = as_leaf(batch.x)
    return input_gradient(forward_logits(network, batch, x), x, gradient_rows(batch))


def _derivative(output: Tensor, variables: Sequence[Tensor], **options: Any) -> Gradients:
    """Return ∂output/∂variables, None for those that the output does not depend on."""
    if not output.requires_grad:
        return (None,) * len(variables)
    return torch.autograd.grad(output, variables, allow_unused=True, **options)


def gradients(inputs: ProxyInput) -> list[WeightGradient]:
    """Measure GRADIENTS."""
    network = inputs.copy()
    weights = inputs.weights(network)
    return _pairs(weights, _gradients(network, weights, inputs.batch))


def _gradients(network: nn.Module, weights: Sequence[Tensor], batch: Batch, **options: Any) -> Gradients:
    """Return ∂L/∂W of a batch."""
    loss = loss_of(forward_logits(network, batch, as_leaf(batch.x)), batch)
    return _derivative(loss, weights, **options)


def _pairs(weights: Sequence[Tensor], gradients: Gradients) -> list[WeightGradient]:
    return [WeightGradient(w.detach(), g) for w, g in zip(weights, gradients, strict=True) if g is not None]


def output_gradients(inputs: ProxyInput) -> list[OutputGradient]:
    """Measure OUTPUT_GRADIENTS. Raises `ValueError` where rows are not samples, or a weight's use is unknown."""

    def record(network: nn.Module, batch: Batch) -> Recorded:
        with CallRecorder() as recorder:
            logits = forward_logits(network, batch, as_leaf(batch.x))
        return logits.detach(), [call.rows(call.z.detach()) for call in recorder.calls]

    network = inputs.copy()
    with CallRecorder() as recorder:
        logits = forward_logits(network, inputs.batch, as_leaf(inputs.x))
        loss = loss_of(logits, inputs.batch)
    if not inputs.batch.has_samples:
        for call in recorder.calls:
            check_same_rows(call.rows(call.z), logits, "a layer's output")
    check_rows(inputs, [call.rows(call.z.detach()) for call in recorder.calls], record, constants=True)
    calls = [call for call in recorder.calls if call.z.requires_grad]
    _check_recorded(inputs, network, loss, calls)
    grad_outputs = _derivative(loss, [call.z for call in calls])
    return [
        OutputGradient(call.rows(call.z.detach()), call.rows(grad_output), call.weights_per_channel)
        for call, grad_output in zip(calls, grad_outputs, strict=True)
        if grad_output is not None
    ]


def _check_recorded(inputs: ProxyInput, network: nn.Module, loss: Tensor, calls: Sequence[LayerCall]) -> None:
    """Raise `ValueError` if the loss depends on a weight that no recorded call uses."""
    weights = inputs.weights(network)
    used = [call.weight for call in calls if call.weight.requires_grad]
    gradients = _derivative(loss, weights, retain_graph=True)
    recorded = torch.autograd.grad(used, weights, [torch.zeros_like(w) for w in used], True, allow_unused=True)
    embeddings = {
        id(module.weight) for module in network.modules() if isinstance(module, nn.Embedding | nn.EmbeddingBag)
    }
    for name, weight, gradient, by_call in zip(inputs.weight_names, weights, gradients, recorded, strict=True):
        if gradient is not None and by_call is None and id(weight) not in embeddings:
            raise ValueError(f"no call of a convolution or linear layer uses {name}, so its output is unknown")


def layer_tensors(inputs: ProxyInput) -> list[LayerTensors]:
    """Measure LAYER_TENSORS. Raises `ValueError` where a layer is no convolution or linear map of several rows."""

    def measure(batch: Batch) -> list[Layer]:
        network = inputs.copy()
        with CallRecorder() as recorder:
            loss = loss_of(forward_logits(network, batch, as_leaf(batch.x)), batch)
        calls = [call for call in recorder.calls if call.z.requires_grad]
        _check_recorded(inputs, network, loss, calls)
        grads = _derivative(loss, [*(call.z for call in calls), *(call.weight for call in calls)])
        used = [
            (call, (grad_z, grad_weight))
            for call, grad_z, grad_weight in zip(calls, grads, grads[len(calls) :], strict=False)
            if grad_z is not None and grad_weight is not None
        ]
        if any(call.is_product for call, _ in used):
            raise ValueError(PRODUCT)
        if any(call.is_single for call, _ in used):
            raise ValueError("a layer takes a single row, without a dimension of rows")
        return [layer(call.weight, call.x, call.z, call.channels, gradients) for call, gradients in used]

    return over_batches(inputs, measure)


def curvature(inputs: ProxyInput) -> float:
    """Measure CURVATURE. Raises `ArithmeticError` if the loss has no second derivative by any weight."""
    network = inputs.copy()
    weights = inputs.weights(network)
    gradients = _gradients(network, weights, inputs.batch, create_graph=True)
    slopes = [(g * g.detach()).sum() for g in gradients if g is not None]
    products = _pairs(weights, _derivative(torch.stack(slopes).sum(), weights)) if slopes else []
    if not products:
        raise ArithmeticError(EMPTY_REASONS[Need.GRADIENTS])
    return sum(float((w * hg).sum(dtype=torch.float64)) for w, hg in products)


def minibatch_gradients(inputs: ProxyInput) -> list[Tensor]:
    """Measure MINIBATCH_GRADIENTS."""
    network = inputs.copy()
    weights = inputs.weights(network)
    by_batch = [_gradients(network, weights, half) for half in minibatches(inputs.batch)]
    by_weight = zip(weights, *by_batch, strict=True)
    return [
        torch.stack([torch.zeros_like(w) if g is None else g for g in gradients])
        for w, *gradients in by_weight
        if any(g is not None for g in gradients)
    ]


def input_gradient_without_batch_norm(inputs: ProxyInput) -> tuple[Tensor, Tensor]:
    """Measure INPUT_GRADIENT_WITHOUT_BATCH_NORM. Raises `ValueError` where batch norm cannot be switched off."""
    network = in_double(_copy_without_batch_norm(inputs))
    with WithoutBatchNorm():
        gradient = _input_gradient(network, inputs.batch.double())
        return gradient, gradient_rows(inputs.batch).y[: len(gradient)]


def gradient_signs(inputs: ProxyInput) -> GradientSigns:
    """Measure GRADIENT_SIGNS. Raises `ValueError` where batch norm cannot be switched off."""
    network = _copy_without_batch_norm(inputs)
    weights = inputs.weights(network)
    sums: list[Tensor | None] = [None] * len(weights)
    with WithoutBatchNorm():
        for single in _by_label(inputs.batch):
            for i, gradient in enumerate(_gradients(network, weights, single)):
                if gradient is not None:
                    total = sums[i]
                    sums[i] = gradient.sign() if total is None else total + gradient.sign()
    return GradientSigns([total for total in sums if total is not None], sum(w.numel() for w in weights))


def _by_label(batch: Batch) -> list[Batch]:
    """Return each sample, or the one graph with each of the labels whose gradients are taken."""
    if batch.has_samples:
        return [batch.part([n]) for n in range(len(batch.y))]
    chosen = gradient_rows(batch)
    return [chosen.with_labels([n]) for n in range(len(chosen.y))]


def fisher_vectors(inputs: ProxyInput) -> Tensor:
    """Measure FISHER_VECTORS. Raises `ValueError` where batch norm cannot be switched off."""
    network, batch = _copy_without_batch_norm(inputs), inputs.batch
    weights = inputs.weights(network)
    entries = Entries(weights)
    parts = [batch.part([n]) for n in range(len(batch.y))] if batch.has_samples else [batch]
    by_part = []
    with WithoutBatchNorm():
        for n, part in enumerate(parts):
            logits = part.labelled(forward_logits(network, part, as_leaf(part.x)))
            vectors = []
            for signs in projections(batch, logits.shape[1], inputs.seed):
                cotangent = cotangents(logits, signs[n : n + 1] if batch.has_samples else signs, part)
                gradients = _derivative((logits * cotangent).sum(), weights, retain_graph=True)
                vectors.append(entries.read(gradients))
            by_part.append(torch.stack(vectors))
    return torch.stack(by_part, 1).flatten(0, 1)


def synflow_gradients(inputs: ProxyInput) -> list[WeightGradient]:
    """Measure SYNFLOW. Raises `ValueError` where batch norm cannot be switched off."""
    network = take_absolute(_copy_without_batch_norm(inputs))
    weights = inputs.weights(network)
    with WithoutBatchNorm(), TieAwareSoftmax():
        total = network(*input_of_ones(inputs.batch).arguments()).sum()
        return _pairs(weights, _derivative(total, weights))


def _copy_without_batch_norm(inputs: ProxyInput) -> nn.Module:
    """Return a copy to run under `WithoutBatchNorm`. Raises `ValueError` if that misses a batch norm."""
    if inputs.forward_trace.hidden_batch_norm:
        raise ValueError("a batch norm that is no call of torch.nn.functional.batch_norm cannot be taken off")
    return inputs.copy()


def check_rows(
    inputs: ProxyInput,
    measured: Sequence[Tensor],
    record: Callable[[nn.Module, Batch], Recorded],
    constants: bool = False,
) -> None:
    """Check that the first dimension of recorded tensors holds whole samples in their order, without batch norm.

    N samples must give tensors with N times the rows of one. If the output is permuted as the samples are, so must be
    the rows; if the output of the first sample is the same among copies of it, so must be its rows. The rows of one
    graph cannot be checked in this way.

    Args:
        inputs: network and batch.
        measured: tensors recorded with batch norm.
        record: runs a network on a batch, and returns its output and the tensors to check.
        constants: allow tensors that no sample influences.

    Raises:
        ValueError: the rows are not samples, or it cannot be determined.
    """
    if not inputs.batch.has_samples:
        return
    network, batch, x = _copy_without_batch_norm(inputs), inputs.batch, inputs.x

    def run(batch: Batch) -> Recorded:
        with inputs.isolated_rng(), WithoutBatchNorm():
            return record(network, batch)

    order = [*range(1, len(x), 2), *range(0, len(x), 2)]
    (_, alone), (logits, whole) = run(batch.single()), run(batch)
    (permuted_logits, in_order), (copied_logits, among_copies) = run(batch.part(order)), run(batch.part([0] * len(x)))
    is_equivariant = _close(logits[order], permuted_logits)
    is_independent = _close(logits[:1], copied_logits[:1])
    if not is_equivariant and not is_independent:
        raise ValueError("samples influence each other, so that rows inside the network cannot be told apart")
    if not len(alone) == len(measured) == len(whole) == len(in_order) == len(among_copies):
        raise ValueError(ROWS)
    for single, *tensors in zip(alone, measured, whole, in_order, among_copies, strict=True):
        _, many, permuted, copies = tensors
        if constants and all(tensor.shape == single.shape for tensor in tensors) and torch.equal(single, many):
            continue
        if any(tensor.shape != (len(x) * len(single), *single.shape[1:]) for tensor in tensors):
            raise ValueError(ROWS)
        by_sample = many.view(len(x), *single.shape)
        if is_equivariant and not _close(by_sample[order].flatten(0, 1), permuted):
            raise ValueError(ROWS)
        if is_independent and not _close(many[: len(single)], copies[: len(single)]):
            raise ValueError(ROWS)


def _close(a: Tensor, b: Tensor) -> bool:
    """Return True if two tensors are the same but for rounding, relative to their largest number."""
    return torch.allclose(a, b, rtol=0, atol=1e-3 * float(b.abs().max()))


MEASUREMENTS: dict[Need, Callable[[ProxyInput], Any]] = {
    Need.UNIT_SPECTRA: unit_spectra_by_forward,
    Need.UNIT_JACOBIANS: unit_jacobians_by_autograd,
    Need.ACTIVATION_PATTERNS: activation_patterns,
    Need.ACTIVATION_RANKS: activation_ranks_of_relus,
    Need.RELU_INPUTS: relu_inputs,
    Need.INPUT_GRADIENT: input_gradients,
    Need.GRADIENTS: gradients,
    Need.OUTPUT_GRADIENTS: output_gradients,
    Need.LAYER_TENSORS: layer_tensors,
    Need.CURVATURE: curvature,
    Need.MINIBATCH_GRADIENTS: minibatch_gradients,
    Need.INPUT_GRADIENT_WITHOUT_BATCH_NORM: input_gradient_without_batch_norm,
    Need.GRADIENT_SIGNS: gradient_signs,
    Need.FISHER_VECTORS: fisher_vectors,
    Need.SYNFLOW: synflow_gradients,
}
ExactPass.provides = frozenset(MEASUREMENTS)
