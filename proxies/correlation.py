"""Correlation between the rows of a Jacobian, as jacov and epe_nas use it."""

import torch
from torch import Tensor


def correlation(rows: Tensor) -> Tensor:
    """Pearson correlation matrix of rows (n, …) over everything but the first dimension: (n, n), float64, on the CPU.

    One row has correlation 1 with itself. Raises `ArithmeticError` where a row is constant.
    """
    flat = rows.flatten(1).double()
    flat = flat - flat.mean(1, keepdim=True)
    norms = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
    if not bool((norms > 0).all()) or not bool(torch.isfinite(norms).all()):
        raise ArithmeticError("a row of the input gradient is constant or not finite, so it has no correlation")
    flat = flat / norms
    matrix: Tensor = (flat @ flat.T).clamp(-1, 1).cpu()
    matrix.fill_diagonal_(1.0)
    return matrix
