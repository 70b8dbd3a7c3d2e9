"""Pass with batch norm: one forward pass of the batch, and the backward passes that branch off it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from proxies.base import EMPTY_REASONS, Need
from proxies.passes.activation_ranks import activation_ranks
from proxies.passes.base import (
    UNITS,
    Measurement,
    Pass,
    ProxyInput,
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
from proxies.passes.stack import StackInput
from proxies.passes.tape import BackwardRecord, Tape, gather_by_weight, inner_products
from proxies.passes.units import TWO_UNITS, channel_axis, recorded_calls, unit_jacobians, unit_spectra

BY_LOSS = frozenset({Need.GRADIENTS, Need.OUTPUT_GRADIENTS, Need.CURVATURE})
BY_UNIT = frozenset({Need.UNIT_SPECTRA, Need.UNIT_JACOBIANS})
WITHOUT_GRADIENTS = frozenset({Need.RELU_INPUTS, Need.ACTIVATION_RANKS, Need.UNIT_SPECTRA})


class OutputGradient(NamedTuple):
    """Output z of a call and ∂L/∂z, both (rows, channels, …), and the number of weights of one channel."""

    output: Tensor
    gradient: Tensor
    weights_per_channel: int


class TrainingPass(Pass):
    """Measurements with batch norm, on the whole batch at once. L is the mean loss.

    RELU_INPUTS: `list[Tensor]`, the input of each ReLU, (rows, …); of one graph, up to 128 labelled rows.
    GRADIENTS: `list[WeightGradient]` over the weights that the loss depends on.
    OUTPUT_GRADIENTS: `list[OutputGradient]` over the calls of convolutions and linear layers.
    CURVATURE: float, Wᵀ·H·g over all weights, g held constant.
    INPUT_GRADIENT: gradients of the data, (rows, …), of up to 16 labelled rows where there is one graph.
    ACTIVATION_RANKS: `list[ActivationRank]`, of the input and of the output of each ReLU.
    UNIT_SPECTRA: `list[Tensor]`, the eigenvalues of the covariance of each unit's channels, float64 on the CPU.
    UNIT_JACOBIANS: `list[Tensor]`, (channels of the input, of the output) of each unit behind the first.
    """

    provides = BY_LOSS | BY_UNIT | {Need.RELU_INPUTS, Need.ACTIVATION_RANKS, Need.INPUT_GRADIENT}
    stackable = BY_LOSS | {Need.RELU_INPUTS, Need.INPUT_GRADIENT}
    requires = ((Need.UNIT_SPECTRA, UNITS), (Need.UNIT_JACOBIANS, UNITS), (Need.UNIT_JACOBIANS, TWO_UNITS))

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        network, batch, x = inputs.copy(in_place=False), inputs.batch, as_leaf(inputs.x)
        recorded = units(network) if needs & BY_UNIT else ()
        with (
            torch.set_grad_enabled(not needs <= WITHOUT_GRADIENTS),
            recorded_calls(recorded) as unit_calls,
            Tape(with_products=not inputs.supports_tape) as tape,
        ):
            logits = forward_logits(network, batch, x)
        if Need.UNIT_SPECTRA in needs:
            yield Need.UNIT_SPECTRA, attempt(lambda: unit_spectra(unit_calls, channel_axis(network)))
        if Need.UNIT_JACOBIANS in needs:
            yield Need.UNIT_JACOBIANS, attempt(lambda: unit_jacobians(unit_calls, channel_axis(network), inputs.seed))
        if Need.RELU_INPUTS in needs:
            yield Need.RELU_INPUTS, attempt(lambda: kernel_rows(tape.relu_inputs, logits, batch))
        if Need.ACTIVATION_RANKS in needs:
            yield Need.ACTIVATION_RANKS, attempt(lambda: activation_ranks(tape.relu_inputs))
        if Need.INPUT_GRADIENT in needs:
            yield Need.INPUT_GRADIENT, attempt(lambda: input_gradient(logits, x, gradient_rows(batch), tape.calls))
        if not needs & BY_LOSS:
            return
        records = tape.differentiate(loss_of(logits, batch), create_graph=Need.CURVATURE in needs)
        if Need.OUTPUT_GRADIENTS in needs:
            yield Need.OUTPUT_GRADIENTS, attempt(lambda: _output_gradients(records, logits, batch))
        if needs & {Need.GRADIENTS, Need.CURVATURE}:
            used = [record.call.weight for record in records]
            gradients = [call.weight_gradient(grad_output) for call, grad_output, _ in records]
            if Need.GRADIENTS in needs:
                yield Need.GRADIENTS, gather_by_weight(inputs.weights(network), used, gradients)
            if Need.CURVATURE in needs:
                directions = [gradient[None] for gradient in gradients]
                yield Need.CURVATURE, attempt(lambda: float(_curvatures(records, directions)))

    @override
    def run_stack(self, stack: StackInput, needs: frozenset[Need]) -> Iterator[tuple[Need, Sequence[Any]]]:
        batch = stack.together.batch
        network, x = stack.together.copy(in_place=False), as_leaf(batch.x)
        with torch.set_grad_enabled(not needs <= WITHOUT_GRADIENTS), Tape(with_products=False) as tape:
            logits = forward_logits(network, batch, x)
        if Need.RELU_INPUTS in needs:
            yield Need.RELU_INPUTS, stack.split_each(tape.relu_inputs)
        if Need.INPUT_GRADIENT in needs:
            yield Need.INPUT_GRADIENT, stack.split(input_gradient(logits, x, batch))
        if not needs & BY_LOSS:
            return
        loss = stack.number * loss_of(logits, batch)  # the sum of the networks' mean losses
        records = tape.differentiate(loss, create_graph=Need.CURVATURE in needs)
        if Need.OUTPUT_GRADIENTS in needs:
            yield Need.OUTPUT_GRADIENTS, _split_output_gradients(stack, _output_gradients(records, logits, batch))
        if needs & {Need.GRADIENTS, Need.CURVATURE}:
            gradients = [call.weight_gradients(grad_output, stack.number) for call, grad_output, _ in records]
            if Need.GRADIENTS in needs:
                used = [record.call.weight for record in records]
                yield Need.GRADIENTS, stack.by_network(network, used, gradients)
            if Need.CURVATURE in needs:
                yield Need.CURVATURE, _curvatures(records, gradients).tolist()


def _split_output_gradients(stack: StackInput, outputs: Sequence[OutputGradient]) -> list[list[OutputGradient]]:
    """Return the outputs of each network. Channels of weights that it lacks have no effect: their gradients are 0."""
    zs, gradients = stack.split_each([z for z, _, _ in outputs]), stack.split_each([g for _, g, _ in outputs])
    counts = [output.weights_per_channel for output in outputs]
    return [
        [OutputGradient(*fields) for fields in zip(*of_network, counts, strict=True)]
        for of_network in zip(zs, gradients, strict=True)
    ]


def _output_gradients(records: Sequence[BackwardRecord], logits: Tensor, batch: Batch) -> list[OutputGradient]:
    outputs = [_output_gradient(record) for record in records]
    if not batch.has_samples:
        for output, _, _ in outputs:
            check_same_rows(output, logits, "a layer's output")
    return outputs


def _output_gradient(record: BackwardRecord) -> OutputGradient:
    call, grad_output, _ = record
    z, grad_output = (tensor.detach().movedim(call.channels, 1) for tensor in (call.z, grad_output))
    return OutputGradient(z, grad_output, call.weight[0].numel())


def _curvatures(records: Sequence[BackwardRecord], directions: Sequence[Tensor]) -> Tensor:
    """Return Wᵀ·H·v = d/ds ⟨v, ∇L(s·W)⟩ at s = 1, v the directions, (parts,): of equal parts of the rows.

    Args:
        records: calls, with gradients of the sum of the losses of all parts.
        directions: v by call, (parts, *weight shape).

    ⟨v, ∇L⟩ = Σ ⟨z(v), ∂L/∂z⟩ over the calls, with v in place of W in z(v). Through W, s scales two tensors of each call
    and nothing else: z without its bias, and ∂L/∂x. The derivative is the sum of the inner products of these tensors
    with the slopes of ⟨v, ∇L⟩ towards them. It takes four forward passes, and no second derivative of a weight
    gradient.

    Raises:
        ArithmeticError: the loss has no second derivative by any weight.
    """
    products = [call.apply_each(v) for (call, _, _), v in zip(records, directions, strict=True)]
    zs, grads_z = [call.z for call, _, _ in records], [grad_output for _, grad_output, _ in records]
    grads_x = [grad_input for _, _, grad_input in records if grad_input is not None]
    pairs = [*zip(grads_z, products, strict=True), *zip(products, grads_z, strict=True)]
    varying = [(output, cotangent.detach()) for output, cotangent in pairs if output.requires_grad]
    if not varying:
        raise ArithmeticError(EMPTY_REASONS[Need.GRADIENTS])
    outputs, cotangents = zip(*varying, strict=True)
    slopes = torch.autograd.grad(outputs, [*zs, *grads_x], cotangents, allow_unused=True)
    parts = len(directions[0])
    terms = [
        call.inner_products(slope, parts)
        for (call, _, _), slope in zip(records, slopes, strict=False)
        if slope is not None
    ]
    terms += [
        inner_products(grad_input.detach(), slope, parts)
        for grad_input, slope in zip(grads_x, slopes[len(zs) :], strict=True)
        if slope is not None
    ]
    return torch.stack(terms).sum(0)
