"""RankNet: a network trained on which of two architectures is better."""

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from ensemble.combiners.base import Array, Combiner, Standardiser
from ensemble.rowwise import row_sums

Floats = NDArray[np.float32]
CHUNK = 8
"""Rows predicted at once: keeps the scratch memory near 2 MB, which the processor's cache holds."""


class RankNet(Combiner):
    """Pairwise logistic loss over all pairs of training rows (Burges et al. 2005, "Learning to rank using gradient
    descent"), a network with one hidden layer, averaged over several seeds that are trained side by side.

    Args:
        hidden: hidden units.
        seeds: number of networks.
        steps: full-batch Adam steps.
        rate: learning rate.
        decay: decoupled weight decay.
        random_state: seed of the initial weights.

    Attributes:
        w1_, b1_, w2_: weights, (seeds, d, hidden), (seeds, hidden), (seeds, hidden).
        mean_, scale_: (d,), standardisation of the columns.
        centre_, spread_: (seeds,), mean and standard deviation of each network's scores on the training rows.
    """

    fitted_arrays = ("w1_", "b1_", "w2_", "mean_", "scale_", "centre_", "spread_")

    w1_: Floats
    b1_: Floats
    w2_: Floats
    mean_: Array
    scale_: Array
    centre_: Floats
    spread_: Floats

    def __init__(
        self, hidden: int = 32, seeds: int = 5, steps: int = 60, rate: float = 0.005, decay: float = 2.0,
        random_state: int = 0,
    ) -> None:  # fmt: skip
        self.hidden = hidden
        self.seeds = seeds
        self.steps = steps
        self.rate = rate
        self.decay = decay
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._training_data(X, y)
        standardise = Standardiser.of(X)
        self.mean_, self.scale_ = standardise.mean, standardise.scale
        Z = torch.tensor(standardise(X), dtype=torch.float32)
        better = torch.tensor(np.sign(y[:, None] - y[None, :]), dtype=torch.float32)
        weights = self._initial(X.shape[1])
        optimiser = torch.optim.AdamW(weights, lr=self.rate, weight_decay=self.decay)
        for _ in range(self.steps):
            optimiser.zero_grad()
            scores = _forward(Z, *weights)
            scores.backward(_pair_gradient(scores.detach(), better))  # type: ignore[no-untyped-call]
            optimiser.step()
        self.w1_, self.b1_, self.w2_ = (weight.detach().numpy().copy() for weight in weights)
        fitted = self._scores(Z.numpy()).T
        self.centre_, self.spread_ = fitted.mean(axis=1), np.maximum(fitted.std(axis=1), 1e-9)
        return self

    def predict(self, X: Array) -> Array:
        """Scores, shape (m,), mean 0 and standard deviation 1 over the training rows in each network."""
        X = self._data(X)
        Z = Standardiser(self.mean_, self.scale_)(X).astype(np.float32)
        scores = (self._scores(Z) - self.centre_) / self.spread_
        return row_sums(scores).astype(np.float64) / len(self.centre_)

    def _scores(self, Z: Floats) -> Floats:
        """Of each row by each network, (m, seeds)."""
        return np.concatenate([self._scored(Z[i : i + CHUNK]) for i in range(0, len(Z), CHUNK)])

    def _scored(self, Z: Floats) -> Floats:
        hidden = np.maximum(row_sums((Z[:, None, :, None] * self.w1_).swapaxes(2, 3)) + self.b1_, 0)
        return row_sums(hidden * self.w2_)

    def _initial(self, d: int) -> list[torch.Tensor]:
        # A generator of its own: the global random state is neither read nor changed.
        generator = torch.Generator().manual_seed(self.random_state)
        w1 = torch.randn(self.seeds, d, self.hidden, generator=generator) * (2 / d) ** 0.5
        w2 = torch.randn(self.seeds, self.hidden, generator=generator) * (1 / self.hidden) ** 0.5
        return [w1.requires_grad_(), torch.zeros(self.seeds, self.hidden, requires_grad=True), w2.requires_grad_()]


def _forward(Z: torch.Tensor, w1: torch.Tensor, b1: torch.Tensor, w2: torch.Tensor) -> torch.Tensor:
    """Scores, (seeds, n)."""
    hidden = torch.relu(torch.matmul(Z, w1) + b1[:, None])
    return torch.einsum("snh,sh->sn", hidden, w2)


def _pair_gradient(scores: torch.Tensor, better: torch.Tensor) -> torch.Tensor:
    """Gradient of the mean of log(1 + exp(−b·(sᵢ − sⱼ))) over pairs with b = ±1, with respect to the scores (seeds, n).

    Written out because autograd would keep several (seeds, n, n) tensors.
    """
    pull = better * torch.sigmoid(-better * (scores[:, :, None] - scores[:, None, :]))
    return -2 * pull.sum(dim=2) / better.abs().sum().clamp(min=1)
