"""Class-wise correlation of the input Jacobian."""

import torch

from proxies.base import Measured, Need, Proxy, ProxyInfo
from proxies.correlation import correlation

EPSILON = 1e-5
MANY_CLASSES = 100


class EpeNas(Proxy):
    """For each class c in the batch e_c = Σ log(abs(corr_c) + 1e-5) over the correlation matrix of the class's rows of
    ∂(Σ logits)/∂x; the score is Σ abs(e_c). Above 100 classes Σ_{c,d} abs(e_c − e_d)/#classes, with each e_c divided by
    the size of its matrix. A class with one sample has correlation 1.
    """

    info = ProxyInfo(
        name="epe_nas",
        needs=frozenset({Need.FREE_INPUT_GRADIENT}),
        batch_norm=False,
        direction=1,
        cost=2.0,
        source="Lopes et al., ICANN 2021, eq. 3 to 5",
    )

    def compute(self, measured: Measured) -> float:
        gradient, labels = measured[Need.FREE_INPUT_GRADIENT]
        matrices = [correlation(gradient[labels == label]) for label in labels.unique()]
        entries = [(matrix.abs() + EPSILON).log() for matrix in matrices]
        if len(entries) <= MANY_CLASSES:
            return float(sum(entry.sum().abs() for entry in entries))
        means = torch.stack([entry.mean() for entry in entries])
        return float((means[:, None] - means).abs().sum() / len(means))
