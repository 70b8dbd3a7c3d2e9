"""Pass of epe_nas: the gradient of the input, without batch norm, so that samples are independent."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from proxies.base import Need
from proxies.passes.base import (
    CLASS_LABELS,
    REPEATED_CLASS,
    Measurement,
    Pass,
    ProxyInput,
    as_leaf,
    forward_logits,
    gradient_rows,
    input_gradient,
)
from proxies.passes.batch import Batch
from proxies.passes.copies import in_double
from proxies.passes.stack import StackInput
from proxies.passes.tape import Tape


class InputGradientPass(Pass):
    """INPUT_GRADIENT_WITHOUT_BATCH_NORM: gradients of the data, (rows, …), and the rows' classes.

    With independent samples ∂(Σ logits)/∂x, forward in float64: without batch norm a ten-layer network may amplify
    float32's rounding to several per cent of epe_nas, so that thread counts and devices would disagree. The backward
    pass, which is linear, runs in float32. On one graph ∂(Σ logits of a row)/∂(x of the row) of up to 16 labelled rows,
    in the network's precision.
    """

    provides = frozenset({Need.INPUT_GRADIENT_WITHOUT_BATCH_NORM})
    requires = (
        (Need.INPUT_GRADIENT_WITHOUT_BATCH_NORM, CLASS_LABELS),
        (Need.INPUT_GRADIENT_WITHOUT_BATCH_NORM, REPEATED_CLASS),
    )
    chunkable = True
    stackable = provides

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        network, batch = inputs.copy(in_place=False).requires_grad_(False), gradient_rows(inputs.batch)
        if batch.has_samples:
            network, batch = in_double(network), batch.double()
        gradients = torch.cat([_input_gradient(network, part) for part in batch.chunks(chunks)])
        yield Need.INPUT_GRADIENT_WITHOUT_BATCH_NORM, (gradients, batch.y[: len(gradients)])

    @override
    def run_stack(self, stack: StackInput, needs: frozenset[Need]) -> Iterator[tuple[Need, Sequence[Any]]]:
        network = in_double(stack.together.copy(in_place=False).requires_grad_(False))
        gradients = _input_gradient(network, stack.together.batch.double())
        yield Need.INPUT_GRADIENT_WITHOUT_BATCH_NORM, [(rows, stack.batch.y) for rows in stack.split(gradients)]


def _input_gradient(network: nn.Module, batch: Batch) -> Tensor:
    x = as_leaf(batch.x)
    with Tape(backward_in=torch.float32, without_batch_norm=True, with_products=False) as tape:
        logits = forward_logits(network, batch, x)
    return input_gradient(logits, x, batch, tape.calls)
