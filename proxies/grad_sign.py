"""Agreement in sign between the gradients of samples."""

import torch
from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo, total


class GradSign(Proxy):
    """Mean over the entries of all W of abs(Σ_n sign(g_n)), g_n the gradient of the loss of sample n."""

    info = ProxyInfo(
        name="grad_sign",
        needs=frozenset({Need.GRADIENT_SIGNS}),
        batch_norm=False,
        direction=1,
        cost=3.0,
        source="Zhang & Jia, ICLR 2022",
    )

    @override
    def compute(self, measured: Measured) -> float:
        signs = measured[Need.GRADIENT_SIGNS]
        return total(of_weight.abs().sum(dtype=torch.float64) for of_weight in signs.sums) / float(signs.num_entries)
