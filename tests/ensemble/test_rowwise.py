"""Row-wise arithmetic: values, and the same bits in any batch and memory layout."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.rowwise import exp, row_sums


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 593, 20_000])
def test_row_sums_are_sums(length: int, rng: np.random.Generator) -> None:
    terms = rng.normal(size=(3, length))
    expected = [math.fsum(row) for row in terms.tolist()]
    assert row_sums(terms) == pytest.approx(expected, abs=1e-13 * length)
    assert row_sums(terms.astype(np.float32)).dtype == np.float32


def test_empty_sums() -> None:
    assert row_sums(np.ones((2, 0))).tolist() == [0, 0]
    assert row_sums(np.ones((0, 3))).shape == (0,)


@pytest.mark.parametrize("shape", [(50, 37), (50, 3, 37), (1, 37), (37, 1)])
def test_a_row_has_the_same_bits_alone_and_in_any_layout(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    terms: NDArray[np.float64] = rng.normal(size=shape)
    for function in (row_sums, exp):
        result = function(terms)
        assert np.array_equal(function(np.asfortranarray(terms)), result)
        assert np.array_equal(function(np.repeat(terms, 2, axis=0)[::2]), result)
        for i in range(len(terms)):
            assert np.array_equal(function(terms[i : i + 1])[0], result[i])


def test_terms_are_not_changed(rng: np.random.Generator) -> None:
    terms = rng.normal(size=(4, 9))
    before = terms.copy()
    row_sums(terms)
    assert np.array_equal(terms, before)


def test_exp_is_the_exponential_function(rng: np.random.Generator) -> None:
    exponents = rng.uniform(-40, 0, 500)
    assert exp(exponents) == pytest.approx([math.exp(exponent) for exponent in exponents], rel=1e-13)
    assert exp(np.zeros(1)).tolist() == [1.0]
