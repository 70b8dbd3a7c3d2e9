"""Pass of swap: the ReLUs over enough rows that patterns of activation can differ. No autograd."""

from collections.abc import Iterator

import torch
from torch import Tensor
from typing_extensions import override

from proxies.base import Need
from proxies.passes.base import Measurement, Pass, ProxyInput, forward_logits, kernel_rows, standard_normal
from proxies.passes.batch import Batch
from proxies.passes.tape import Tape

MIN_SAMPLES = 16


class ActivationPatternPass(Pass):
    """ACTIVATION_PATTERNS: `list[Tensor]`, the input of each ReLU, (rows, …); of one graph, up to 128 labelled rows."""

    provides = frozenset({Need.ACTIVATION_PATTERNS})

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        network, batch = inputs.copy(in_place=False), pattern_batch(inputs)
        with torch.no_grad(), Tape(with_products=False) as tape:
            logits = forward_logits(network, batch)
        yield Need.ACTIVATION_PATTERNS, kernel_rows(tape.relu_inputs, logits, batch)


def pattern_batch(inputs: ProxyInput) -> Batch:
    """Return the batch; in place of fewer than 16 samples, 16 of standard normal data, sampled on the CPU.

    Other arguments than the data, and labels, are repeated.
    """
    batch = inputs.batch
    if not batch.has_samples or len(batch.x) >= MIN_SAMPLES:
        return batch
    repeated = batch.part([i % len(batch.x) for i in range(MIN_SAMPLES)])
    x: Tensor = standard_normal(repeated.x, torch.Generator("cpu").manual_seed(inputs.seed))
    return repeated.with_data(x)
