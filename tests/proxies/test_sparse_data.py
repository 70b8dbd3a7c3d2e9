"""Faster computations on one graph, whose data are read by linear layers and are mostly zeros, against autograd."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from proxies.base import Need
from proxies.passes import row_gradients as module
from proxies.passes.base import ProxyInput, as_leaf, forward_logits
from proxies.passes.batch import Batch
from proxies.passes.exact import gradient_signs
from proxies.passes.gradient_sign import GradientSignPass
from proxies.passes.row_gradients import row_gradients
from proxies.passes.tape import Tape

NODES, FEATURES, CLASSES = 10, 40, 3
EDGES = torch.stack([torch.arange(NODES), torch.arange(NODES).roll(1)])
ROWS = torch.tensor([7, 0, 3, 2])
Y = torch.tensor([0, 2, 2, 1])


def sparse_batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(NODES, FEATURES, generator=generator, dtype=torch.float64)
    x[:, 11:] = 0
    return Batch((x, EDGES), Y, ROWS, has_samples=False)


class Readers(nn.Module):
    """Two layers that may read the data, one of them twice, and a graph convolution."""

    def __init__(self, read: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.other, self.last = nn.Linear(FEATURES, 8), nn.Linear(FEATURES, 8), nn.Linear(8, CLASSES)
        self.read = read
        self.double()

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        h = torch.tanh(self.read(self, x))
        logits: Tensor = self.last(h + torch.zeros_like(h).index_add(0, edges[1], h[edges[0]]))
        return logits


LINEAR = {
    "one": lambda m, x: m.first(x),
    "two": lambda m, x: m.first(x) * m.other(x),
    "twice": lambda m, x: m.first(x) * m.first(x).roll(1, 0),
}
OTHERS = {
    "residual": lambda m, x: m.first(x) + x[:, :8],
    "sum": lambda m, x: m.first(x.roll(1, 0)),
    "scaled": lambda m, x: m.first(x) + m.other(2 * x),
    "product": lambda m, x: m.first(x) + x @ m.other.weight.T,
    "transposed": lambda m, x: m.first(x.T.reshape(x.shape)),
}


@pytest.mark.parametrize("name", [*LINEAR, *OTHERS])
def test_gradients_of_rows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, batch = Readers((LINEAR | OTHERS)[name]), sparse_batch()
    found: list[int] = []
    find = module._linear_readers

    def count(*arguments: Any) -> Any:
        readers = find(*arguments)
        found.append(len(readers))
        return readers

    monkeypatch.setattr(module, "_linear_readers", count)
    x = as_leaf(batch.x)
    with Tape() as tape:
        logits = forward_logits(network, batch, x)
    expected = row_gradients(logits, x, ROWS.tolist(), ())
    torch.testing.assert_close(row_gradients(logits, x, ROWS.tolist(), tape.calls), expected)
    assert found == [0, {"one": 1, "two": 2, "twice": 2}.get(name, 0)]


@pytest.mark.parametrize("name", [*LINEAR, *OTHERS])
def test_signs_of_gradients(name: str) -> None:
    inputs = ProxyInput(Readers((LINEAR | OTHERS)[name]), sparse_batch())
    ((_, signs),) = GradientSignPass().run(inputs, frozenset({Need.GRADIENT_SIGNS}), 1)
    expected = gradient_signs(inputs)
    assert signs.num_entries == expected.num_entries
    assert [s.tolist() for s in signs.sums] == [s.tolist() for s in expected.sums]
