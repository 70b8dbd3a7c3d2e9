"""Correlation between the rows of an input Jacobian, for jacov and epe_nas."""

import torch
from torch import Tensor

ROUNDING = 4
"""Deviation of a constant row from its mean, in units in the last place of its largest entry."""


def correlation(rows: Tensor) -> Tensor:
    """Compute the Pearson correlation of rows, with a diagonal of exact ones.

    `torch.corrcoef` rounds in another order: it moves scores by a few units in the last place, and gives NaN for a
    constant row.

    Args:
        rows: (n, …), flattened to n vectors.

    Returns:
        (n, n) in float64 on the CPU.

    Raises:
        ArithmeticError: a row is constant or not finite.
    """
    flat = rows.flatten(1).double()
    sizes = flat.abs().amax(1, keepdim=True)
    flat = flat - flat.mean(1, keepdim=True)
    norms = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
    rounding = ROUNDING * torch.finfo(rows.dtype).eps * flat.shape[1] ** 0.5 * sizes
    if not bool((norms > rounding).all()) or not bool(torch.isfinite(norms).all()):
        raise ArithmeticError("a row of the input gradient is constant or not finite, so it has no correlation")
    flat = flat / norms
    matrix: Tensor = (flat @ flat.T).clamp(-1, 1).cpu()
    matrix.fill_diagonal_(1.0)
    return matrix
