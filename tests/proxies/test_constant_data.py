"""Networks with layers that no data reach, as in a cell without a path: the fast engine against the exact one."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models import get_space
from models.base import BuildableSpace, require
from proxies import score_batch
from proxies.base import Need
from proxies.passes import PASSES
from proxies.passes.base import ProxyInput
from proxies.passes.batch import Batch
from proxies.passes.exact import MEASUREMENTS

BY_WEIGHT = (Need.GRADIENTS, Need.CURVATURE, Need.MINIBATCH_GRADIENTS, Need.GRADIENT_SIGNS, Need.SYNFLOW)
CELLS = {"no operation": "000000", "convolution of nothing": "003000", "convolution beside a path": "003300"}


class Constant(nn.Module):
    """A layer of a constant beside, or in place of, a layer of the data."""

    def __init__(self, reads_data: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.constant, self.last = nn.Linear(5, 8), nn.Linear(5, 8), nn.Linear(8, 3)
        self.reads_data = reads_data
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.constant(torch.ones_like(x)))
        logits: Tensor = self.last(h * torch.tanh(self.first(x)) if self.reads_data else h)
        return logits


@pytest.mark.parametrize("reads_data", [True, False])
@pytest.mark.parametrize("need", BY_WEIGHT)
def test_gradients_of_layers_that_read_a_constant(need: Need, reads_data: bool) -> None:
    x = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inputs = ProxyInput(Constant(reads_data), Batch((x,), torch.tensor([0, 1, 2, 0, 2, 2])))
    fast = next(shared_pass for shared_pass in PASSES if need in shared_pass.provides)
    ((_, measured),) = fast.run(inputs, frozenset({need}), 1)
    torch.testing.assert_close(_plain(measured), _plain(MEASUREMENTS[need](inputs)))


def _plain(measured: Any) -> Any:
    """Return a measurement as lists of tensors and numbers."""
    return [_plain(part) for part in measured] if isinstance(measured, list | tuple) else measured


@pytest.mark.parametrize("name", CELLS)
def test_cells_that_no_data_pass(name: str) -> None:
    space = require(get_space("nas-bench-201"), BuildableSpace)
    network = space.build(space.parse({"digits": CELLS[name]}))
    scores = score_batch(network, space.task.synthetic_batch(batch_size=2), ["grad_norm", "plain", "grasp", "jacov"])
    if name == "convolution beside a path":
        assert {score.status for score in scores.values()} == {"ok"}
        return
    assert [scores[proxy].value for proxy in ("grad_norm", "plain", "grasp")] == [0, 0, 0]
    assert scores["jacov"].status == "failed"
    assert scores["jacov"].error == "ValueError: the output has no gradient with respect to the input"
