"""Fisher information of the channels."""

import torch
from torch import Tensor
from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo, total


class Fisher(Proxy):
    """Σ over layers and channels k of Δ_k·numel(W[0]), Δ_k = ½·mean over rows of (Σ over positions of z_k·∂L/∂z_k)².

    The factor numel(W[0]) is that of NAS-Bench-Suite-Zero: the weights of a channel share its value.
    """

    info = ProxyInfo(
        name="fisher",
        needs=frozenset({Need.OUTPUT_GRADIENTS}),
        batch_norm=True,
        direction=1,
        cost=3.0,
        source="Theis et al. 2018, eq. 6; Turner et al., ICLR 2020",
        additive=True,
    )

    @override
    def compute(self, measured: Measured) -> float:
        return total(
            0.5 * _squares(output, gradient) * weights_per_channel
            for output, gradient, weights_per_channel in measured[Need.OUTPUT_GRADIENTS]
        )


def _squares(output: Tensor, gradient: Tensor) -> Tensor:
    """Return Σ over channels of the mean over rows of (Σ over positions of z_k·∂L/∂z_k)²."""
    products: Tensor = torch.linalg.vecdot(*(tensor.unsqueeze(-1).flatten(2) for tensor in (output, gradient)))
    return products.double().square().mean(0).sum()
