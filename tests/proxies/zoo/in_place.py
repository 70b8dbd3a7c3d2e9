"""Networks with in-place operations, forms of ReLU and batch norm, and parts without gradients."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

from tests.proxies.zoo.case import (
    HIDDEN,
    NO_RELU,
    WITHOUT_BATCH_NORM,
    Net,
    add,
    add_built,
    conv,
    failing,
    head,
    pooled,
)


def convs() -> dict[str, Any]:
    return {"a": conv(), "b": conv(6, 6), "fc": head()}


def normed() -> dict[str, Any]:
    return {"a": conv(), "bn": nn.BatchNorm2d(6), "b": conv(6, 6), "fc": head()}


# Writes to the output of a layer.
add("F.relu in place", lambda m, x: m.fc(pooled(F.relu(m.b(F.relu(m.a(x), inplace=True)), inplace=True))), convs)
add("relu_ methods", lambda m, x: m.fc(pooled(m.b(m.a(x).relu_()).relu_())), convs)
add(
    "leaky_relu_ and tanh_",
    lambda m, x: m.fc(pooled(F.leaky_relu_(m.b(m.a(x).tanh_()), 0.1))),
    convs,
    fails=failing(NO_RELU, "nwot"),
)
add("silu in place", lambda m, x: m.fc(pooled(torch.relu(F.silu(m.b(m.a(x)), inplace=True)))), convs)
add("mul_ behind a layer", lambda m, x: m.fc(pooled(torch.relu(m.b(torch.relu(m.a(x).mul_(0.3)))))), convs)


def _slices(m: Any, x: Tensor) -> Any:
    z = m.a(x)
    z[:, :2] = 0.0
    z[:, 2:4] *= 3.0
    return m.fc(pooled(torch.relu(m.b(torch.relu(z)))))


def _residual(m: Any, x: Tensor) -> Any:
    first = m.a(x)
    z = m.b(torch.relu(first))
    z += first
    return m.fc(pooled(torch.relu(z)))


def _input(m: Any, x: Tensor) -> Any:
    x -= 0.5
    x /= 2.0
    return m.fc(pooled(torch.relu(m.b(torch.relu(m.a(x))))))


def _buffer(m: Any, x: Tensor) -> Any:
    m.seen.add_(1)
    return m.fc(pooled(torch.relu(m.b(torch.relu(m.a(x))) * 0.5 + 0.1 * m.scale)))


add("slices written", _slices, convs)
add("residual by +=", _residual, convs)
add("input changed in place", _input, convs)
add("F.relu in place behind batch norm", lambda m, x: m.fc(pooled(m.b(F.relu(m.bn(m.a(x)), inplace=True)))), normed)
add(
    "modules in place",
    lambda m, x: m.fc(pooled(m.act(m.b(m.act(m.bn(m.a(x))))))),
    lambda: normed() | {"act": nn.ReLU(inplace=True)},
)


class Counting(Net):
    """A network whose forward pass writes to a buffer."""

    def __init__(self) -> None:
        super().__init__(_buffer, **convs())
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("scale", torch.ones(1, 6, 1, 1))


add_built("buffer written", Counting)

# Forms of ReLU.
add("relu method", lambda m, x: m.fc(pooled(m.b(m.a(x).relu()).relu())), convs)
add("clamp as ReLU", lambda m, x: m.fc(pooled(m.b(m.a(x).clamp(min=0)).clamp_min(0.0))), convs)
add("clamp_ as ReLU", lambda m, x: m.fc(pooled(m.b(m.a(x).clamp_(min=0)).clamp_min_(0))), convs)
add("threshold as ReLU", lambda m, x: m.fc(pooled(F.threshold(m.b(torch.clip(m.a(x), min=0)), 0.0, 0.0))), convs)
add(
    "relu6 and hardtanh, which are none",
    lambda m, x: m.fc(pooled(F.relu6(m.b(F.hardtanh(m.a(x)))))),
    convs,
    fails=failing(NO_RELU, "nwot"),
)
add(
    "no ReLU at all",
    lambda m, x: m.fc(pooled(F.gelu(m.b(torch.sigmoid(m.a(x)))))),
    convs,
    fails=failing(NO_RELU, "nwot"),
)

# Forms of batch norm.
add(
    "batch norm shared",
    lambda m, x: m.fc(pooled(torch.relu(m.bn(m.b(torch.relu(m.bn(m.a(x)))))))),
    normed,
)
add(
    "batch norm as a function",
    lambda m, x: m.fc(pooled(m.b(torch.relu(F.batch_norm(m.a(x), None, None, training=True))))),
    convs,
)
add(
    "torch.batch_norm",
    lambda m, x: m.fc(
        pooled(m.b(torch.relu(torch.batch_norm(m.a(x), None, None, None, None, True, 0.1, 1e-5, False))))
    ),
    convs,
)
add(
    "batch norm's attributes read",
    lambda m, x: m.fc(torch.relu(m.b(m.bn(m.a(x)))).view(-1, m.bn.num_features, 25).mean(2) * m.bn.weight.mean()),
    normed,
)
add(
    "batch norm out of its function's sight",
    lambda m, x: m.fc(
        pooled(m.b(torch.relu(torch.native_batch_norm(m.a(x), None, None, None, None, True, 0.1, 1e-5)[0])))
    ),
    convs,
    fails=failing(HIDDEN, *WITHOUT_BATCH_NORM, "nwot", "fisher"),
)
add(
    "batch norm written out",
    lambda m, x: m.fc(pooled(torch.relu(m.b((z := m.a(x)) / (z.var((0, 2, 3), keepdim=True) + 1e-5).sqrt())))),
    convs,
)


class Frozen(Net):
    """Batch norm in eval mode, whatever the argument of `train`."""

    def train(self, mode: bool = True) -> "Frozen":
        super().train(mode)
        self.get_submodule("bn").eval()
        return self


class ReturnsNothing(Net):
    def train(self, mode: bool = True) -> None:  # type: ignore[override]
        super().train(mode)


def _normed(m: Any, x: Tensor) -> Any:
    return m.fc(pooled(torch.relu(m.b(torch.relu(m.bn(m.a(x)))))))


add_built("batch norm frozen by train()", lambda: Frozen(_normed, **normed()))
add_built("train() that returns None", lambda: ReturnsNothing(_normed, **normed()))
add(
    "one value a channel",
    lambda m, x: m.fc(torch.relu(m.bn(m.a(x.flatten(1))))),
    lambda: {"a": nn.Linear(75, 6), "bn": nn.BatchNorm1d(6), "fc": head()},
    x=torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64),
    y=torch.tensor([0, 1]),
    fails=failing("value", "zico"),
)
add(
    "other norms",
    lambda m, x: m.fc(pooled(torch.relu(m.layer(torch.relu(m.group(m.b(torch.relu(m.instance(m.a(x)))))))))),
    lambda: convs() | {"instance": nn.InstanceNorm2d(6), "group": nn.GroupNorm(2, 6), "layer": nn.LayerNorm((5, 5))},
    no_weights=("layer.weight", "layer.bias"),
)

# Parts without gradients.


def _no_grad(m: Any, x: Tensor) -> Any:
    with torch.no_grad():
        z = torch.relu(m.a(x))
    return m.fc(pooled(torch.relu(m.b(z))))


add(
    "backbone under no_grad",
    _no_grad,
    convs,
    fails=failing("no gradient", "jacov", "epe_nas"),
)
add(
    "gate behind detach",
    lambda m, x: m.fc(pooled((z := torch.relu(m.a(x))) * torch.sigmoid(m.b(z.detach())))),
    lambda: {"a": conv(), "b": conv(6, 6), "fc": head()},
)


def frozen_backbone() -> nn.Module:
    network = Net(lambda m, x: m.fc(pooled(torch.relu(m.b(torch.relu(m.a(x)))))), **convs())
    network.a.requires_grad_(False)
    network.b.requires_grad_(False)
    return network


def frozen_convs() -> dict[str, Any]:
    parts = convs()
    parts["a"].weight.requires_grad_(False)
    return parts


add("weights frozen in part", lambda m, x: m.fc(pooled(torch.relu(m.b(torch.relu(m.a(x)))))), frozen_convs)
add_built("a backbone that is frozen", frozen_backbone)
add("a layer that is never run", lambda m, x: m.fc(pooled(torch.relu(m.a(x)))), convs)
add(
    "checkpoint",
    lambda m, x: m.fc(pooled(m.b(checkpoint(lambda z: torch.relu(m.bn(m.a(z))), x, use_reentrant=False)))),
    normed,
)
add(
    "dropout",
    lambda m, x: m.fc(m.drop(pooled(m.drop(torch.relu(m.b(torch.relu(m.a(x)))))))),
    lambda: convs() | {"drop": nn.Dropout(0.3)},
)
