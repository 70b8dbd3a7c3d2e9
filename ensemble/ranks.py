"""Ranks among the values of a sample, as whole numbers, so that equal ones are equal on any processor."""

import numpy as np
from numpy.typing import NDArray


def doubled_ranks(sample: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Twice the number of a sample's entries that are smaller than each value, (m,); an equal one counts half.

    Args:
        sample: in ascending order, without NaN, (n,).
        values: without NaN, (m,).
    """
    return np.asarray(np.searchsorted(sample, values, "left") + np.searchsorted(sample, values, "right"))
