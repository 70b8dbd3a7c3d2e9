"""Networks with weights that other operations than their layer use, and with bare, tied and repeated weights."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrizations, parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils import spectral_norm as hooked_spectral_norm
from torch.nn.utils import weight_norm as hooked_weight_norm

from tests.proxies.zoo.case import NO_CALL, Net, X, add, add_built, conv, failing, head, parameter, pooled


def dense() -> dict[str, Any]:
    return {"c": conv(), "p": nn.Linear(6, 6), "fc": head()}


def features(m: Any, x: Tensor) -> Tensor:
    return pooled(torch.relu(m.c(x)))


# Weights of a layer that other operations use.
add("F.linear of W.t()", lambda m, x: m.fc(torch.relu(F.linear(features(m, x), m.p.weight.t()))), dense)
for name, forward in {
    "matmul of W.t()": lambda m, x: m.fc(torch.relu(features(m, x) @ m.p.weight.t() + m.p.bias)),
    "addmm": lambda m, x: m.fc(torch.relu(torch.addmm(m.p.bias, features(m, x), m.p.weight.t()))),
}.items():
    add(name, forward, dense)
add(
    "einsum",
    lambda m, x: m.fc(torch.relu(torch.einsum("nc,oc->no", features(m, x), m.p.weight))),
    dense,
    more_flops=2 * 4 * 6 * 6,
)
add(
    "baddbmm",
    lambda m, x: m.fc(torch.relu(torch.baddbmm(m.bias, x.flatten(2), m.w.expand(4, 25, 6)[: len(x)])).mean(1)),
    lambda: {"bias": parameter(1, 3, 6), "w": parameter(1, 25, 6), "fc": head()},
    no_weights=("bias",),
    fails=failing(NO_CALL, "fisher"),
    more_flops=2 * 4 * 3 * 25 * 6,
)
add("layer scaled by its weight's norm", lambda m, x: m.fc(torch.relu(m.p(features(m, x)) * m.p.weight.norm())), dense)
add(
    "cosine classifier",
    lambda m, x: 5 * F.linear(F.normalize(features(m, x)), F.normalize(m.fc.weight)),
    lambda: {"c": conv(), "fc": nn.Linear(6, 4, bias=False)},
)
add(
    "bilinear layer",
    lambda m, x: m.fc(torch.relu(m.both(features(m, x), x.mean((2, 3))))),
    lambda: {"c": conv(), "both": nn.Bilinear(6, 3, 6), "fc": head()},
    fails=failing(NO_CALL, "fisher"),
    more_flops=2 * 4 * 6 * 3 * (6 + 1),
)
add(
    "MultiheadAttention",
    lambda m, x: m.fc(torch.relu(m.attend(*(m.p(x.flatten(2).mT),) * 3, need_weights=False)[0]).mean(1)),
    lambda: {"p": nn.Linear(3, 8), "attend": nn.MultiheadAttention(8, 2, batch_first=True), "fc": head(8)},
    fails=failing(NO_CALL, "fisher") | failing("not implemented", "grasp"),
    more_flops=2 * 4 * (25 * 8 * 24 + 2 * 25 * 25 * 8 + 25 * 8 * 8),
)

# Bare parameters.
add(
    "learned adjacency",
    lambda m, x: m.fc(torch.relu(torch.einsum("ncv,vw->ncw", m.c(x).flatten(2), m.a)).mean(2)),
    lambda: {"c": conv(), "a": parameter(25, 25), "fc": head()},
    more_flops=2 * 4 * 6 * 25 * 25,
)
add(
    "positional embedding, only added",
    lambda m, x: m.fc(torch.relu(m.p(x.flatten(2).mT + m.position)).mean(1)),
    lambda: {"position": parameter(1, 25, 3), "p": nn.Linear(3, 6), "fc": head()},
    no_weights=("position",),
)
add(
    "matmul of bare parameters alone",
    lambda m, x: torch.relu(x.flatten(1) @ m.a) @ m.b,
    lambda: {"a": parameter(75, 8), "b": parameter(8, 4)},
)
add(
    "convolution of a bare parameter",
    lambda m, x: m.fc(pooled(torch.relu(F.conv2d(x, m.kernel, padding=1)))),
    lambda: {"kernel": parameter(6, 3, 3, 3), "fc": head()},
)
add(
    "hypernetwork",
    lambda m, x: m.fc(torch.relu(F.linear(features(m, x), m.h(m.seed).view(6, 6)))),
    lambda: {"c": conv(), "seed": nn.Parameter(torch.randn(3)), "h": nn.Linear(3, 36), "fc": head()},
)
add(
    "hypernetwork by sample",
    lambda m, x: m.fc(torch.relu(torch.bmm(m.h(x.mean((2, 3))).view(-1, 6, 6), features(m, x)[:, :, None])[..., 0])),
    lambda: {"c": conv(), "h": nn.Linear(3, 36), "fc": head()},
)


def adapted() -> dict[str, Any]:
    parts = dense() | {"down": parameter(6, 2), "up": parameter(2, 6)}
    parts["p"].weight.requires_grad_(False)
    return parts


add(
    "LoRA",
    lambda m, x: m.fc(torch.relu(m.p(features(m, x)) + features(m, x) @ m.down @ m.up)),
    adapted,
)

# Weights recomputed in each call.


def standardized(w: Tensor) -> Tensor:
    return (w - w.mean((1, 2, 3), keepdim=True)) / (w.std((1, 2, 3), keepdim=True) + 1e-5)


class StandardisedConv(nn.Conv2d):
    def forward(self, x: Tensor) -> Any:
        return self._conv_forward(x, standardized(self.weight), self.bias)


class LowRank(nn.Module):
    """Parametrization with parameters of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = parameter(6, 2), parameter(2, 6)

    def forward(self, w: Tensor) -> Tensor:
        return w + self.down @ self.up


def run(m: Any, x: Tensor) -> Any:
    return m.fc(torch.relu(m.p(features(m, x))))


def recomputed(how: Any, *layers: str) -> Any:
    def make() -> nn.Module:
        network = Net(run, **dense())
        for layer in layers:
            how(network.get_submodule(layer))
        return network

    return make


def removed(*layers: str) -> Any:
    def bake(network: nn.Module) -> None:
        for layer in layers:
            parametrize.remove_parametrizations(network.get_submodule(layer), "weight")

    return bake


def without_hooked_spectral_norm(network: Any) -> None:
    network(X.clone())  # one step of the power iteration, as in any forward pass
    remove_spectral_norm(network.p)


add("weight standardisation", run, lambda: dense() | {"c": StandardisedConv(3, 6, 3, padding=1)})
add(
    "weight standardisation of a bare parameter",
    lambda m, x: m.fc(pooled(torch.relu(F.conv2d(x, standardized(m.kernel), padding=1)))),
    lambda: {"kernel": parameter(6, 3, 3, 3), "fc": head()},
)
for what, how in {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "a parametrization with parameters": lambda layer: parametrize.register_parametrization(layer, "weight", LowRank()),
}.items():
    add_built(what, recomputed(how, "p"), baked=removed("p"))
add_built(
    "weight_norm on all layers",
    recomputed(parametrizations.weight_norm, "c", "p", "fc"),
    baked=removed("c", "p", "fc"),
)
add_built("weight_norm as a hook", recomputed(hooked_weight_norm, "p"), baked=lambda m: remove_weight_norm(m.p))
add_built("spectral_norm as a hook", recomputed(hooked_spectral_norm, "p"), baked=without_hooked_spectral_norm)
add_built(
    "pruned",
    recomputed(lambda layer: prune.random_unstructured(layer, "weight", 0.5), "p"),  # type: ignore[no-untyped-call]
    baked=lambda m: prune.remove(m.p, "weight"),  # type: ignore[no-untyped-call]
)

# Tied and repeated weights.


def tied() -> dict[str, Any]:
    parts = dense() | {"q": nn.Linear(6, 6)}
    parts["q"].weight = parts["p"].weight
    return parts


add("tied weights", lambda m, x: m.fc(torch.relu(m.q(torch.relu(m.p(features(m, x)))))), tied)
add("a module used three times", lambda m, x: m.fc(m.p(torch.relu(m.p(torch.relu(m.p(features(m, x))))))), dense)
add(
    "autoencoder with tied weights",
    lambda m, x: m.fc(F.linear(torch.relu(m.p(features(m, x))), m.p.weight.t())),
    dense,
)
add(
    "embedding tied to the output",
    lambda m, x: F.linear(
        torch.relu(m.h(m.words((x.flatten(1).abs() * 2).long().clamp(max=3)).mean(1))), m.words.weight
    ),
    lambda: {"words": nn.Embedding(4, 6), "h": nn.Linear(6, 6)},
    fails=failing("no gradient", "jacov", "epe_nas"),
)

# Operands in other shapes.
add(
    "convolution by unfolding",
    lambda m, x: m.fc(torch.relu(m.c.weight.flatten(1) @ F.unfold(x, 3, padding=1)).mean(2)),
    dense,
)
add(
    "slice of a bare parameter",
    lambda m, x: m.fc(torch.relu(x.flatten(1) @ m.w[:, :6])),
    lambda: {"w": parameter(75, 9), "fc": head()},
)
add(
    "weight in parts",
    lambda m, x: m.fc(pooled(torch.relu(torch.cat([F.conv2d(x, w, padding=1) for w in m.c.weight.chunk(3)], 1)))),
    dense,
)
add(
    "weight under a learned mask",
    lambda m, x: m.fc(torch.relu(F.linear(x.flatten(1), m.p.weight * m.mask))),
    lambda: {"p": nn.Linear(75, 6, bias=False), "mask": parameter(6, 75), "fc": head()},
)
add(
    "filter in the frequencies, which is no product",
    lambda m, x: m.fc(pooled(torch.relu(torch.fft.irfft2(torch.fft.rfft2(m.c(x)) * torch.fft.rfft2(m.k), s=(5, 5))))),
    lambda: {"c": conv(), "k": parameter(6, 5, 5), "fc": head()},
    no_weights=("k",),
)
add(
    "a weight by functional_call",
    lambda m, x: m.fc(pooled(torch.relu(torch.func.functional_call(m.c, {"weight": 2 * m.c.weight}, (x,))))),
    dense,
)
add(
    "a bag of embeddings",
    lambda m, x: m.fc(torch.relu(m.words((x.flatten(1).abs() * 3).long().clamp(max=9)))),
    lambda: {"words": nn.EmbeddingBag(10, 6), "fc": head()},
    fails=failing("no gradient", "jacov", "epe_nas") | failing("not implemented", "grasp"),
)
