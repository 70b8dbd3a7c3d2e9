"""Class-wise correlation of the input Jacobian."""

import torch
from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo
from proxies.correlation import correlation

EPSILON = 1e-5
MAX_SUMMED_CLASSES = 100
"""Number of classes above which classes are compared in pairs."""


class EpeNas(Proxy):
    """Σ_c abs(e_c), e_c = Σ log(abs(corr_c) + 1e-5), corr_c the correlation of the rows of ∂(Σ logits)/∂x in class c.

    Above 100 classes Σ_{c,d} abs(e_c − e_d)/#classes, with each e_c divided by the size of its matrix. The matrix of a
    class with one sample is (1).
    """

    info = ProxyInfo(
        name="epe_nas",
        needs=frozenset({Need.INPUT_GRADIENT_WITHOUT_BATCH_NORM}),
        batch_norm=False,
        direction=1,
        cost=2.0,
        source="Lopes et al., ICANN 2021, eq. 3 to 5",
    )

    @override
    def compute(self, measured: Measured) -> float:
        gradient, labels = measured[Need.INPUT_GRADIENT_WITHOUT_BATCH_NORM]
        matrices = [correlation(gradient[labels == label]) for label in labels.unique()]
        entries = [(matrix.abs() + EPSILON).log() for matrix in matrices]
        if len(entries) <= MAX_SUMMED_CLASSES:
            return float(sum(entry.sum().abs() for entry in entries))
        means = torch.stack([entry.mean() for entry in entries])
        return float((means[:, None] - means).abs().sum() / len(means))
