"""zico against two backward passes."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional

from models import ProbeBatch
from proxies import score
from proxies.base import Need
from proxies.zico import Zico
from tests.proxies.layers import layers


def test_zico_equals_two_backward_passes(space: Any, batch: ProbeBatch) -> None:
    """In float64: in float32 gradients that differ by little more than rounding would weigh most."""
    network, x = space.build(space.parse([["L2", "S", "T", "ST"]] * 4)).double(), batch.x.double()
    gradients = []
    for half in (slice(0, 2), slice(2, 4)):
        network.zero_grad()
        torch.autograd.backward(functional.cross_entropy(network(x[half]), batch.y[half]))
        # The ST module has convolutions that are never used: these have no gradient.
        gradients.append([layer.weight.grad.clone() for layer in layers(network) if layer.weight.grad is not None])
    expected = 0.0
    for first, second in zip(*gradients, strict=True):
        a, b = first.double().abs(), second.double().abs()
        differ = a != b  # mean / std of two numbers is (a + b) / |a - b|
        expected += math.log(float(((a + b)[differ] / (a - b).abs()[differ]).sum()))
    assert score(network, x, batch.y, ["zico"])["zico"].value == pytest.approx(expected, rel=1e-5)


def test_population_deviation_and_what_is_left_out() -> None:
    gradients = torch.tensor([[1.0, -5.0, 2.0], [-3.0, 5.0, 2.0]])  # 2/1; 5/0 twice over; 2/0
    still = torch.ones(2, 4)
    assert Zico().compute({Need.MINIBATCH_GRADIENTS: [gradients, still]}) == pytest.approx(math.log(2))
    with pytest.raises(ArithmeticError, match="no gradient differs"):
        Zico().compute({Need.MINIBATCH_GRADIENTS: [still]})


@pytest.mark.parametrize("rows", [(math.nan, 1.0), (math.nan, math.nan), (math.inf, math.inf)])
def test_what_is_not_finite_is_not_left_out(rows: tuple[float, float]) -> None:
    gradients = torch.tensor([[1.0, rows[0]], [3.0, rows[1]]])
    assert math.isnan(Zico().compute({Need.MINIBATCH_GRADIENTS: [gradients]}))


def test_one_sample_is_not_enough(space: Any, batch: ProbeBatch) -> None:
    network = space.build(space.parse([["L2", "S"]] * 4))
    result = score(network, batch.x[:1], batch.y[:1], ["zico"])["zico"]
    assert (result.status, result.value) == ("not_applicable", None)
    assert "one label, which makes no two minibatches" in str(result.note)
