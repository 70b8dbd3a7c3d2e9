"""Networks whose rows are not samples first, whose samples mix, or that depend on data or on random numbers."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from tests.proxies.zoo.case import ROWS, add, conv, failing, head, pooled


def dense() -> dict[str, Any]:
    return {"a": nn.Linear(15, 6), "b": nn.Linear(6, 6), "fc": head()}


def _sequence_first(m: Any, x: Tensor) -> Any:
    t = x.view(len(x), 5, 15).transpose(0, 1)
    return m.fc(torch.relu(m.b(torch.relu(m.a(t)))).mean(0))


def _frames_first(m: Any, x: Tensor) -> Any:
    n, t = x.shape[:2]
    z = pooled(torch.relu(m.a(x.transpose(0, 1).reshape(t * n, 1, 5, 5))))
    return m.fc(z.view(t, n, 6).mean(0))


def _frames_last(m: Any, x: Tensor) -> Any:
    z = pooled(torch.relu(m.a(x.reshape(-1, 1, 5, 5))))
    return m.fc(z.view(len(x), 3, 6).mean(1))


def _one_by_one(m: Any, x: Tensor) -> Tensor:
    return torch.stack([m.fc(torch.relu(m.a(sample)).mean((1, 2))) for sample in x])


def _by_data(m: Any, x: Tensor) -> Any:
    z = torch.relu(m.a(x))
    return m.fc(pooled(m.b(z) if float(z.detach().mean()) > 10 else torch.relu(m.b(z.mul(0.5)))))


add("sequence first", _sequence_first, dense, fails=failing(ROWS, "nwot", "fisher"))
add(
    "frames folded before samples",
    _frames_first,
    lambda: {"a": conv(1), "fc": head()},
    fails=failing(ROWS, "nwot", "fisher"),
)
add("frames folded behind samples", _frames_last, lambda: {"a": conv(1), "fc": head()})
add(
    "nodes first",
    lambda m, x: m.fc(torch.relu(m.a(x.flatten(2).transpose(0, 1))).sum(0)),
    lambda: {"a": nn.Linear(25, 6), "fc": head()},
    fails=failing(ROWS, "nwot", "fisher"),
)
add("sample by sample", _one_by_one, lambda: {"a": conv(), "fc": head()}, fails=failing(ROWS, "nwot", "fisher"))
add(
    "a layer on a vector",
    lambda m, x: m.fc((z := pooled(torch.relu(m.a(x)))) * torch.sigmoid(m.r(z.mean(0)))),
    lambda: {"a": conv(), "r": nn.Linear(6, 6), "fc": head()},
    fails=failing(ROWS, "fisher"),
)
add(
    "samples that mix",
    lambda m, x: m.fc(pooled(torch.relu(m.b(torch.relu((z := m.a(x)) - z.mean(0)))))),
    lambda: {"a": conv(), "b": conv(6, 6), "fc": head()},
)
add("control flow by data", _by_data, lambda: {"a": conv(), "b": conv(6, 6), "fc": head()})


def _convs() -> dict[str, Any]:
    return {"a": conv(), "b": conv(6, 6), "fc": head()}


def _by_size(m: Any, x: Tensor) -> Any:
    z = m.a(x)
    return m.fc(pooled(torch.relu(m.b(torch.relu(z if len(x) == 2 else z.mul_(0.5))))))


def _in_parts(m: Any, x: Tensor) -> Tensor:
    return torch.cat([m.fc(torch.relu(m.b(torch.relu(m.a(part.flatten(1)))))) for part in torch.split(x, 2)])


def _dense() -> dict[str, nn.Module]:
    return {"a": nn.Linear(75, 6), "b": nn.Linear(6, 6), "fc": head()}


def _by_mask(m: Any, x: Tensor) -> Any:
    z = torch.relu(m.a(x))
    active = pooled(z).sum(1) > 0.9
    return m.fc(pooled(z)).index_put((active,), m.fc(torch.relu(m.r(pooled(z)[active]))))


add("control flow by the number of samples", _by_size, _convs)
add(
    "two samples at a time",
    _in_parts,
    _dense,
    fails=failing(ROWS, "nwot", "fisher"),
)
add(
    "ghost batch norm",
    lambda m, x: m.fc(pooled(m.b(torch.relu(torch.cat([m.bn(part) for part in m.a(x).split(2)]))))),
    lambda: _convs() | {"bn": nn.BatchNorm2d(6)},
)
add(
    "dropout with frames before samples",
    lambda m, x: m.fc(
        F.dropout(pooled(torch.relu(m.a(x.transpose(0, 1).reshape(-1, 1, 5, 5)))), 0.3).view(3, -1, 6).mean(0)
    ),
    lambda: {"a": conv(1), "fc": head()},
    fails=failing(ROWS, "nwot", "fisher"),
)
add(
    "rows by a mask",
    _by_mask,
    lambda: {"a": conv(), "r": nn.Linear(6, 6), "fc": head()},
    fails=failing("rows", "nwot", "fisher"),
)


def _sorted(m: Any, x: Tensor) -> Any:
    z = torch.relu(m.a(x.flatten(1)))
    order = z.sum(1).argsort()
    return m.fc(torch.relu(m.b(z[order])))[order.argsort()]


add(
    "rows reversed within",
    lambda m, x: m.fc(torch.relu(m.b(torch.relu(m.a(x.flatten(1))).flip(0)))).flip(0),
    _dense,
    fails=failing(ROWS, "nwot", "fisher"),
)
add(
    "rows shifted within",
    lambda m, x: m.fc(torch.relu(m.b(torch.relu(m.a(x.flatten(1))).roll(1, 0)))).roll(-1, 0),
    _dense,
    fails=failing(ROWS, "nwot", "fisher"),
)
add(
    "rows sorted within",
    _sorted,
    _dense,
    fails=failing(ROWS, "nwot", "fisher"),
)
add(
    "samples that see their neighbours",
    lambda m, x: m.fc(z := torch.relu(m.a(x.flatten(1)))) + m.fc(z.roll(1, 0)),
    lambda: {"a": nn.Linear(75, 6), "fc": head()},
    fails=failing("samples influence each other", "nwot", "fisher"),
)
add(
    "ReLUs over frames and over samples",
    lambda m, x: m.fc(torch.relu(m.b(torch.relu(m.a(x.flatten(0, 1).flatten(1))).view(len(x), -1)))),
    lambda: {"a": nn.Linear(25, 6), "b": nn.Linear(18, 6), "fc": head()},
    fails=failing("not all ReLUs see the same number of rows", "nwot"),
)
