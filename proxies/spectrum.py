"""Spectra of covariances and matrices, and what the formulas read from them."""

import torch
from torch import Tensor

from proxies.base import NotApplicableError

EPSILON = 1e-8
"""Added to a share of the variance before the logarithm, as AZ-NAS does."""


def squared_singular_values(matrix: Tensor) -> Tensor:
    """Return the squared singular values of a matrix in float64 on the CPU, in ascending order.

    They are the eigenvalues of the smaller of its two Gram matrices; those that rounding of the matrix may cause are 0.

    Args:
        matrix: (rows, columns).

    Raises:
        ArithmeticError: an entry is not finite.
    """
    eps = max(torch.finfo(matrix.dtype).eps ** 2, torch.finfo(torch.float64).eps)
    matrix = matrix.double()
    gram = (matrix @ matrix.T if len(matrix) < matrix.shape[1] else matrix.T @ matrix).cpu()
    if not bool(gram.isfinite().all()):
        raise ArithmeticError("a number inside the network is not finite")
    values: Tensor = torch.linalg.eigvalsh(gram)
    return torch.where(values > len(values) * eps * values[-1], values, 0)


def variance_shares(spectrum: Tensor) -> Tensor:
    """Return the eigenvalues of a covariance as shares of their sum.

    Args:
        spectrum: eigenvalues, 0 or larger.

    Raises:
        NotApplicableError: all of them are 0.
    """
    total = spectrum.sum()
    if total <= 0:
        raise NotApplicableError("the output of a unit is constant, so that its channels have no variance")
    return spectrum / total


def entropy(spectrum: Tensor) -> float:
    """Return −Σ p·log(p + 1e-8) over the shares p of a covariance's eigenvalues.

    Raises:
        NotApplicableError: all eigenvalues are 0.
    """
    shares = variance_shares(spectrum)
    return -float((shares * (shares + EPSILON).log()).sum())


def effective_rank(matrix: Tensor) -> float:
    """Return exp(−Σ p·log p) over the shares p of the singular values (Roy & Vetterli 2007); 0 for a matrix of zeros.

    Args:
        matrix: (rows, columns).
    """
    values = squared_singular_values(matrix).sqrt()
    if not values.any():
        return 0.0
    return float(torch.special.entr(values / values.sum()).sum().exp())
