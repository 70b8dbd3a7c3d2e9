"""Ranks among the values of a sample."""

import numpy as np

from ensemble.ranks import doubled_ranks


def test_equal_entries_count_half() -> None:
    sample = np.array([1.0, 2.0, 2.0, 3.0])
    assert doubled_ranks(sample, np.array([0.0, 1.0, 2.0, 2.5, 3.0, 9.0])).tolist() == [0, 1, 4, 6, 7, 8]
    assert doubled_ranks(sample[:0], np.array([0.0])).tolist() == [0]
