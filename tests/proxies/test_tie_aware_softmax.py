"""Tie-aware softmax: PyTorch's for small numbers, and exact ties for huge ones."""

import torch

from proxies.passes.tie_aware_softmax import softmax


def test_it_is_softmax_where_rounding_decides_nothing() -> None:
    x = torch.randn(3, 5, 4, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(softmax(x, dim=-2), torch.softmax(x, dim=-2))
    assert torch.autograd.gradcheck(lambda x: softmax(x, dim=1), x)


def test_what_differs_by_rounding_shares() -> None:
    x = torch.tensor([1e30, 1e30 * (1 + 1e-15), 0.9e30], dtype=torch.float64)
    assert torch.softmax(x, 0).tolist() == [0.0, 1.0, 0.0]
    assert softmax(x, 0).tolist() == [0.5, 0.5, 0.0]


def test_a_gradient_that_is_rounding_is_none() -> None:
    x = torch.tensor([1e30, 1e30, 0.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(
        softmax(x, 0), x, torch.tensor([1e40, 1e40 * (1 + 1e-15), 0.0], dtype=torch.float64)
    )
    assert gradient.tolist() == [0.0, 0.0, 0.0]
    (gradient,) = torch.autograd.grad(softmax(x, 0), x, torch.tensor([3e40, 1e40, 0.0], dtype=torch.float64))
    torch.testing.assert_close(gradient, torch.tensor([0.5e40, -0.5e40, 0.0], dtype=torch.float64))
