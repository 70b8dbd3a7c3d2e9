"""Entropy of the Fisher information's spectrum."""

import torch
from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo
from proxies.spectrum import squared_singular_values

DECILES = 9


class Vkdnw(Proxy):
    """Entropy −Σ q·log q of the nine deciles of the eigenvalues of the Fisher information, q the deciles by their sum.

    The Fisher information F = mean_n J_nᵀ·Cov(p_n)·J_n is that of a few entries of each weight, J_n the Jacobian of the
    logits of sample n, p_n its smoothed class probabilities. Random vectors v_k with mean v_k·v_kᵀ = F stand for it, so
    that at most as many eigenvalues as vectors are above 0, and those are read.
    """

    info = ProxyInfo(
        name="vkdnw",
        needs=frozenset({Need.FISHER_VECTORS}),
        batch_norm=False,
        direction=1,
        cost=6.0,
        source="Týbl & Neumann, CVPR 2025 (VKDNW)",
        default=False,
    )

    @override
    def compute(self, measured: Measured) -> float:
        eigenvalues = squared_singular_values(measured[Need.FISHER_VECTORS])
        levels = torch.arange(1, DECILES + 1, dtype=torch.float64, device="cpu") / (DECILES + 1)
        deciles = torch.quantile(eigenvalues, levels)
        total = deciles.sum()
        if total == 0:
            raise ArithmeticError("nine of ten eigenvalues of the Fisher information are 0")
        return float(torch.special.entr(deciles / total).sum())
