"""Complete networks: convolutional, recurrent, on graphs, on tokens, in TorchScript."""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models.topology import UnitTopology
from tests.proxies.zoo.case import (
    HIDDEN,
    NO_CALL,
    WITHOUT_BATCH_NORM,
    ZOO,
    Net,
    X,
    add,
    add_built,
    conv,
    failing,
    head,
    pooled,
)


class Named(nn.Module):
    """A network with all attributes that proxies read."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_unit = nn.Sequential(
            nn.Sequential(conv(3, 10), nn.BatchNorm2d(10), nn.ReLU()),
            nn.Sequential(conv(10, 6, groups=2, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
        )
        self.units = list(self.feature_unit)
        graph = np.full((1, 5, 5), 0.2)
        self.topology = (UnitTopology(graph[0] > 0, (graph,), 1, 3, 1),)
        self.fc = head()

    def forward(self, x: Tensor) -> Any:
        return self.fc(pooled(self.feature_unit(x)))


add_built("units, features and topology named", Named)


class Block(nn.Module):
    """Block of a ResNet."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.a, self.an = conv(inputs, outputs, bias=False), nn.BatchNorm2d(outputs)
        self.b, self.bn = conv(outputs, outputs, bias=False), nn.BatchNorm2d(outputs)
        self.down = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Any:
        z = self.bn(self.b(self.relu(self.an(self.a(x)))))
        z += self.down(x)
        return self.relu(z)


class Cell(nn.Module):
    """Cell of NAS-Bench-201."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one, self.three = (
            nn.Sequential(
                nn.ReLU(), nn.Conv2d(channels, channels, k, padding=k // 2, bias=False), nn.BatchNorm2d(channels)
            )
            for k in (1, 3)
        )
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)

    def forward(self, x: Tensor) -> Any:
        first = self.three(x)
        second = self.pool(x) + self.one(first)
        return x + self.one(first) + second


add_built("residual block", lambda: nn.Sequential(Block(3, 6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head()))
add_built(
    "cell of NAS-Bench-201",
    lambda: nn.Sequential(conv(), nn.BatchNorm2d(6), Cell(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head()),
)
add(
    "SE gate",
    lambda m, x: m.fc(
        pooled((z := torch.relu(m.a(x))) * torch.sigmoid(m.up(torch.relu(m.down(pooled(z)))))[..., None, None])
    ),
    lambda: {"a": conv(), "down": nn.Linear(6, 2), "up": nn.Linear(2, 6), "fc": head()},
)
add(
    "dense block",
    lambda m, x: m.fc(pooled(torch.relu(m.b(torch.cat([x, torch.relu(m.a(x))], 1))))),
    lambda: {"a": conv(), "b": conv(9, 6), "fc": head()},
)
add(
    "grouped and dilated convolutions",
    lambda m, x: m.fc(pooled(torch.relu(m.c(torch.relu(m.b(torch.relu(m.a(x)))))))),
    lambda: {
        "a": nn.Conv2d(3, 6, 3, padding=2, dilation=2),
        "b": conv(6, 6, groups=6),
        "c": nn.Conv2d(6, 6, (3, 1), stride=(2, 1), groups=2, padding_mode="circular", padding=(1, 0)),
        "fc": head(),
    },
)
add(
    "an even kernel with padding same",
    lambda m, x: m.fc(pooled(torch.relu(m.a(x)))),
    lambda: {"a": nn.Conv2d(3, 6, 2, padding="same"), "fc": head()},
)
add(
    "transposed convolution",
    lambda m, x: m.fc(pooled(torch.relu(m.b(torch.relu(m.a(x)))))),
    lambda: {"a": conv(), "b": nn.ConvTranspose2d(6, 6, 3, stride=2, output_padding=1, groups=2), "fc": head()},
)
add(
    "convolutions over one and three dimensions",
    lambda m, x: m.fc(torch.relu(m.b(torch.relu(m.a(x.flatten(2))).view(-1, 6, 5, 5, 1))).mean((2, 3, 4))),
    lambda: {"a": nn.Conv1d(3, 6, 3, padding=1), "b": nn.Conv3d(6, 6, (3, 3, 1)), "fc": head()},
)
add(
    "channels last",
    lambda m, x: m.fc(pooled(torch.relu(m.b(torch.relu(m.a(x.contiguous(memory_format=torch.channels_last))))))),
    lambda: {"a": conv(), "b": conv(6, 6), "fc": head()},
    x=X.to(memory_format=torch.channels_last),
)

# On graphs.
EDGES = torch.tensor([[0, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 2]])


def _scatter(m: Any, x: Tensor) -> Any:
    z = m.a(x.flatten(1, 2).mT)  # (N, nodes, features)
    messages = torch.relu(z[:, EDGES[0]])
    return m.fc(torch.relu(m.b(torch.zeros_like(z).index_add_(1, EDGES[1], messages))).mean(1))


def _attention(m: Any, x: Tensor) -> Any:
    z = m.a(x.flatten(1, 2).mT)
    scores = F.leaky_relu(m.by(z) + m.of(z).mT, 0.2)
    return m.fc(torch.relu(torch.softmax(scores, -1) @ z).mean(1))


class Graph(Net):
    """A network that multiplies features by a fixed adjacency."""

    def __init__(self) -> None:
        super().__init__(
            lambda m, x: m.fc(torch.relu(m.a(torch.matmul(x, m.graph))).mean((2, 3))), a=nn.Conv2d(3, 6, 1), fc=head()
        )
        self.register_buffer("graph", torch.rand(5, 5))


add_built("graph convolution", Graph)
add("gather and scatter", _scatter, lambda: {"a": nn.Linear(15, 6), "b": nn.Linear(6, 6), "fc": head()})
add(
    "graph attention",
    _attention,
    lambda: {"a": nn.Linear(15, 6), "by": nn.Linear(6, 1), "of": nn.Linear(6, 1), "fc": head()},
)

# On tokens and sequences.


def _recurrent(kind: Any) -> dict[str, Any]:
    return {"r": kind(3, 6, batch_first=True), "fc": head()}


add(
    "tokens",
    lambda m, x: m.fc(torch.relu(m.h(m.words((x.flatten(1).abs() * 3).long().clamp(max=9)).mean(1)))),
    lambda: {"words": nn.Embedding(10, 6), "h": nn.Linear(6, 6), "fc": head()},
    fails=failing("no gradient", "jacov", "epe_nas"),
)
for kind, gates in ((nn.LSTM, 4), (nn.GRU, 3)):
    add(
        kind.__name__,
        lambda m, x: m.fc(torch.relu(m.r(x.flatten(2).mT)[0][:, -1])),
        partial(_recurrent, kind),
        fails=failing(NO_CALL, "fisher"),
        more_flops=2 * 4 * 25 * gates * 6 * (3 + 6),
    )
add(
    "an LSTM cell by hand",
    lambda m, x: m.fc(torch.relu(m.cell(pooled(x), m.cell(x[:, :, 0, 0]))[0])),
    lambda: {"cell": nn.LSTMCell(3, 6), "fc": head()},
    fails=failing(NO_CALL, "fisher"),
    more_flops=2 * 2 * 4 * 24 * (3 + 6),
)
add(
    "transformer",
    lambda m, x: m.fc(m.layer(m.p(x.flatten(2).mT)).mean(1)),
    lambda: {"p": nn.Linear(3, 8), "layer": nn.TransformerEncoderLayer(8, 2, 6, 0.0, batch_first=True), "fc": head(8)},
    fails=failing(NO_CALL, "fisher") | failing("not implemented", "grasp"),
    more_flops=2 * 4 * (25 * 8 * 24 + 2 * 25 * 25 * 8 + 25 * 8 * 8),
)


class EvaluatedTransformer(nn.Module):
    """A transformer in eval mode, for which PyTorch has a fused layer."""

    def __init__(self) -> None:
        super().__init__()
        self.p, self.fc = nn.Linear(3, 8), head(8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 6, 0.0, batch_first=True)

    def train(self, mode: bool = True) -> "EvaluatedTransformer":
        super().train(mode)
        self.layer.eval()
        return self

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.layer(self.p(x.flatten(2).mT)).mean(1))


class Energy(nn.Module):
    """A network that differentiates in its forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.fc = nn.Linear(75, 6), nn.Linear(6, 1), head(75)

    def forward(self, x: Tensor) -> Any:
        x = x.flatten(1)
        x = x if x.requires_grad else x.clone().requires_grad_()
        (force,) = torch.autograd.grad(self.b(torch.relu(self.a(x)).square()).sum(), x, create_graph=True)
        return self.fc(force)


add_built(
    "transformer in eval mode",
    EvaluatedTransformer,
    fails=ZOO["transformer"].fails,
    more_flops=ZOO["transformer"].more_flops,
)
add_built("gradient in the forward pass", Energy, fails=failing("RuntimeError", "flops"))

# In TorchScript.


def scripted(*parts: nn.Module) -> nn.Module:
    part = torch.jit.script(nn.Sequential(*parts))
    return Net(lambda m, x: m.fc(pooled(m.part(torch.relu(m.a(x))))), a=conv(), part=part, fc=head())


def written_out(*parts: nn.Module) -> Any:
    def bake(network: Any) -> None:
        eager = nn.Sequential(*parts).double()
        eager.load_state_dict(network.part.state_dict())
        network.part = eager

    return bake


add_built(
    "TorchScript in part",
    lambda: scripted(conv(6, 6), nn.ReLU()),
    baked=written_out(conv(6, 6), nn.ReLU()),
    fails=failing(f"{NO_CALL} part.0.weight", "fisher"),
)
add_built(
    "TorchScript with batch norm",
    lambda: scripted(conv(6, 6), nn.BatchNorm2d(6), nn.ReLU()),
    baked=written_out(conv(6, 6), nn.BatchNorm2d(6), nn.ReLU()),
    fails=failing(HIDDEN, *WITHOUT_BATCH_NORM, "nwot", "fisher"),
)
