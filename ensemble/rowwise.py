"""Arithmetic whose result for a row has the same bits in any batch, in any order, on any processor.

IEEE 754 defines the rounding of +, −, ×, ÷ and √, so that any sequence of them is reproducible if its order depends on
the length of the row alone. A matrix product is not: BLAS chooses the order of its sums by the number of rows, the
position of the row, the processor and the number of threads. Neither is `np.sum`, whose order follows the memory layout
and with it the number of rows, nor `np.exp`, which may round entries in full vector registers differently from the
remaining ones.

A matrix product is reproducible if every product and sum is exact, as for small integers.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import exp2

LOG2_E = 1 / np.log(2.0)


def row_sums(terms: NDArray[Any]) -> NDArray[Any]:
    """Sum over the last axis by repeatedly adding its second half to its first; 0 for an empty axis.

    Args:
        terms: (…, k).

    Returns:
        Sums, (…), of the same type.
    """
    if not terms.shape[-1]:
        return np.zeros(terms.shape[:-1], terms.dtype)
    while (length := terms.shape[-1]) > 1:
        half = length // 2
        folded = terms[..., :half] + terms[..., half : 2 * half]
        if length % 2:
            folded[..., 0] += terms[..., -1]
        terms = folded
    return np.asarray(terms[..., 0])


def exp(exponents: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exponential function of each entry, by SciPy's `exp2`, which is called for one entry at a time."""
    return np.asarray(exp2(LOG2_E * exponents))
