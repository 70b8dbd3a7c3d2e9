"""Arithmetic for predictions: a row gets the same bits whatever rows stand beside it, in which order, on any processor.

IEEE 754 rounds +, −, ×, ÷ and √ alike everywhere, so whatever is made of them entry by entry, in an order that nothing
but the row's own length decides, is the same everywhere. A matrix product is not: BLAS chooses the order of its sums by
the number of rows, by a row's place among them, by the processor and by the number of threads. Nor is `np.sum`, whose
order follows the memory layout, and with it the number of rows; nor `np.exp`, which may round the entries that fill
whole vector registers otherwise than the few that are left over.

A matrix product is the same everywhere after all where each product and each sum is exact, as of small whole numbers.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import exp2

LOG2_E = 1 / np.log(2.0)


def row_sums(terms: NDArray[Any]) -> NDArray[Any]:
    """Sums over the last axis, 0 where it is empty: its second half is added to its first, until one entry is left."""
    if not terms.shape[-1]:
        return np.zeros(terms.shape[:-1], terms.dtype)
    while (number := terms.shape[-1]) > 1:
        half = number // 2
        folded = terms[..., :half] + terms[..., half : 2 * half]
        if number % 2:
            folded[..., 0] += terms[..., -1]
        terms = folded
    return np.asarray(terms[..., 0])


def exp(exponents: NDArray[np.float64]) -> NDArray[np.float64]:
    """eˣ of each entry, by SciPy's `exp2`: a function of one number, called for one entry after the other."""
    return np.asarray(exp2(LOG2_E * exponents))
