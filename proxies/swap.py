"""Number of distinct activation patterns."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo

WORD = 64


class Swap(Proxy):
    """Number of distinct patterns over the rows of a batch, a pattern being the rows in which one neuron's ReLU fires.

    A neuron is an entry of a ReLU's input other than that of its rows. At most 2^rows patterns differ.
    """

    info = ProxyInfo(
        name="swap",
        needs=frozenset({Need.ACTIVATION_PATTERNS}),
        batch_norm=True,
        direction=1,
        cost=4.0,
        source="Peng et al., ICLR 2024 (SWAP-NAS)",
        default=False,
    )

    @override
    def compute(self, measured: Measured) -> float:
        relu_inputs: Sequence[Tensor] = measured[Need.ACTIVATION_PATTERNS]
        if len({len(tensor) for tensor in relu_inputs}) > 1:
            raise ArithmeticError("not all ReLUs see the same number of rows")
        packed = [_packed((tensor.reshape(len(tensor), -1) > 0).cpu().numpy()) for tensor in relu_inputs]
        patterns = np.concatenate(packed)
        return float(len(np.unique(patterns if patterns.shape[1] > 1 else patterns[:, 0], axis=0)))


def _packed(active: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Return the pattern of each neuron as words of 64 rows: (rows, neurons) to (neurons, words)."""
    rows, neurons = active.shape
    bits = np.zeros((neurons, -(-rows // WORD) * WORD), dtype=bool)
    bits[:, :rows] = active.T
    return np.packbits(bits, axis=1).view(np.uint64)
